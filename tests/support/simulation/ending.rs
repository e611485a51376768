//! The end of a run: faults stop, everything drains, and what is stored is what should be.

use super::faults::{Answer, Reads};
use super::step::{Heard, Step, Write};
use super::world::{End, Report, World};
use millpond::{Base, BaseKey, ErrorKind, Operation};
use std::time::Duration;

/// Cycles of the drain within which everything must be out.
const ROUNDS_MAX: u32 = 2_000;

impl World {
    /// Ends the run.
    pub fn end(mut self) -> Report {
        if let Some(base) = &self.base {
            base.set(Reads::Work);
        }
        self.letters.fail(false);
        match self.config.end {
            End::Drop => self.drop_engine(),
            End::Age => self.drain(),
            End::Close => {
                self.begin_to_close();
                self.drain();
            }
        }
        if self.engine.is_some() {
            self.check_idle();
            self.close();
        }
        self.check_stored();
        self.report
    }

    fn drain(&mut self) {
        for _ in 0..ROUNDS_MAX {
            while !self.outs.is_empty() {
                self.send(0, &[Answer::Done]);
                self.finish(0, Heard::All);
            }
            let Some(wait) = self.take() else { continue };
            if self.is_idle() {
                return;
            }
            // A hold is many waits long where the delay is short; where freshness is watched there is none.
            let least_us = if self.config.fresh { 0 } else { (self.config.late_bound_us / 16).max(100_000) };
            let step_us = (wait.as_micros() as u64).max(least_us);
            self.advance(step_us);
        }
        let (config, now_us, wait) = (&self.config, self.clock.now_us(), self.drainer.next());
        panic!(
            "not drained after {ROUNDS_MAX} rounds, at {now_us}, next {wait:?}: {config:?} {:?}",
            self.engine().stats()
        );
    }

    fn check_idle(&mut self) {
        self.check_stats();
        self.check_watermark();
        self.engine().validate().unwrap();
        let stats = self.engine().stats();
        assert!((stats.pending_bytes, stats.pending_documents) == (0, 0), "{stats:?}");
        for key in &self.keys {
            assert!(key.aloft.is_none(), "idle, and out");
            let left =
                key.history.operations.iter().find(|done| done.ticket.is_some() && done.told.is_none());
            assert!(left.is_none(), "idle, and nobody told {left:?}");
        }
        if !self.vague {
            self.keys.iter_mut().for_each(|key| key.history.forget(u64::MAX, &mut self.counts));
            assert_eq!((stats.not_found, stats.conflicts), (self.counts.not_found, self.counts.conflicts));
        }
        if !self.closing {
            // Whatever was full has room again.
            let before = self.report.accepted;
            self.step(&Step::Submit {
                key: 0,
                routing: 0,
                tracked: true,
                write: Write { kind: 3, field: 0, value: 0, size: 0 },
            });
            assert_eq!(self.report.accepted, before + 1, "idle, and full");
            self.drain();
        }
    }

    fn close(&mut self) {
        self.engine().close(Duration::ZERO).unwrap();
        self.engine().close(Duration::ZERO).unwrap();
        self.closing = true;
        let action = millpond::Action::Delete;
        let late = Operation { index: "index-0", id: "late", routing: None, action };
        assert_eq!(self.engine().submit(late).unwrap_err().error().kind(), ErrorKind::Closed);
        for at in 0..self.keys.len() {
            self.get(at);
        }
        self.scan(0, 2);
        self.scan(1, 200);
    }

    /// The last handle goes while things wait and are out: what has not settled is in the dead letters.
    fn drop_engine(&mut self) {
        let stats = self.engine().stats();
        let unsettled = stats.operations_in - stats.operations_settled - stats.operations_dead;
        let dead = self.dead;
        self.engine = None;
        self.note_letters();
        self.poll_tickets();
        assert_eq!(self.dead - dead, unsettled, "dropped, and not in dead letters");
        for key in &self.keys {
            for done in &key.history.operations {
                let unseen = self.config.documents && done.ticket.is_none();
                let settled = unseen || done.seq <= key.settled_to || done.rejected || done.told.is_some();
                assert!(settled, "dropped without a trace: {done:?}");
            }
        }
    }

    /// The sink holds what the histories come to, and nothing else.
    fn check_stored(&mut self) {
        self.advance(self.config.late_bound_us);
        let live = self.keys.iter().filter(|key| key.history.now().document.is_some()).count();
        assert_eq!(self.sink.documents().len(), live);
        for key in &self.keys {
            let stored = self.sink.read(&[BaseKey::new(&key.index, &key.id)]).remove(0).unwrap();
            let now = key.history.now();
            let source = stored.as_ref().and_then(|stored| stored.source.as_deref());
            assert!(now.holds(source), "stored {stored:?}, not {now:?}");
            let routing = stored.filter(|stored| stored.source.is_some()).and_then(|stored| stored.routing);
            assert_eq!(routing.as_deref(), now.routing.as_deref());
        }
    }
}
