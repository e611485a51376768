//! `millpond journal`: what is in a journal, whether it is whole, and what a repair makes of one that is not.

use super::Place;
use millpond::{Action, Engine, Journal, NullSink, Operation};
use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

const OPERATIONS: usize = 30;

/// A journal with increments on three counters that have not settled.
fn journal(place: &Place) {
    let settings = Engine::builder().journal(place.path("journal"), Journal::Always);
    let (engine, _drainer) = settings.manual(Arc::new(NullSink), None).unwrap();
    for n in 0..OPERATIONS {
        let action = Action::Update(br#"{"inc":{"n":1},"doc_as_upsert":true}"#);
        let id = format!("k{}", n % 3);
        engine.submit(Operation { index: "i", id: &id, routing: None, action }).unwrap();
    }
}

fn contents(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(place.path("journal")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Makes a byte in the midst of the records wrong.
fn spoil(place: &Place) {
    let (path, mut bytes) =
        contents(place).into_iter().find(|(path, _)| path.extension().unwrap() == "journal").unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_journal_is_shown_in_figures_and_left_as_it_is() {
    let place = Place::new();
    journal(&place);
    let before = contents(&place);
    let shown = place.well("journal inspect journal");
    let row =
        |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().last();
    assert_eq!(row("documents pending"), Some("3"), "{shown}");
    assert_eq!(row("records pending"), Some("30"), "{shown}");
    assert!(shown.contains("Operation 30, ") && shown.contains("number 1, seqs from "), "{shown}");
    let verified = place.well("journal verify journal");
    assert!(verified.contains("journal: sound (1 files, "), "{verified}");
    assert!(place.well("journal repair journal --yes").contains("nothing to repair"));
    assert!(contents(&place) == before);
}

#[test]
fn a_damaged_journal_is_repaired_only_when_told_to_and_what_is_dropped_can_be_replayed() {
    let place = Place::new();
    journal(&place);
    spoil(&place);
    let before = contents(&place);
    place.write("input", "");
    let refused = place.run("replay input --journal journal --sink segments:db");
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("millpond journal repair journal shows"), "{}", refused.stderr);
    for command in ["journal inspect journal", "journal verify journal"] {
        let ran = place.run(command);
        assert_eq!(ran.status, 1, "{}", ran.stdout);
        assert!(
            ran.stderr.contains(".journal: at byte ") && ran.stderr.contains("repair journal"),
            "{}",
            ran.stderr
        );
    }
    let ran = place.run("journal repair journal");
    assert_eq!(ran.status, 1);
    assert!(ran.stdout.contains("drops: 1") && ran.stderr.contains("--yes"), "{}{}", ran.stdout, ran.stderr);
    assert!(contents(&place) == before, "nothing was changed");

    let repaired = place.well("journal repair journal --yes");
    assert!(repaired.contains("damaged-1/dropped.ndjson"), "{repaired}");
    place.well("journal verify journal");
    place.well("replay journal/damaged-1/dropped.ndjson --journal journal --sink segments:db");
    let scan = place.well("scan db");
    let counts: Vec<usize> = scan
        .lines()
        .map(|line| line.split(r#""n":"#).nth(1).unwrap().trim_end_matches('}').parse().unwrap())
        .collect();
    // The one with the byte is lost.
    assert_eq!((counts.len(), counts.iter().sum()), (3, OPERATIONS - 1), "{scan}");
}

#[test]
fn a_directory_that_is_no_journal_is_not_taken_for_one() {
    let place = Place::new();
    fs::create_dir(place.path("other")).unwrap();
    for command in ["inspect", "verify", "repair"] {
        let ran = place.run(&format!("journal {command} other"));
        assert_eq!(ran.status, 1);
        assert!(ran.stderr.contains("other holds no journal"), "{}", ran.stderr);
        let ran = place.run(&format!("journal {command} missing"));
        assert!(ran.stderr.contains("reading missing: "), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(place.path("other")).unwrap().count(), 0);
    assert!(!place.path("missing").exists());
}
