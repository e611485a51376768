//! get, scan, verify and stats.

use super::{Place, documents};

const INPUT: &str = "\
{\"index\":{\"_index\":\"b\",\"_id\":\"1\",\"routing\":\"r\"}}
{ \"untouched\" : 1.10 , \"e\":1e400}
{\"index\":{\"_index\":\"a\",\"_id\":\"2\"}}
{\"x\":\"\\u0000\"}
{\"index\":{\"_index\":\"a\",\"_id\":\"10\"}}
{}
{\"index\":{\"_index\":\"a\",\"_id\":\"gone\"}}
{}
{\"delete\":{\"_index\":\"a\",\"_id\":\"gone\"}}
";
const A10: &str = "{\"_index\":\"a\",\"_id\":\"10\",\"_source\":{}}\n";
const A2: &str = "{\"_index\":\"a\",\"_id\":\"2\",\"_source\":{\"x\":\"\\u0000\"}}\n";
const B1: &str =
    "{\"_index\":\"b\",\"_id\":\"1\",\"_routing\":\"r\",\"_source\":{ \"untouched\" : 1.10 , \"e\":1e400}}\n";

fn filled() -> Place {
    let place = Place::new();
    place.write("input", INPUT);
    place.well("replay input --sink segments:db");
    place
}

#[test]
fn a_scan_is_in_order_of_index_and_id_with_every_byte_of_the_source() {
    let place = filled();
    assert_eq!(place.well("scan db"), [A10, A2, B1].concat());
    assert_eq!(place.well("scan db --limit 2"), [A10, A2].concat());
    assert_eq!(place.well("scan db --limit 0"), "");
    assert_eq!(place.well("scan db --index a"), [A10, A2].concat());
    assert_eq!(place.well("scan db --index a --after 10"), A2);
    assert_eq!(place.well("scan db --index a --after 1 --limit 1"), A10);
    assert_eq!(place.well("scan db --index none"), "");
}

#[test]
fn get_prints_the_line_of_the_scan_and_fails_where_there_is_no_document() {
    let place = filled();
    assert_eq!(place.well("get db b 1"), B1);
    for key in ["a gone", "a 3", "c 1"] {
        let ran = place.run(&format!("get db {key}"));
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{key}");
        assert!(ran.stderr.contains("db has no document"), "{}", ran.stderr);
    }
}

#[test]
fn verify_finds_a_sound_store_sound_and_names_a_damaged_file() {
    let place = Place::new();
    place.write("input", documents(1_000));
    place.well("replay input --sink segments:db");
    assert!(place.well("verify db").contains("db: sound"));
    let segment = std::fs::read_dir(place.path("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let ran = place.run("verify db");
    assert_eq!(ran.status, 1);
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(ran.stderr.contains(name), "{}", ran.stderr);
    assert!(ran.stdout.contains("damaged"), "{}", ran.stdout);
}

#[test]
fn stats_counts_documents_by_index() {
    let stats = filled().well("stats db");
    for line in ["segments", "bytes", "documents", "  a ", "  b "] {
        assert!(stats.lines().any(|found| found.starts_with(line)), "{line} is not in {stats}");
    }
}

#[test]
fn a_directory_without_a_store_is_named() {
    let place = Place::new();
    for command in ["get nothing a 1", "scan nothing", "verify nothing", "stats nothing"] {
        let ran = place.run(command);
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{command}");
        assert!(ran.stderr.contains("nothing"), "{command}: {}", ran.stderr);
    }
}
