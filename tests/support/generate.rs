//! Proptest strategies for documents, bodies and chains of operations.
//!
//! # Design
//! Everything is JSON text, so that spellings survive: `1.10`, `"\u0061"`, lone surrogates, blanks. Names and values
//! come from small alphabets, so that operations collide. A body is drawn as one [`Plan`], in which each path has one
//! touch.

use super::action::OwnedAction;
use super::alphabet::{INCREMENTS, NAMES, NUMBERS, ODD_NAMES, STRINGS, WORDS};
use super::plan::{Absent, PARTS, Plan, body, list, object, unique};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Mostly plain names, sometimes odd ones.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![12 => select(&NAMES[..]), 2 => select(&ODD_NAMES[..])].prop_map(str::to_owned)
}

pub fn number() -> impl Strategy<Value = String> {
    select(NUMBERS).prop_map(str::to_owned)
}

pub fn increment() -> impl Strategy<Value = String> {
    select(INCREMENTS).prop_map(str::to_owned)
}

pub fn string() -> impl Strategy<Value = String> {
    select(STRINGS).prop_map(str::to_owned)
}

pub fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => number(),
        3 => string(),
        2 => select(&WORDS[..]).prop_map(str::to_owned),
    ]
}

fn list_of(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec(item, 0..4), any::<bool>()).prop_map(|(items, spaced)| list(&items, spaced))
}

fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec((name(), value), 0..4), any::<bool>())
        .prop_map(|(members, spaced)| object(unique(members).iter().map(|(n, v)| (n, v.as_str())), spaced))
}

/// Any JSON value, at most three levels deep.
pub fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(2, 12, 3, |inner| prop_oneof![2 => list_of(inner.clone()), 3 => object_of(inner)])
}

pub fn document() -> impl Strategy<Value = String> {
    object_of(value())
}

/// A base: usually a document, sometimes nothing.
pub fn base() -> impl Strategy<Value = Option<String>> {
    option::weighted(0.85, document())
}

fn list_operand() -> impl Strategy<Value = String> {
    prop_oneof![2 => list_of(value()), 2 => scalar()]
}

fn leaf(parts: &'static [&'static str]) -> impl Strategy<Value = Plan> {
    select(parts).prop_flat_map(|part| {
        let operand = match part {
            "doc" => prop_oneof![3 => scalar(), 1 => list_of(value())].boxed(),
            "set" => value().boxed(),
            "inc" => increment().boxed(),
            "append" | "union" | "subtract" => list_operand().boxed(),
            "min" | "max" => prop_oneof![number(), string()].boxed(),
            _ => Just("true".to_owned()).boxed(),
        };
        operand.prop_map(move |operand| Plan::Leaf(part, operand))
    })
}

/// A plan whose touches are of the given parts.
fn plan(parts: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, Plan)>> {
    let node = leaf(parts).prop_recursive(2, 10, 3, |inner| {
        (any::<bool>(), vec((name(), inner), 0..3))
            .prop_map(|(in_doc, members)| Plan::Level { in_doc, members: unique(members) })
    });
    vec((name(), node), 0..4).prop_map(unique)
}

/// The body of an update made of the given parts.
pub fn body_of(parts: &'static [&'static str]) -> impl Strategy<Value = String> {
    let absent = prop_oneof![
        2 => Just(Absent::Nothing),
        1 => document().prop_map(Absent::Upsert),
        1 => Just(Absent::DocAsUpsert),
    ];
    let then = prop_oneof![4 => Just(Vec::new()), 1 => vec(plan(parts), 1..3)];
    let detect_noop = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (plan(parts), then, absent, detect_noop)
        .prop_map(|(plan, then, absent, detect_noop)| body(&plan, &then, &absent, detect_noop))
}

/// Any operation: updates mostly, for those are what folds.
pub fn action() -> impl Strategy<Value = OwnedAction> {
    action_of(&PARTS)
}

/// Any operation whose updates have only the given parts.
pub fn action_of(parts: &'static [&'static str]) -> impl Strategy<Value = OwnedAction> {
    prop_oneof![
        8 => body_of(parts).prop_map(OwnedAction::Update),
        1 => document().prop_map(OwnedAction::Index),
        1 => document().prop_map(OwnedAction::Create),
        1 => Just(OwnedAction::Delete),
    ]
}

/// Operations in order, on one key.
pub fn chain(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<OwnedAction>> {
    vec(action(), length)
}
