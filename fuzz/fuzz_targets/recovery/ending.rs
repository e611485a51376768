//! A process that ends, the harm that is done to what it left, and what the next one makes of that.

use super::{
    Answer, DIRECTORY, Harm, INDEX, WALL_US, World, id,
    rule::{self, Counting, Files, Verdict},
};
use crate::{disk::PowerCut, simulation::Write};
use millpond::{Base as _, BaseKey, Engine, ErrorKind, Journal, NullSink, SimulatedClock, journals::Repair};
use std::{sync::Arc, time::Duration};

/// Cycles of the drain within which everything must be out.
const ROUNDS_MAX: u32 = 3_000;

impl World {
    /// The process ends here, and another one goes on with what it left.
    pub fn crash(&mut self, cut: Option<PowerCut>) {
        let all = self.done.len();
        let left = self.die(cut, &[]).unwrap_or(all);
        self.done.truncate(left);
        self.durable = left;
    }

    /// The process ends here, somebody does harm to what it left, and another one opens that, and brings it to an end.
    pub fn end(mut self, cut: Option<PowerCut>, harms: &[Harm]) {
        let Some(left) = self.die(cut, harms) else { return };
        let mut all = self.done.len();
        // Harm may cut the bounds of a flight that the sink has, and what is newer would be folded into it.
        if harms.is_empty() {
            self.done.truncate(left);
            for key in 0..self.config.keys {
                self.submit(u8::try_from(key).unwrap(), Write { kind: 8, field: 0, value: 1, size: 0 });
            }
            all = self.done.len();
        }
        let left = if harms.is_empty() { all } else { left };
        self.drain_to_the_end();
        if !self.agrees(left, all) {
            self.tell(left);
            panic!("what is read behind the drain is not what was accepted: {left} of {all}");
        }
        let running = self.running.take().unwrap();
        drop((running.source, running.outs, running.unheard));
        running.engine.close(Duration::ZERO).unwrap();
        drop((running.engine, running.drainer));
        for key in 0..self.config.keys {
            let stored = self.sink.read(&[BaseKey::new(INDEX, &id(key))]).remove(0).unwrap();
            let source = stored.and_then(|stored| stored.source);
            assert!(
                self.is_right(key, (left, all), source.as_deref()),
                "{}: the sink has {source:?}",
                id(key)
            );
        }
        self.open().unwrap();
        assert_eq!(self.running().engine.stats().operations_restored, 0, "all had settled");
    }

    fn drain_to_the_end(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "not drained: {:?}", self.running().engine.stats());
            while !self.running().outs.is_empty() {
                self.send(Answer::Heard(0));
                self.script.lock().unwrap().clear();
            }
            if let Some(wait) = self.take_one() {
                if self.running().engine.flush(Duration::ZERO).is_ok() {
                    return;
                }
                self.advance(u64::try_from(wait.as_micros()).unwrap() + 1_000);
            }
        }
    }

    /// How many operations are left; nothing, where nothing can be said.
    fn die(&mut self, cut: Option<PowerCut>, harms: &[Harm]) -> Option<usize> {
        let files = self.files();
        // Spares too: somebody may give one a name.
        for bytes in files.values() {
            self.originals.entry(*bytes.first_chunk().unwrap()).or_insert_with(|| bytes.clone());
        }
        let written = rule::judge(&self.originals, &files);
        match cut {
            Some(choice) => self.disk.power_cut(choice),
            None => self.disk.kill(),
        }
        self.running = None;
        self.script.lock().unwrap().clear();
        self.disk.restart();
        let sound = self.files();
        let mut files = sound.clone();
        harms.iter().for_each(|harm| harm.apply(&self.originals, &mut files));
        self.put(&sound, &files);
        let before = rule::judge(&self.originals, &sound);
        let (Verdict::Opens(written), Verdict::Opens(before)) = (written, before) else {
            panic!("what a crash leaves is damage")
        };
        match rule::judge(&self.originals, &files) {
            Verdict::Refused { file, at } => {
                let why = self.is_refused(&file, at);
                assert_eq!(self.files(), files, "what was refused was changed");
                self.can_be_repaired(&why);
                self.put(&files, &sound);
                Some(self.opened(&written, &before, false))
            }
            Verdict::Opens(left) if files != sound && left.lacks_unseen(&before) => {
                self.opens_or_is_refused(&files);
                None
            }
            Verdict::Opens(left) => Some(self.opened(&written, &left, files != sound)),
        }
    }

    fn is_refused(&mut self, file: &str, at: Option<usize>) -> String {
        let error = self.open().err();
        let Some(error) = error else { panic!("damage was not found: {file} at byte {at:?}") };
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{text}");
        assert!(text.contains(file), "{text}, and not {file}");
        if let Some(at) = at {
            assert!(text.contains(&format!(": at byte {at}: ")), "{text}, and not {at}");
        }
        text
    }

    /// A copy of what is refused can be repaired: then there is nothing to repair, it opens, and everything in it drains.
    fn can_be_repaired(&self, why: &str) {
        let copy = self.disk.fork();
        copy.restart();
        let plan = || Repair::plan_on(Arc::new(copy.clone()), DIRECTORY).unwrap();
        let Some(repair) = plan() else { panic!("what is refused is found to be whole: {why}") };
        drop(repair.to_string());
        repair.carry_out().unwrap();
        assert!(plan().is_none(), "it was repaired");
        // A clock of its own: by the other one late requests are carried out.
        let clock = SimulatedClock::new(WALL_US);
        let settings = Engine::builder().clock(&clock).memory_bytes(millpond::MEMORY_BYTES_MIN);
        let settings = settings.journal_on(Arc::new(copy.clone()), DIRECTORY, Journal::Always);
        let (engine, drainer) = settings.manual(Arc::new(NullSink), None).unwrap();
        engine.validate().unwrap();
        clock.advance(Duration::from_hours(1));
        drainer.run().unwrap();
        engine.close(Duration::ZERO).unwrap();
    }

    fn opens_or_is_refused(&mut self, files: &Files) {
        match self.open() {
            Ok(()) => (0..self.config.keys).for_each(|key| drop(self.running().engine.get(INDEX, &id(key)))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                assert_eq!(self.files(), *files, "what was refused was changed");
            }
        }
    }

    /// Opens what is left, which must succeed. The files had the records of some operations, and have those of these; how many
    /// of all are left?
    fn opened(&mut self, written: &Counting, counting: &Counting, is_harmed: bool) -> usize {
        self.open().unwrap();
        let all = self.done.len();
        let counts = self.counts(&written.operations, &counting.operations);
        let mark = self.running().source.mark();
        let found = counts.clone().rev().find(|left| {
            let marked = self.done[..*left].iter().filter_map(|done| done.position).max();
            marked == mark && self.agrees(*left, all)
        });
        let Some(left) = found else {
            self.tell(*counts.end());
            panic!("what is left is not the first {counts:?} of {all}, with mark {mark:?}");
        };
        assert!(is_harmed || left >= self.durable, "{left} of {} are left", self.durable);
        left
    }
}
