//! What must hold of reads, statuses, counts and the watermark.

use super::flights::Aloft;
use super::model::Status as Was;
use super::world::World;
use millpond::{Document, ErrorKind, ScanToken, Status};
use std::time::Duration;

impl World {
    pub fn get(&mut self, at: usize) {
        let key = &self.keys[at];
        let found = self.engine().get(&key.index, &key.id);
        self.check_read(at, found);
    }

    pub fn get_many(&mut self, keys: &[u8]) {
        let keys: Vec<usize> = keys.iter().map(|key| self.key(*key)).collect();
        let names: Vec<_> = keys.iter().map(|at| (&*self.keys[*at].index, &*self.keys[*at].id)).collect();
        let found = self.engine().get_many(&names);
        assert_eq!(found.len(), keys.len());
        for (at, found) in keys.into_iter().zip(found) {
            self.check_read(at, found);
        }
    }

    fn check_read(&mut self, at: usize, found: millpond::Result<Option<Document>>) {
        self.report.reads += 1;
        let now = self.keys[at].history.now();
        match found {
            Ok(found) => {
                let source = found.as_ref().map(|document| &*document.source);
                let routing = found.as_ref().and_then(|document| document.routing.as_deref());
                assert!(now.holds(source), "read {found:?}, not {now:?}: {:?}", self.keys[at].history);
                assert_eq!(
                    routing,
                    now.routing.as_deref(),
                    "routing of {found:?}: {:?}",
                    self.keys[at].history
                );
            }
            Err(error) => {
                let expected = match &self.base {
                    None => error.kind() == ErrorKind::NoBase,
                    Some(base) => !base.works() && matches!(error.kind(), ErrorKind::Io | ErrorKind::Damaged),
                };
                assert!(expected, "{error:?}");
                self.report.failed_reads += 1;
            }
        }
    }

    /// Walks an index page by page, going on from the token.
    pub fn scan(&mut self, index: u8, page: u8) {
        let index = format!("index-{}", index % 2);
        let mut token: Option<ScanToken> = None;
        let mut found = Vec::new();
        loop {
            let mut scan = match self.engine().scan(&index, token.as_ref(), Duration::ZERO) {
                Ok(scan) => scan,
                Err(error) => {
                    let allowed = match error.kind() {
                        ErrorKind::NoBase => self.base.is_none(),
                        ErrorKind::Timeout => !self.is_idle(),
                        _ => false,
                    };
                    assert!(allowed, "{error:?}");
                    return;
                }
            };
            let page: Vec<_> = scan.by_ref().take(usize::from(page) + 1).map(Result::unwrap).collect();
            token = scan.token().cloned();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        self.report.scans += 1;
        let mut expected: Vec<_> = self.keys.iter().filter(|key| key.index == index).collect();
        expected.retain(|key| key.history.now().document.is_some());
        expected.sort_by(|a, b| a.id.cmp(&b.id));
        let ids: Vec<_> = expected.iter().map(|key| &*key.id).collect();
        assert_eq!(found.iter().map(|(id, _)| &**id).collect::<Vec<_>>(), ids);
        for ((_, document), key) in found.iter().zip(expected) {
            let now = key.history.now();
            assert!(now.holds(Some(&document.source)), "scanned {document:?}, not {now:?}");
            assert_eq!(document.routing.as_deref(), now.routing.as_deref());
        }
    }

    pub fn flush(&mut self) {
        match self.engine().flush(Duration::ZERO) {
            Ok(()) => assert!(self.is_idle(), "flushed, and not idle"),
            Err(error) => assert!(error.kind() == ErrorKind::Timeout && !self.is_idle(), "{error:?}"),
        }
        self.report.flushes += 1;
    }

    pub fn begin_to_close(&mut self) {
        self.closing = true;
        match self.engine().close(Duration::ZERO) {
            Ok(()) => assert!(self.is_idle()),
            Err(error) => assert!(error.kind() == ErrorKind::Timeout && !self.is_idle(), "{error:?}"),
        }
    }

    /// Everything accepted has settled, as the engine counts it.
    pub fn is_idle(&self) -> bool {
        let stats = self.engine().stats();
        stats.operations_in == stats.operations_settled + stats.operations_dead
    }

    pub fn check_stats(&mut self) {
        let stats = self.engine().stats();
        let (used, bound) = (stats.used_bytes, self.config.memory_bytes as u64);
        let flights = || self.keys.iter().filter_map(|key| key.aloft.as_ref());
        // A document that folding made larger than all buffers may be goes out alone, and may pass the bound.
        let buffered = || flights().filter(|aloft| !aloft.dead);
        let over = match buffered().count() {
            1 => buffered().map(Aloft::bytes).sum::<u64>().saturating_sub(bound / 8),
            _ => 0,
        };
        assert!(used <= bound + over, "{used} bytes are in use, of {bound}: {stats:?}");
        assert_eq!(stats.operations_in, self.report.accepted);
        assert_eq!(stats.operations_dead, self.dead);
        assert_eq!(stats.dead_letters, self.report.dead_letters);
        assert_eq!(stats.operations_out, self.sent_settled);
        let out = flights().count() as u64;
        let unsettled = stats.operations_in - stats.operations_settled - stats.operations_dead;
        assert!(unsettled >= out, "{unsettled} operations unsettled, {out} flights out");
        assert_eq!(unsettled > 0, stats.oldest_age.is_some());
        assert_eq!(unsettled > 0, stats.pending_bytes > 0);
    }

    pub fn check_watermark(&mut self) {
        let watermark = self.engine().watermark();
        assert!(watermark >= self.watermark, "{watermark} after {}", self.watermark);
        self.watermark = watermark;
        if self.is_idle() && self.wall_us < self.ceiling_us {
            assert!(watermark >= self.wall_us, "{watermark} and nothing pending at {}", self.wall_us);
        }
        for key in &mut self.keys {
            let out = key.aloft.as_ref().map(Aloft::first_seq);
            assert!(
                out.is_none_or(|first_seq| first_seq > watermark),
                "{watermark} passed a flight at {out:?}"
            );
            key.history.forget(watermark, &mut self.counts);
        }
    }

    /// Looks at every ticket that was open: a status is the one the operation would have had alone.
    pub fn poll_tickets(&mut self) {
        for at in 0..self.keys.len() {
            for position in 0..self.keys[at].history.operations.len() {
                let done = &self.keys[at].history.operations[position];
                let Some(ticket) = &done.ticket else { continue };
                let Some(status) = ticket.status() else { continue };
                match done.told {
                    Some(told) => assert_eq!(told, status, "a status changed: {done:?}"),
                    None => self.check_status(at, position, status),
                }
                self.keys[at].history.operations[position].told = Some(status);
            }
        }
    }

    fn check_status(&mut self, at: usize, position: usize, status: Status) {
        let history = &self.keys[at].history;
        let done = &history.operations[position];
        let told_as = |was: Was| match was {
            Was::Created => Status::Created,
            Was::Updated => Status::Updated,
            Was::Noop => Status::Noop,
            Was::Deleted => Status::Deleted,
            Was::NotFound => Status::NotFound,
            Was::Conflict => Status::Conflict,
        };
        let right = match (status, done.status) {
            (Status::Rejected, _) => done.rejected,
            _ if done.rejected => false,
            (Status::Applied, _) => done.vague,
            // Noop is told of a flight as a whole: somewhere around it, nothing has changed.
            (Status::Noop, Was::Updated) if done.is_always_written() => false,
            (Status::Noop, Was::Updated) => {
                let mut around = (0..=position)
                    .flat_map(|from| (position + 1..=history.operations.len()).map(move |to| (from, to)));
                around.any(|(from, to)| history.before(from).same_document(history.before(to)))
            }
            (Status::Updated, Was::Noop) => done.vague || done.company != 1,
            (told, was) => told == told_as(was),
        };
        assert!(right, "told {status:?} of {done:?} in {history:?}");
        self.report.statuses += 1;
        self.report.noops += u64::from(status == Status::Noop);
        self.report.applied += u64::from(status == Status::Applied);
    }
}
