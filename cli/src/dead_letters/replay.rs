//! `millpond dead-letters replay`: letters go out again, and what becomes of each is told.
//!
//! # Design
//! Letters go in rounds: of different documents, of one engine, and not more than memory has room for. Of each round the sink is asked
//! what it holds; what has nothing newer above it is submitted, tracked, and the round ends when all of it has settled. So the letters
//! of one document go out one after the other, each as the flight it was.
//!
//! A document that this run has written has nothing newer above it than this run's own letters: it is not asked for again where it
//! would only say that it exists.
//!
//! # The end
//! The first interrupt ends the reading; the round that is out is waited for. The second one ends the program. After a failure
//! what is out is not written down once more: it stands in the file that was read.
//!
//! # Memory
//! Beside the engine's bound: a round ([`ROUND_BYTES`]) and 16 bytes for each document that was written on a server.

use super::{
    again::Flight,
    evidence::Evidence,
    letter::Letter,
    outcome::{Counts, Outcome},
    reader::Letters,
    target::{REFUSED_AGAIN, Target},
};
use crate::{
    args::{LettersReplay, SinkName},
    failure::{Failure, INTERRUPTED, REFUSED, Result, WELL},
    message,
    sync::{self, Stop},
    units,
};
use millpond::{ErrorKind, Status, Ticket};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io::{self, BufWriter, Write},
    path::Path,
    time::Duration,
};

/// Letters of one round.
const ROUND_LETTERS: usize = 1_000;
/// Bytes of their operations, unless one has more.
const ROUND_BYTES: usize = 16 * 1024 * 1024;
/// How often it is looked up from a wait.
const TICK: Duration = Duration::from_millis(200);
/// Nothing is out any more when the engine is closed.
const CLOSE_MAX: Duration = Duration::from_mins(10);
/// So many looks before somebody is told what is waited for.
const LOOKS_BEFORE_WORD: u32 = 25;

/// Runs the command; the exit status, or why it failed.
pub fn run(args: &LettersReplay) -> Result<u8> {
    let sink = SinkName::one_of(&args.sink)?.ok_or_else(|| Failure::Usage("--sink is needed".to_owned()))?;
    refuse_to_write_what_is_read(args, &sink)?;
    let letters = Letters::open(&args.file)?;
    let stop = Stop::on_signals().map_err(|error| Failure::io("setting up Ctrl-C", &error))?;
    let target = Target::open(args, &sink)?;
    let mut replay = Replay {
        // What is sent has standard output for itself.
        tells: !args.quiet && sink != SinkName::Stdout,
        is_json: args.json,
        sends_untold: args.existing,
        stop,
        target,
        written: Written::default(),
        counts: Counts::default(),
        out: BufWriter::new(io::stdout()),
    };
    let done = replay.all(letters);
    if done.is_err() {
        replay.target.flights.end();
    }
    // Told so far, whatever comes.
    replay.out.flush().map_err(|error| Failure::stdout(&error))?;
    let damaged = done?;
    replay.target.engine.close(CLOSE_MAX)?;
    Ok(replay.finish(args, damaged))
}

/// The file that is read, under any name that leads to it, is not written: letters would follow those that are being read.
fn refuse_to_write_what_is_read(args: &LettersReplay, sink: &SinkName) -> Result {
    let read = if args.file.as_os_str() == "-" { Path::new("/dev/stdin") } else { &args.file };
    let Ok(read) = read.canonicalize() else { return Ok(()) };
    let letters = args.dead_letters.as_deref().unwrap_or(Path::new(REFUSED_AGAIN));
    let sink = match sink {
        SinkName::Ndjson(path) => Some(path.as_path()),
        _ => None,
    };
    for (flag, path) in [("--dead-letters", Some(letters)), ("--sink", sink)] {
        let Some(path) = path else { continue };
        if path.canonicalize().is_ok_and(|path| path == read) {
            let text = format!(
                "{flag} {} is the file that is read, which stays as it is: name another file",
                path.display()
            );
            return Err(Failure::Usage(text));
        }
    }
    match letters.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(Failure::Usage(format!("--dead-letters {}: there is no such directory", letters.display())))
        }
        _ => Ok(()),
    }
}

/// The documents that this run has written, by hash: two of a thousand million letters have one in common with a chance of one in
/// 10^20.
#[derive(Default)]
struct Written {
    seeds: (RandomState, RandomState),
    hashes: HashSet<(u64, u64)>,
}

impl Written {
    fn hash(&self, key: (&str, &str)) -> (u64, u64) {
        (self.seeds.0.hash_one(key), self.seeds.1.hash_one(key))
    }

    fn add(&mut self, key: (&str, &str)) {
        self.hashes.insert(self.hash(key));
    }

    fn has(&self, key: (&str, &str)) -> bool {
        self.hashes.contains(&self.hash(key))
    }
}

struct Replay {
    tells: bool,
    is_json: bool,
    sends_untold: bool,
    stop: Stop,
    target: Target,
    written: Written,
    counts: Counts,
    out: BufWriter<io::Stdout>,
}

/// A letter, and the number of its line.
type Numbered = (u64, Letter);

impl Replay {
    /// Sends all letters, or as many as there is time for; how many lines were none.
    fn all(&mut self, mut letters: Letters) -> Result<u64> {
        let (mut round, mut keys, mut bytes) = (Vec::<Numbered>::new(), HashSet::new(), 0);
        while !self.stop.is_interrupted() {
            let Some((line, letter)) = letters.next()? else { break };
            let key = (letter.index.clone(), letter.id.clone());
            let size = weight(&letter);
            let is_another = round.first().is_some_and(|(_, first)| first.engine != letter.engine);
            let is_full = round.len() >= ROUND_LETTERS || bytes + size > ROUND_BYTES;
            if keys.contains(&key) || is_another || is_full {
                self.round(&std::mem::take(&mut round))?;
                keys.clear();
                bytes = 0;
            }
            keys.insert(key);
            bytes += size;
            round.push((line, letter));
        }
        // What was read when an interrupt came was not begun.
        if !self.stop.is_interrupted() {
            self.round(&round)?;
        }
        Ok(letters.damaged())
    }

    /// Sends what of a round may be sent, waits for it, and tells of each.
    fn round(&mut self, round: &[Numbered]) -> Result {
        let Some((_, first)) = round.first() else { return Ok(()) };
        let evidence = self.evidence(round)?;
        self.target.identify(first.engine);
        self.target.flights.begin(round.iter().map(|(_, letter)| flight(letter)));
        let mut sent = Vec::with_capacity(round.len());
        for ((_, letter), evidence) in round.iter().zip(evidence) {
            sent.push(self.send(letter, evidence)?);
        }
        self.settle()?;
        for ((line, letter), sent) in round.iter().zip(sent) {
            let outcome = match sent {
                Err(outcome) => outcome,
                Ok(ticket) => self.outcome(letter, &ticket),
            };
            self.counts.add(&outcome);
            if self.tells {
                let text = outcome.line(*line, letter.key(), self.is_json);
                writeln!(self.out, "{text}").map_err(|error| Failure::stdout(&error))?;
            }
        }
        Ok(())
    }

    /// What is known of the document of each letter of a round. A sink that is away is waited for.
    fn evidence(&self, round: &[Numbered]) -> Result<Vec<Evidence>> {
        let knows =
            |letter: &Letter| !self.target.tells_of_its_own_writes() && self.written.has(letter.key());
        let asked: Vec<&Letter> =
            round.iter().map(|(_, letter)| letter).filter(|letter| !knows(letter)).collect();
        let mut looks = 0;
        let mut found = loop {
            match self.target.evidence(&asked) {
                Ok(found) => break found.into_iter(),
                Err(error) if self.stop.is_interrupted() => return Err(error.into()),
                Err(error) => {
                    looks += 1;
                    if looks == 1 {
                        message::warning(&format!("{error}; it is tried again until it can be read"));
                    }
                    sync::pause(TICK);
                }
            }
        };
        let all = round.iter().map(|(_, letter)| {
            if knows(letter) { Evidence::Nothing } else { found.next().unwrap_or(Evidence::Nothing) }
        });
        Ok(all.collect())
    }

    /// Submits a letter, if it may be sent: else what became of it.
    fn send(&self, letter: &Letter, evidence: Evidence) -> Result<std::result::Result<Ticket, Outcome>> {
        match evidence {
            Evidence::Nothing => {}
            Evidence::Untold(_) if self.sends_untold => {}
            Evidence::Untold(why) => return Ok(Err(Outcome::Untold(why))),
            Evidence::Written(why) => return Ok(Err(Outcome::Written(why))),
            Evidence::Replayed => return Ok(Err(Outcome::Replayed)),
        }
        let Letter { index, id, routing, net, .. } = letter;
        match self.target.engine.submit_net(index, id, routing.as_deref(), net) {
            Ok(ticket) => Ok(Ok(ticket)),
            Err(error) if error.is_bad_input() => {
                let more = if error.kind() == ErrorKind::TooLarge {
                    "; a larger --memory takes larger ones"
                } else {
                    ""
                };
                Ok(Err(Outcome::NotTaken(format!("{}{more}", error.message()))))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until everything that was submitted has settled, however long that takes.
    fn settle(&self) -> Result {
        let mut looks = 0;
        loop {
            match self.target.engine.flush(TICK) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    looks += 1;
                    if looks == LOOKS_BEFORE_WORD {
                        message::warning(&format!("waiting: {error}"));
                    }
                }
                Err(error) => return Err(error.into()),
            }
            if self.target.is_reader_gone() {
                return Err(Failure::ReaderGone);
            }
        }
    }

    fn outcome(&mut self, letter: &Letter, ticket: &Ticket) -> Outcome {
        if self.target.flights.is_stale(letter.key()) {
            return Outcome::Written("the sink holds something newer".to_owned());
        }
        match ticket.status() {
            // A flush that returned has told every ticket.
            None | Some(Status::Rejected) => Outcome::Refused,
            Some(status) => {
                if !self.target.tells_of_its_own_writes() {
                    self.written.add(letter.key());
                }
                Outcome::Sent(status)
            }
        }
    }

    /// Sums up, and decides the exit status.
    fn finish(&self, args: &LettersReplay, damaged: u64) -> u8 {
        let Counts { sent, refused, written, replayed, untold, not_taken } = self.counts;
        if !args.quiet {
            message::note(&format!("{} letters were sent and taken", units::count(sent)));
        }
        let tell = |count: u64, text: &str| {
            if count > 0 {
                message::warning(&format!("{} {text}", units::count(count)));
            }
        };
        tell(refused, &format!("were refused again: they are in {}", self.target.letters.display()));
        tell(written, "were not sent: their documents were written since (--force sends them)");
        tell(
            untold,
            "were not sent: their documents exist, and nothing tells whether they were written since (--existing sends \
             them: right where nothing but these letters has changed them)",
        );
        tell(replayed, "were not sent: they were carried out before");
        tell(not_taken, "were not sent: the engine does not take them");
        if self.stop.is_interrupted() {
            message::warning("interrupted: the letters that are not told of were not sent");
            return INTERRUPTED;
        }
        if self.counts.are_well() && damaged == 0 { WELL } else { REFUSED }
    }
}

/// Whose flight a letter was, and which.
fn flight(letter: &Letter) -> ((String, String), Flight) {
    let Letter { engine, first_seq, last_seq, operations, .. } = *letter;
    ((letter.index.clone(), letter.id.clone()), Flight { engine, first_seq, last_seq, operations })
}

/// Bytes that a letter takes, by the text of its operation.
fn weight(letter: &Letter) -> usize {
    let mut body = Vec::new();
    letter.net.write_body(&mut body);
    body.len() + letter.index.len() + letter.id.len()
}
