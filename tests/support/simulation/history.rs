//! What one key went through: every accepted operation, carried out one at a time.
//!
//! # Design
//! Each operation keeps the state after it and the status it had, so that any stretch of the history can be asked
//! for what lay before and after it. Operations of a dead letter are taken out, and what came after them is carried
//! out anew. What is at or below the watermark is settled for good, and is forgotten but for its effect.

use super::action::OwnedAction;
use super::model::{Edit, Status, Tree};
use millpond::Ticket;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// A document, or nothing, and the routing it was stored with.
#[derive(Clone, Default)]
pub struct State {
    pub document: Option<Tree>,
    pub routing: Option<String>,
}

impl State {
    fn after(&self, edit: &Edit, routing: Option<&str>) -> (Self, Status) {
        let after = edit.apply(self.document.as_ref());
        // A document keeps the routing it was stored with until it is stored anew or deleted.
        let stores = after.status == Status::Created || matches!(edit, Edit::Index(_));
        let routing = match &after.document {
            None => None,
            Some(_) if stores => routing.map(str::to_owned),
            Some(_) => self.routing.clone(),
        };
        (Self { document: after.document, routing }, after.status)
    }

    pub fn text(&self) -> Option<String> {
        self.document.as_ref().map(Tree::to_text)
    }

    /// The same document, by value.
    pub fn holds(&self, document: Option<&[u8]>) -> bool {
        match (&self.document, document) {
            (None, None) => true,
            (Some(mine), Some(text)) => mine.equals(&Tree::parse(text)),
            _ => false,
        }
    }

    pub fn same_document(&self, other: &Self) -> bool {
        match (&self.document, &other.document) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => mine.equals(theirs),
            _ => false,
        }
    }
}

/// One accepted operation.
pub struct Done {
    pub seq: u64,
    action: OwnedAction,
    pub edit: Edit,
    pub routing: Option<String>,
    pub arrived_us: u64,
    pub ticket: Option<Ticket>,
    pub told: Option<millpond::Status>,
    /// It had its effect, or will have.
    pub alive: bool,
    /// It is in a dead letter.
    pub rejected: bool,
    /// A flight that it was part of had an unknown outcome, or the sink did not tell.
    pub vague: bool,
    /// How many operations the flight had that it was last sent with; 0 if it was never sent.
    pub company: u64,
    /// What it did, one at a time.
    pub status: Status,
    after: Rc<State>,
}

impl Done {
    /// A flight with this operation goes out even if it changes nothing.
    pub fn is_always_written(&self) -> bool {
        match &self.edit {
            Edit::Index(_) | Edit::Delete => true,
            Edit::Update { detect_noop, .. } => !detect_noop,
            Edit::Create(_) => false,
        }
    }
}

/// Sums over what was forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub not_found: u64,
    pub conflicts: u64,
}

/// The history of one key.
#[derive(Debug, Default)]
pub struct History {
    base: Rc<State>,
    pub operations: VecDeque<Done>,
    /// Dead letters whose request may yet be carried out: when, and from which seq to which.
    revivals: Vec<(u64, u64, u64)>,
}

impl History {
    pub fn push(
        &mut self,
        seq: u64,
        action: OwnedAction,
        routing: Option<String>,
        now_us: u64,
        ticket: Option<Ticket>,
    ) {
        let edit = Edit::read(action.action());
        let (after, status) = self.now().after(&edit, routing.as_deref());
        self.operations.push_back(Done {
            seq,
            action,
            edit,
            routing,
            arrived_us: now_us,
            ticket,
            told: None,
            alive: true,
            rejected: false,
            vague: false,
            company: 0,
            status,
            after: Rc::new(after),
        });
    }

    /// The state after everything.
    pub fn now(&self) -> &State {
        self.before(self.operations.len())
    }

    /// The state before the operation at a position.
    pub fn before(&self, position: usize) -> &State {
        match position.checked_sub(1) {
            Some(last) => &self.operations[last].after,
            None => &self.base,
        }
    }

    /// The positions of a flight, which must begin and end with an operation.
    pub fn positions(&self, first_seq: u64, last_seq: u64) -> Option<Range<usize>> {
        let first = self.operations.iter().position(|done| done.seq == first_seq)?;
        let last = self.operations.iter().position(|done| done.seq == last_seq)?;
        (first <= last).then_some(first..last + 1)
    }

    /// These operations are in a dead letter. Their effect goes, unless they had it already (`applied`), and comes
    /// back where a request is still on its way (`late_us`).
    pub fn bury(&mut self, positions: Range<usize>, applied: bool, late_us: Option<u64>) {
        let (start, end) = (positions.start, positions.end);
        for done in self.operations.range_mut(positions) {
            assert!(!done.rejected, "operation {} is in two dead letters", done.seq);
            done.rejected = true;
            done.alive = applied;
        }
        if let Some(late_us) = late_us.filter(|_| !applied) {
            self.revivals.push((late_us, self.operations[start].seq, self.operations[end - 1].seq));
        }
        self.carry_out_from(start);
    }

    /// Requests that were on their way have arrived.
    pub fn pass_time(&mut self, now_us: u64) {
        let (due, later): (Vec<_>, Vec<_>) = self.revivals.drain(..).partition(|(at, ..)| *at <= now_us);
        self.revivals = later;
        for (_, first_seq, last_seq) in due {
            let positions = self.positions(first_seq, last_seq).expect("what may revive is kept");
            let start = positions.start;
            self.operations.range_mut(positions).for_each(|done| done.alive = true);
            self.carry_out_from(start);
        }
    }

    fn carry_out_from(&mut self, start: usize) {
        let mut state = Rc::new(self.before(start).clone());
        for done in self.operations.range_mut(start..) {
            if done.alive {
                let (after, status) = state.after(&done.edit, done.routing.as_deref());
                state = Rc::new(after);
                done.status = status;
            }
            done.after = Rc::clone(&state);
        }
    }

    /// Forgets what is settled for good.
    pub fn forget(&mut self, watermark: u64, counts: &mut Counts) {
        if !self.revivals.is_empty() {
            return;
        }
        while let Some(first) = self.operations.front().filter(|done| done.seq <= watermark) {
            assert!(first.ticket.is_none() || first.told.is_some(), "{first:?} is below the watermark");
            counts.not_found += u64::from(first.status == Status::NotFound && !first.rejected);
            counts.conflicts += u64::from(first.status == Status::Conflict && !first.rejected);
            self.base = Rc::clone(&first.after);
            self.operations.pop_front();
        }
    }
}

/// The longest text of an operation or a document that a failure shows.
const SHOWN_CHARS: usize = 120;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}", text.chars().take(SHOWN_CHARS).collect::<String>())?;
        self.routing.as_ref().map_or(Ok(()), |routing| write!(f, " at {routing}"))
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, action, routing, arrived_us, told, alive, rejected, vague, company, status, .. } =
            self;
        let action: String = format!("{:?}", action.action()).chars().take(SHOWN_CHARS).collect();
        write!(f, "\n  {seq} at {arrived_us} us: {action}")?;
        let tracked = self.ticket.is_some();
        write!(f, " routing {routing:?}: {status:?}, told {told:?} (tracked {tracked}), alive {alive}, ")?;
        write!(f, "rejected {rejected}, vague {vague}, company {company} -> {:?}", self.after)
    }
}
