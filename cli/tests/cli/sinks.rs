//! Where folded operations go.

use super::{Place, documents};

#[test]
fn without_a_sink_segments_go_to_a_fresh_directory_and_its_name_is_told() {
    let place = Place::new();
    place.write("input", documents(5));
    let ran = place.run("replay input");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("writing segments to millpond-data\n"), "{}", ran.stderr);
    let ran = place.run("replay input");
    assert!(ran.stderr.contains("writing segments to millpond-data-2\n"), "{}", ran.stderr);
    assert_eq!(place.well("scan millpond-data"), place.well("scan millpond-data-2"));
}

#[test]
fn a_directory_that_is_named_is_written_on() {
    let place = Place::new();
    place.write("input", documents(5));
    place.write("more", "{\"update\":{\"_index\":\"i\",\"_id\":\"000002\"}}\n{\"doc\":{\"more\":1.10}}\n");
    place.well("replay input --sink segments:db");
    place.well("replay more --sink segments:db");
    assert_eq!(
        place.well("get db i 000002"),
        "{\"_index\":\"i\",\"_id\":\"000002\",\"_source\":{\"n\":2,\"more\":1.10}}\n"
    );
}

#[test]
fn bulk_lines_in_a_file_and_on_standard_output_fold_and_can_be_replayed() {
    let place = Place::new();
    place.write("input", documents(5).repeat(4));
    place.well("replay input --sink ndjson:folded.ndjson");
    let ran = place.run("replay input --sink ndjson:-");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, place.read("folded.ndjson"));
    assert_eq!(ran.stdout.lines().count(), 10);
    place.well("replay input --sink segments:whole");
    place.well("replay folded.ndjson --sink segments:folded");
    assert_eq!(place.well("scan whole"), place.well("scan folded"));
}

#[test]
fn a_sink_that_cannot_be_opened_is_named() {
    let place = Place::new();
    place.write("input", documents(1));
    let ran = place.run("replay input --sink ndjson:no/such/file");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("--sink ndjson:no/such/file"), "{}", ran.stderr);
}

#[test]
fn settings_that_make_no_sense_are_wrong_usage() {
    let place = Place::new();
    place.write("input", documents(1));
    for (arguments, flag) in [
        ("--memory 1KiB", "--memory"),
        ("--max-delay 1us", "--max-delay"),
        ("--batch-bytes 0", "--batch-bytes"),
    ] {
        let ran = place.run(&format!("replay input --sink null {arguments}"));
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(flag), "{arguments}: {}", ran.stderr);
    }
}

#[test]
fn ways_to_send_to_a_server_that_do_not_go_together_are_refused_with_the_reason() {
    let place = Place::new();
    place.write("input", documents(1));
    for (arguments, reason) in [
        ("--sink http://127.0.0.1:1 --versioning external", "whole documents only"),
        ("--sink null --versioning external", "whole documents only"),
        ("--sink null --resolve", "the sink is null"),
        ("--resolve", "is for a server"),
        ("--sink http://127.0.0.1:1 --resolve --versioning mine", "--versioning"),
    ] {
        let ran = place.run(&format!("replay input {arguments}"));
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{arguments}: {}", ran.stderr);
    }
}

#[test]
fn a_file_is_no_directory_of_segments_and_the_flag_is_named() {
    let place = Place::new();
    place.write("input", documents(1));
    place.write("file", "as it was");
    for path in ["file", "file/db"] {
        let ran = place.run(&format!("replay input --sink segments:{path}"));
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("--sink segments:{path}: ")), "{}", ran.stderr);
        assert!(ran.stderr.contains("directory"), "{}", ran.stderr);
        assert_eq!(place.read("file"), "as it was");
    }
}

#[test]
fn no_directory_of_segments_is_made_where_something_else_is_refused() {
    let place = Place::new();
    place.write("input", documents(1));
    place.write("file", "as it was");
    for (flags, status) in
        [("--journal file", 1), ("--memory 1KiB", 2), ("--journal j --sync interval=1us", 2)]
    {
        let ran = place.run(&format!("replay input --sink segments:db {flags}"));
        assert_eq!(ran.status, status, "{flags}: {}", ran.stderr);
        assert!(!place.path("db").exists(), "{flags}");
    }
}
