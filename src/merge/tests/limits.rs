//! Limits, depths and sizes.

use super::super::{compose, encode, validate};
use super::{apply, index, refusal, text, update};
use crate::operation::{BODY_BYTES_MAX, DEPTH_MAX, NUMBER_BYTES_MAX};
use crate::{Action, ErrorKind, NetOperation};

/// Runs on a stack as small as a thread gets by default.
fn on_a_small_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        thread.spawn_scoped(scope, test).unwrap().join().unwrap();
    });
}

/// `{"a":{"a":…inner…}}`, in all `levels` objects.
fn nested(levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[test]
fn the_deepest_operations_fit_a_small_stack() {
    on_a_small_stack(|| {
        let bodies = [
            format!("{{\"doc\":{}}}", nested(DEPTH_MAX, "1")),
            format!("{{\"inc\":{}}}", nested(DEPTH_MAX, "2")),
            format!("{{\"append\":{}}}", nested(DEPTH_MAX - 1, "[1]")),
            format!("{{\"subtract\":{}}}", nested(DEPTH_MAX - 1, "[3]")),
            format!("{{\"remove\":{}}}", nested(DEPTH_MAX - 1, "true")),
            format!("{{\"union\":{}}}", nested(DEPTH_MAX, "4")),
        ];
        let base = nested(DEPTH_MAX, "0");
        for first in &bodies {
            for second in &bodies {
                let (one, two) = (update(first), update(second));
                let net = one.compose(&two).compose(&one);
                validate(net.as_net()).unwrap();
                let expected = apply(&one, apply(&two, apply(&one, Some(&base)).as_deref()).as_deref());
                assert_eq!(apply(&net, Some(&base)), expected);
                assert_eq!(NetOperation::from_parts(net.verb(), text(&net).as_bytes()).unwrap(), net);
                assert!(!format!("{net:?}").is_empty());
                net.is_repeatable();
            }
        }
    });
}

#[test]
fn runs_of_several_on_every_level_fit_a_small_stack() {
    on_a_small_stack(|| {
        // On each level: a union and then a merge, which do not fold. `{}` in the list is what the union may meet.
        let levels = vec!["a"; DEPTH_MAX - 2];
        let union = |depth: usize| {
            let body = crate::UpdateBody::new().union(&levels[..depth], "[{}]").build();
            NetOperation::new(Action::Update(&body)).unwrap()
        };
        let net = (2..=levels.len()).fold(union(1), |net, depth| net.compose(&union(depth)));
        assert_eq!(net.longest_run(), 2);
        let twice = net.compose(&net);
        validate(twice.as_net()).unwrap();
        for base in ["{}".to_owned(), nested(DEPTH_MAX - 2, "{}")] {
            let expected = apply(&net, apply(&net, Some(&base)).as_deref());
            assert_eq!(apply(&twice, Some(&base)), expected);
        }
        assert_eq!(NetOperation::from_parts(twice.verb(), text(&twice).as_bytes()).unwrap(), twice);
    });
}

#[test]
fn one_level_too_many_is_refused() {
    for body in [
        format!("{{\"doc\":{}}}", nested(DEPTH_MAX, "{}")),
        format!("{{\"inc\":{}}}", nested(DEPTH_MAX + 1, "1")),
        format!("{{\"doc\":{{}},\"upsert\":{}}}", nested(DEPTH_MAX + 1, "1")),
        format!("{{\"set\":[[[\"a\"],{}]]}}", nested(DEPTH_MAX, "1")),
        format!("{{\"set\":[[[{}],1]]}}", vec!["\"a\""; DEPTH_MAX + 1].join(",")),
        format!("{{\"doc\":{}}}", nested(50_000, "1")),
    ] {
        assert_eq!(refusal(&body).kind(), ErrorKind::TooLarge);
    }
    assert_eq!(index(&nested(DEPTH_MAX + 1, "1")).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(index(&nested(DEPTH_MAX, "1")).is_ok());
    update(&format!("{{\"doc\":{},\"upsert\":{}}}", nested(DEPTH_MAX, "1"), nested(DEPTH_MAX, "1")));
    update(&format!("{{\"set\":[[[\"a\"],{}]]}}", nested(DEPTH_MAX - 1, "1")));
    update(&format!("{{\"set\":[[[{}],1]]}}", vec!["\"a\""; DEPTH_MAX].join(",")));
    update(&format!("{{\"then\":[{{\"then\":[{{\"doc\":{}}}]}}]}}", nested(DEPTH_MAX, "1")));
}

#[test]
fn numbers_and_bodies_that_are_too_long_are_refused_with_both_numbers() {
    let digits = "9".repeat(NUMBER_BYTES_MAX);
    assert!(index(&format!("{{\"a\":{digits}}}")).is_ok());
    let error = index(&format!("{{\"a\":{digits}9}}")).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::TooLarge, Some(5)));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    let message = index(&large).unwrap_err().to_string();
    assert_eq!(
        message,
        format!("the body has {} bytes, and at most {BODY_BYTES_MAX} are taken", large.len())
    );
    let mut out = vec![1, 2, 3];
    assert!(encode(Action::Index(b"{"), &mut out).is_err() && out.is_empty());
    assert!(encode(Action::Update(b"{\"inc\":{\"a\":1,\"b\":\"x\"}}"), &mut out).is_err() && out.is_empty());
}

#[test]
fn increments_of_more_than_28_digits_or_exponents_are_refused() {
    let digits = "1234567890123456789012345678";
    for operand in [digits, "-1e28", "1E-28", "0.1234567890123456789012345678", "1e+0028"] {
        update(&format!("{{\"inc\":{{\"a\":{operand}}}}}"));
    }
    let message = |operand: &str| refusal(&format!("{{\"inc\":{{\"a\":{operand}}}}}")).to_string();
    assert!(message(&format!("{digits}9")).starts_with("inc.a has 29 digits, and at most 28 are taken"));
    assert!(message("1e29").starts_with("inc.a has the exponent 29, and ±28 are taken"));
    assert!(message("1e-99999999999999999999").contains("±28"));
    // What folding makes of them may be longer, and still reads back.
    let mut net = update(&format!("{{\"inc\":{{\"a\":{digits}e28}}}}"));
    net = net.compose(&update(&format!("{{\"inc\":{{\"a\":{digits}e-28}}}}")));
    assert_eq!(NetOperation::from_parts("update", text(&net).as_bytes()).unwrap(), net);
}

#[test]
fn then_takes_a_thousand_bodies_and_says_so() {
    let then = |count: usize| {
        let bodies = vec!["{\"append\":{\"a\":1}}"; count].join(",");
        format!("{{\"then\":[{bodies}]}}")
    };
    let net = update(&then(1_024));
    assert_eq!(net.longest_run(), 1);
    let error = refusal(&then(1_025));
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("more than 1024 bodies"));
}

#[test]
fn wide_objects_and_long_lists_cost_no_square() {
    // With squares each of these would take minutes.
    let count = 200_000;
    let members = |from: usize| -> String {
        (from..from + count).map(|index| format!("\"n{index}\":{index}")).collect::<Vec<_>>().join(",")
    };
    let base = format!("{{{}}}", members(0));
    let doc = |from: usize| update(&format!("{{\"doc\":{{{}}}}}", members(from)));
    let net = doc(count / 2).compose(&doc(count / 4)).compose(&doc(count));
    validate(net.as_net()).unwrap();
    assert_eq!(
        apply(&net, Some(&base)).unwrap().len(),
        format!("{{{}}}", members(0)).len() + members(count).len() + 1
    );

    let list = |from: usize| {
        let elements: Vec<String> = (from..from + count).map(|index| format!("\"{index}\"")).collect();
        format!("[{}]", elements.join(","))
    };
    let base = format!("{{\"a\":{}}}", list(0));
    let field = |section: &str, from: usize| update(&format!("{{\"{section}\":{{\"a\":{}}}}}", list(from)));
    let net = field("union", count / 2).compose(&field("union", count));
    let union = apply(&net, Some(&base)).unwrap();
    assert_eq!(union.matches(',').count() + 1, 2 * count);
    let net = field("subtract", 0).compose(&field("subtract", count / 2));
    assert_eq!(apply(&net, Some(&union)).unwrap().matches(',').count() + 1, count / 2);

    let pairs: Vec<String> = (0..count).map(|index| format!("[[\"s\",\"n{index}\"],{{}}]")).collect();
    let net = update(&format!("{{\"set\":[{}]}}", pairs.join(",")));
    assert_eq!(NetOperation::from_parts("update", text(&net).as_bytes()).unwrap(), net);
    let shuffled = |step: usize| {
        (0..count).map(|index| format!("\"{}\":1", index * step % count)).collect::<Vec<_>>().join(",")
    };
    let set = |step: usize| update(&format!("{{\"set\":[[[\"a\"],{{{}}}]]}}", shuffled(step)));
    let document = apply(&set(1), Some("{}")).unwrap();
    assert_eq!(apply(&set(7), Some(&document)).unwrap(), document);
}

#[test]
fn composing_reuses_its_output() {
    let one = update("{\"doc\":{\"a\":1}}");
    let two = update("{\"inc\":{\"b\":1}}");
    let mut out = vec![9; 100];
    let composed = compose(one.as_net(), two.as_net(), &mut out);
    assert_eq!((composed.misfits, composed.longest_run), (0, 1));
    assert_eq!(NetOperation::from_encoded(out.clone()), one.compose(&two));
}
