//! Tests of windows: against a list of operations for each key and window, and at their edges.

use super::*;
use crate::{bulk::Verb, progress::Progress, replay::queued::Names};
use millpond::{Engine, Expects, Item, ItemAction, NdjsonSink, NetOperation};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};

const MEMORY: usize = 64 << 20;
const INDEX: &str = "i";
const FIELD: &str = "t";

/// An operation, with its time in seconds if it has one.
#[derive(Clone, Debug)]
struct Given {
    verb: Verb,
    id: String,
    routing: Option<String>,
    body: String,
    time: Option<i64>,
}

impl Given {
    fn update(id: &str, body: &str) -> Self {
        let time = None;
        Self { verb: Verb::Update, id: id.to_owned(), routing: None, body: body.to_owned(), time }
    }

    fn queued(&self) -> Queued<'_> {
        let names = Names { index: INDEX, id: &self.id, routing: self.routing.as_deref() };
        Queued::new(self.verb, names, 1, [b"action\n", self.body.as_bytes()])
    }

    /// Nothing if it is bad.
    fn net(&self) -> Option<NetOperation> {
        NetOperation::new(self.queued().operation().action).ok()
    }
}

fn operations(count: u64) -> Window {
    Window::Operations(NonZeroU64::new(count).unwrap())
}

fn seconds(count: u64) -> Window {
    Window::Time(NonZeroU64::new(count * 1_000_000).unwrap())
}

fn estimate_of(given: &[Given], windows: &[Window], memory: usize, batch: usize) -> Result<Estimate> {
    let rejects = Arc::new(Rejects::unkept(Progress::new(None, true)));
    let sources = Arc::from(["test".to_owned()]);
    let mut estimator = Estimator::new(windows, Some(FIELD), memory, rejects, sources)?;
    let queued: Vec<Queued<'_>> = given.iter().map(Given::queued).collect();
    for batch in queued.chunks(batch) {
        estimator.take_in(batch, 0)?;
    }
    estimator.finish()
}

fn counts_of(given: &[Given], window: Window) -> Counts {
    match estimate_of(given, &[window], MEMORY, 64).unwrap().sizes[0].found {
        Found::Whole { counts, .. } => counts,
        overflow @ Found::Overflow { .. } => panic!("{overflow:?}"),
    }
}

/// The windows as lists of operations: those that are not bad, in order. Also how many came later than theirs.
fn cut(given: &[Given], window: Window) -> (Vec<Vec<&Given>>, u64) {
    let (mut windows, mut late): (Vec<Vec<&Given>>, u64) = (Vec::new(), 0);
    let mut open = None;
    for given in given.iter().filter(|given| given.net().is_some()) {
        let begins = match window {
            Window::All => false,
            Window::Operations(most) => windows.last().is_some_and(|last| last.len() as u64 == most.get()),
            Window::Time(length) => {
                let length = i64::try_from(length.get() / 1_000_000).unwrap();
                let number = given.time.map(|time| time.div_euclid(length));
                late += u64::from(number.is_some() && number < open);
                let before = open;
                open = open.max(number);
                before.is_some() && before != open
            }
        };
        if windows.is_empty() || begins {
            windows.push(Vec::new());
        }
        windows.last_mut().unwrap().push(given);
    }
    (windows, late)
}

/// What goes out of the windows, folded one operation after the other.
fn model(windows: &[Vec<&Given>]) -> Counts {
    let mut counts = Counts { windows: windows.len() as u64, ..Counts::default() };
    for window in windows {
        let mut keys: BTreeMap<&str, Vec<(&Given, NetOperation, u64)>> = BTreeMap::new();
        for given in window {
            let (nets, net) = (keys.entry(&given.id).or_default(), given.net().unwrap());
            match nets.last_mut() {
                Some((first, folded, operations)) if first.routing == given.routing => {
                    *folded = folded.compose(&net);
                    *operations += 1;
                }
                _ => nets.push((given, net, 1)),
            }
        }
        for (given, net, operations) in keys.into_values().flatten() {
            let mut lines = Vec::new();
            let item = Item {
                index: INDEX.into(),
                id: given.id.as_str().into(),
                routing: given.routing.as_deref().map(Into::into),
                action: ItemAction::Net(net),
                first_seq: 1,
                last_seq: 1,
                operations,
                repeatable: true,
                expects: Expects::Anything,
                attempt: 0,
            };
            item.write_lines(&mut lines);
            counts.operations += 1;
            counts.bytes += lines.len() as u64;
            counts.alone += u64::from(operations == 1);
        }
    }
    counts
}

fn given() -> impl Strategy<Value = Given> {
    let routing =
        prop_oneof![5 => Just(None), 1 => Just(Some("a".to_owned())), 1 => Just(Some("b".to_owned()))];
    let time = prop_oneof![1 => Just(None), 6 => (0_i64..90).prop_map(Some)];
    (0_u8..5, routing, time, 0_u8..9, 0_u32..4).prop_map(|(id, routing, time, kind, value)| {
        // Of one document alone: where several can hold no more, others than the last may go out before they must.
        let routing = routing.filter(|_| id == 0);
        let at = time.map_or(String::new(), |time| format!(",\"{FIELD}\":{time}"));
        let (verb, body) = match kind {
            0 => (Verb::Index, format!("{{\"n\":{value}{at}}}\n")),
            1 => (Verb::Create, format!("{{\"n\":{value}{at}}}")),
            2 => (Verb::Update, format!("{{\"doc\":{{\"a\":{value}{at}}},\"doc_as_upsert\":true}}\r\n")),
            3 => (Verb::Update, format!("{{\"doc\":{{\"b\":[{value}]{at}}}}}\n")),
            4 => (Verb::Update, format!("{{\"inc\":{{\"n\":{value}}},\"upsert\":{{\"n\":0{at}}}}}\n")),
            5 => (Verb::Update, format!("{{\"doc\":{{\"c\":0{at}}},\"union\":{{\"u\":[{value}]}}}}\n")),
            6 => (Verb::Update, format!("{{\"append\":{{\"l\":{value}}},\"doc\":{{\"d\":1{at}}}}}\n")),
            7 => (Verb::Update, format!("{{\"doc\":{{\"a\":{value}{at}}}")),
            _ => (Verb::Delete, String::new()),
        };
        let time = time.filter(|_| verb.has_body());
        Given { verb, id: id.to_string(), routing, body, time }
    })
}

proptest! {
    #[test]
    fn every_size_of_windows_counts_what_a_list_for_each_key_and_window_folds_to(
        given in prop::collection::vec(given(), 0..160),
        batch in 1_usize..70,
    ) {
        let windows = [operations(1), operations(3), operations(40), Window::All, seconds(1), seconds(10), seconds(60)];
        let estimate = estimate_of(&given, &windows, MEMORY, batch).unwrap();
        let good: Vec<&Given> = given.iter().filter(|given| given.net().is_some()).collect();
        let keys: std::collections::BTreeSet<&str> = good.iter().map(|given| given.id.as_str()).collect();
        prop_assert_eq!(estimate.total.operations, good.len() as u64);
        prop_assert_eq!(estimate.documents, keys.len() as u64);
        prop_assert_eq!(estimate.total.missing, good.iter().filter(|given| given.time.is_none()).count() as u64);
        for size in estimate.sizes {
            let (cut, late) = cut(&given, size.window);
            let Found::Whole { counts, late: told, .. } = size.found else { panic!("{size:?}") };
            prop_assert_eq!((counts, told), (model(&cut), late), "{}", size.window);
        }
    }
}

#[test]
fn the_bytes_of_windows_are_those_of_a_file_that_the_same_windows_are_written_to() {
    let bodies = [
        "{\"doc\":{\"a\":1.10,\"é\":\"x\\n\"},\"doc_as_upsert\":true}",
        "{\"inc\":{\"n\":1},\"union\":{\"u\":[1]}}",
    ];
    let given: Vec<Given> =
        (0..1_000).map(|number| Given::update(&(number * 7 % 90).to_string(), bodies[number % 2])).collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for size in [25, 64, 300] {
        let mut bytes = 0;
        for window in given.chunks(size) {
            let engine = Engine::builder().build(Arc::new(NdjsonSink::create(&path).unwrap()), None).unwrap();
            for given in window {
                engine.submit(given.queued().operation()).unwrap();
            }
            engine.close(Duration::from_mins(1)).unwrap();
            bytes += std::fs::metadata(&path).unwrap().len();
        }
        assert_eq!(counts_of(&given, operations(size as u64)).bytes, bytes, "{size}");
    }
}

#[test]
fn what_cannot_fold_goes_out_in_the_middle_of_a_window() {
    let routed = |number: u32| Given {
        routing: Some(["a", "b"][number as usize % 2].to_owned()),
        ..Given::update("1", "{\"inc\":{\"n\":1}}")
    };
    let given: Vec<Given> = (0..100).map(routed).collect();
    assert_eq!(counts_of(&given, Window::All).operations, 100);

    // They do not fold with each other: they stay side by side, up to a bound.
    let kinds = ["{\"append\":{\"l\":[1]}}", "{\"subtract\":{\"l\":[1]}}"];
    let given: Vec<Given> = (0..1_000).map(|number| Given::update("1", kinds[number % 2])).collect();
    let counts = counts_of(&given, Window::All);
    assert!((10..=100).contains(&counts.operations) && counts.alone == 0, "{counts:?}");
}

#[test]
fn a_window_that_does_not_fit_is_given_up_and_the_others_go_on() {
    let body = format!("{{\"doc\":{{\"text\":\"{}\"}}}}", "x".repeat(1_000));
    let given: Vec<Given> = (0..2_000).map(|id: u32| Given::update(&id.to_string(), &body)).collect();
    let windows = [Window::All, operations(100), operations(5_000)];
    let estimate = estimate_of(&given, &windows, 1 << 20, 64).unwrap();
    let [all, small, large] = estimate.sizes.try_into().unwrap();
    for size in [all, large] {
        let Found::Overflow { operations } = size.found else { panic!("{size:?}") };
        assert!((300..1_100).contains(&operations), "{operations}");
    }
    let Found::Whole { counts, peak_bytes, .. } = small.found else { panic!("{small:?}") };
    assert_eq!((counts.windows, counts.operations, counts.alone), (20, 2_000, 2_000));
    assert!((100_000..1 << 20).contains(&peak_bytes), "{peak_bytes}");
    assert_eq!(estimate.total.operations, 2_000);

    let error = estimate_of(&given, &[Window::All], 1 << 20, 64).unwrap_err();
    assert!(error.to_string().contains("--memory"), "{error}");
}

#[test]
fn a_run_ends_where_a_later_window_begins_and_late_operations_stay_in_the_open_one() {
    let length = NonZeroU64::new(10).unwrap();
    let times = [
        Time::Missing,
        Time::At(12),
        Time::At(5),
        Time::Unreadable,
        Time::At(19),
        Time::At(20),
        Time::At(-1),
    ];
    let run = |from, open| run_of(&times, from..times.len(), length, open);
    // Nothing is open before the first time: what stands before it has no other window.
    assert_eq!(run(1, None), Run { end: 5, open: Some(1), late: 1 });
    assert_eq!(run(5, Some(1)), Run { end: 7, open: Some(2), late: 1 });
    assert_eq!(run(0, Some(0)), Run { end: 1, open: Some(0), late: 0 });
    assert_eq!(run(0, None), Run { end: 5, open: Some(1), late: 1 });
    assert_eq!(run(6, Some(-1)), Run { end: 7, open: Some(-1), late: 0 });
    assert_eq!(run_of(&[], 0..3, length, None), Run { end: 3, open: None, late: 0 });
}
