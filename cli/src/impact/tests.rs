//! The table and the page, of a report that is made up.

use super::{
    bench::{Results, Run, Windowed},
    check::Compared,
    figures::{Figures, Row},
    machine::Machine,
    page,
    report::Report,
    scan::Total,
};
use crate::{
    args::{Args, Command, Impact},
    estimate::Window,
};
use clap::Parser;
use serde_json::Value;

fn args(line: &str) -> Impact {
    let words = format!("millpond impact --sink http://127.0.0.1:9200 {line}");
    let Command::Impact(args) = Args::parse_from(words.split_whitespace()).command else { panic!("{line}") };
    *args
}

fn run(numbers: &[(Row, f64)]) -> Run {
    let mut figures = Figures::default();
    for (row, number) in numbers {
        figures.set(*row, *number);
    }
    Run { figures, repeats: 1, reason: None }
}

fn report<'a>(args: &'a Impact, windows: &[&str]) -> Report<'a> {
    let plain = run(&[(Row::Operations, 8_000.0), (Row::RequestBytes, 1e6), (Row::ServerCpu, 10.0)]);
    let folded = run(&[(Row::Operations, 100.0), (Row::RequestBytes, 1e4), (Row::ServerCpu, 0.25)]);
    let windowed =
        |window: &&str| Windowed { window: Window::read(window).unwrap(), runs: vec![folded.clone()] };
    Report {
        args,
        input: "<script>alert(1)</script>".to_owned(),
        server: "OpenSearch 3.8.0".to_owned(),
        url: "http://127.0.0.1:9200".to_owned(),
        nodes: 1,
        total: Total { operations: 8_000, documents: 100, bytes: 1 << 20, indices: vec!["i".to_owned()] },
        results: Results {
            plain: vec![plain.clone(), plain],
            windows: windows.iter().map(windowed).collect(),
            folded: vec![folded.clone(), folded],
            compared: Compared { equal: 100, ..Compared::default() },
            comparisons: 1,
        },
        machine: Machine::this(),
        when: "2026-01-01".to_owned(),
        command: "millpond impact \"a & b\"".to_owned(),
    }
}

#[test]
fn the_table_has_both_sides_and_how_many_times_fewer() {
    let args = args("");
    let table = report(&args, &["1", "50000", "all"]).table();
    for part in [
        "\n  operations                        8,000            100      80.0 x\n",
        "\n  server processor time           10.00 s       250.0 ms      40.0 x\n",
        "\n  documents wrong                                      0\n",
        "\n  1 (plain client) ",
        "\n  50,000 operations ",
        "80.0 times fewer operations and 40.0 times less processor time of the server; the same documents in the end.",
    ] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    assert!(!table.contains("server wrote to disk"), "{table}");
}

#[test]
fn documents_that_are_wrong_are_in_the_table_the_object_and_the_page() {
    let args = args("");
    let mut report = report(&args, &[]);
    report.results.compared = Compared {
        different: 2,
        missing: 1,
        examples: vec!["i/<7>: it is".to_owned()],
        ..Compared::default()
    };
    assert!(report.table().contains("3 documents are wrong."), "{}", report.table());
    assert!(report.table().contains("  wrong: i/<7>: it is\n"), "{}", report.table());
    let object: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(object["wrong"]["documents"], 3);
    let page = page::html(&report);
    assert!(page.contains("3 documents are wrong") && page.contains("i/&lt;7&gt;: it is"), "{page}");
}

#[test]
fn the_object_has_every_run_the_medians_and_the_windows() {
    let args = args("--batch-ops 500");
    let object: Value = serde_json::from_str(&report(&args, &["1", "1000", "all"]).json()).unwrap();
    assert_eq!(object["plain"]["median"]["operations"], 8_000.0);
    assert_eq!(object["plain"]["runs"].as_array().unwrap().len(), 2);
    assert_eq!(object["fewer"]["operations"], 80.0);
    // What was not measured is told as that.
    assert_eq!(object["folded"]["median"]["server_written_bytes"], Value::Null);
    let sizes: Vec<&Value> =
        object["windows"].as_array().unwrap().iter().map(|window| &window["operations"]).collect();
    assert_eq!(sizes, [&Value::from(1), &Value::from(1_000), &Value::Null]);
    assert_eq!(object["windows"][0]["is_plain"], true);
    assert_eq!(object["settings"]["batch_operations"], 500);
}

#[test]
fn the_page_needs_nothing_from_anywhere_and_escapes_what_comes_from_outside() {
    let args = args("");
    let page = page::html(&report(&args, &["1", "1000", "all"]));
    for loaded in ["src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "javascript:", "xlink"]
    {
        assert!(!page.contains(loaded), "{loaded}");
    }
    // The one address in it is the server's, as text.
    assert_eq!(page.matches("http").count(), page.matches("http://127.0.0.1:9200").count());
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("millpond impact &quot;a &amp; b&quot;"), "{page}");
    assert!(page.contains("<svg class=\"plot\"") && page.contains("What it does not say"), "{page}");
    for element in ["div", "table", "tr", "td", "ul", "svg", "details", "p"] {
        let opened =
            page.matches(&format!("<{element} ")).count() + page.matches(&format!("<{element}>")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
    assert!(!page.contains("NaN"), "{page}");
}

#[test]
fn a_page_without_windows_has_no_plot() {
    let args = args("");
    let page = page::html(&report(&args, &[]));
    assert!(!page.contains("class=\"plot\"") && !page.contains("may wait</h2>"), "{page}");
}
