//! Every law of the algebra over a chain of operations drawn from the input: as the property tests, without end.
#![no_main]

mod judge;

use arbitrary::{Arbitrary, Result, Unstructured};
use judge::action::OwnedAction;
use judge::alphabet::{INCREMENTS, NAMES, NUMBERS, ODD_NAMES, STRINGS, WORDS};
use judge::plan::{Absent, PARTS, Plan, body, list, object, unique};
use judge::trial::Trial;
use libfuzzer_sys::fuzz_target;
use millpond::{NetOperation, fuzzing};

const CHAIN_MAX: usize = 8;
const MEMBERS_MAX: usize = 4;
const DEPTH_MAX: usize = 3;

#[derive(Debug)]
struct Input {
    base: Option<String>,
    chain: Vec<OwnedAction>,
    /// Room for folding in place.
    slack: u8,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let base = if u.ratio(7, 8)? { Some(document(u)?) } else { None };
        let length = u.int_in_range(1..=CHAIN_MAX)?;
        let chain = (0..length).map(|_| action(u)).collect::<Result<_>>()?;
        Ok(Self { base, chain, slack: u.arbitrary()? })
    }
}

fn action(u: &mut Unstructured<'_>) -> Result<OwnedAction> {
    Ok(match u.int_in_range(0..=10)? {
        0 => OwnedAction::Index(document(u)?),
        1 => OwnedAction::Create(document(u)?),
        2 => OwnedAction::Delete,
        _ => OwnedAction::Update(update(u)?),
    })
}

fn update(u: &mut Unstructured<'_>) -> Result<String> {
    let first = plan(u, 0)?;
    let followers = if u.ratio(1, 5)? { u.int_in_range(1..=2)? } else { 0 };
    let then = (0..followers).map(|_| plan(u, 0)).collect::<Result<Vec<_>>>()?;
    let absent = match u.int_in_range(0..=3)? {
        0 => Absent::Upsert(document(u)?),
        1 => Absent::DocAsUpsert,
        _ => Absent::Nothing,
    };
    let detect_noop = if u.ratio(1, 4)? { Some(u.arbitrary()?) } else { None };
    Ok(body(&first, &then, &absent, detect_noop))
}

fn plan(u: &mut Unstructured<'_>, depth: usize) -> Result<Vec<(String, Plan)>> {
    let count = u.int_in_range(0..=MEMBERS_MAX)?;
    let members = (0..count).map(|_| Ok((name(u)?, touch(u, depth)?))).collect::<Result<_>>()?;
    Ok(unique(members))
}

fn touch(u: &mut Unstructured<'_>, depth: usize) -> Result<Plan> {
    if depth + 1 < DEPTH_MAX && u.ratio(1, 3)? {
        return Ok(Plan::Level { in_doc: u.arbitrary()?, members: plan(u, depth + 1)? });
    }
    let part = *u.choose(&PARTS)?;
    let operand = match part {
        "doc" | "append" | "union" | "subtract" => {
            if u.arbitrary()? {
                scalar(u)?
            } else {
                items(u, depth)?
            }
        }
        "set" => value(u, depth)?,
        "inc" => (*u.choose(INCREMENTS)?).to_owned(),
        "min" | "max" => {
            let alphabet = if u.arbitrary()? { NUMBERS } else { STRINGS };
            (*u.choose(alphabet)?).to_owned()
        }
        _ => "true".to_owned(),
    };
    Ok(Plan::Leaf(part, operand))
}

fn document(u: &mut Unstructured<'_>) -> Result<String> {
    members(u, 0)
}

fn members(u: &mut Unstructured<'_>, depth: usize) -> Result<String> {
    let count = u.int_in_range(0..=MEMBERS_MAX)?;
    let members = unique((0..count).map(|_| Ok((name(u)?, value(u, depth + 1)?))).collect::<Result<_>>()?);
    Ok(object(members.iter().map(|(name, value)| (name, value.as_str())), u.arbitrary()?))
}

fn items(u: &mut Unstructured<'_>, depth: usize) -> Result<String> {
    let count = u.int_in_range(0..=MEMBERS_MAX)?;
    Ok(list(&(0..count).map(|_| value(u, depth + 1)).collect::<Result<Vec<_>>>()?, u.arbitrary()?))
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<String> {
    match u.int_in_range(0..=5)? {
        0 if depth < DEPTH_MAX => items(u, depth),
        1 | 2 if depth < DEPTH_MAX => members(u, depth),
        _ => scalar(u),
    }
}

fn scalar(u: &mut Unstructured<'_>) -> Result<String> {
    let alphabet = match u.int_in_range(0..=4)? {
        0 | 1 => NUMBERS,
        2 | 3 => STRINGS,
        _ => &WORDS[..],
    };
    Ok((*u.choose(alphabet)?).to_owned())
}

fn name(u: &mut Unstructured<'_>) -> Result<String> {
    let alphabet = if u.ratio(6, 7)? { &NAMES[..] } else { &ODD_NAMES[..] };
    Ok((*u.choose(alphabet)?).to_owned())
}

/// True where two operations are the same, of documents the spelling of equal values aside: then neither, as an update of
/// the other, changes anything.
fn same(one: &NetOperation, other: &NetOperation) -> bool {
    if one.verb() != "index" || other.verb() != "index" {
        return format!("{one:?}") == format!("{other:?}");
    }
    let text = |net: &NetOperation| {
        let mut body = Vec::new();
        net.write_body(&mut body);
        body
    };
    let changes = |base: &[u8], by: &[u8]| {
        let body = [&b"{\"doc\":"[..], by, b"}"].concat();
        let update = NetOperation::from_parts("update", &body).expect("it is well formed");
        update.apply(Some(base)).changed
    };
    let (one, other) = (text(one), text(other));
    !changes(&one, &other) && !changes(&other, &one)
}

/// Folding each operation into what those before it come to, where they stand, gives what composing gives.
fn folds_in_place(chain: &[OwnedAction], slack: usize) {
    let nets: Vec<NetOperation> =
        chain.iter().map(|action| NetOperation::new(action.action()).expect("it is well formed")).collect();
    let Some((first, rest)) = nets.split_first() else { return };
    let mut folded = first.clone();
    let mut waiting = fuzzing::Waiting::new(first, slack);
    for later in rest {
        let composed = folded.compose(later);
        waiting.fold(later).unwrap_or_else(|problem| panic!("{folded:?} then {later:?}: {problem}"));
        let found = waiting.joined();
        assert!(same(&found, &composed), "{folded:?} then {later:?}: {found:?} and not {composed:?}");
        assert_eq!(found.longest_run(), composed.longest_run(), "{folded:?} then {later:?}");
        folded = composed;
    }
}

fuzz_target!(|input: Input| {
    folds_in_place(&input.chain, usize::from(input.slack));
    Trial::new(input.base.as_deref(), &input.chain).obeys_every_law();
    if input.base.is_some() {
        Trial::new(None, &input.chain).obeys_every_law();
    }
});
