//! What stands between the tokens of a text that is looked at.
//!
//! # Design
//! A place in a text is what is left of it from there on. White space is rare, and its loop stands apart.

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

/// What follows the brace that opens an object, if one does.
#[inline(always)]
pub(in crate::merge) fn opened(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(b"{")
}

/// The bytes from a place up to a later one.
#[inline(always)]
pub(in crate::merge) fn until<'a>(from: &'a [u8], to: &[u8]) -> &'a [u8] {
    from.get(..from.len().wrapping_sub(to.len())).unwrap_or_default()
}

/// What follows a value.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) enum Next<'a> {
    /// Another member; what follows its opening quote, or another element.
    Item(&'a [u8]),
    /// Nothing; what follows the bracket that closes.
    Closed(&'a [u8]),
}

/// What is left after white space.
#[inline(always)]
pub(in crate::merge) fn space(rest: &[u8]) -> &[u8] {
    match rest {
        [first, ..] if *first > b' ' => rest,
        _ => far_space(rest),
    }
}

/// After a brace that opens or a comma: what follows a name's opening quote.
#[inline(always)]
pub(in crate::merge) fn name_after(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', name @ ..] => Some(name),
        _ => far_space(rest).strip_prefix(b"\""),
    }
}

/// After the value of a member: what follows.
#[inline(always)]
pub(in crate::merge) fn next_member(rest: &[u8]) -> Option<Next<'_>> {
    match space(rest) {
        [b',', next @ ..] => Some(Next::Item(name_after(next)?)),
        [b'}', after @ ..] => Some(Next::Closed(after)),
        _ => None,
    }
}

/// After a name: its value.
#[inline(always)]
pub(in crate::merge) fn value_after(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b':', value @ ..] => Some(space(value)),
        _ => far_space(rest).strip_prefix(b":").map(far_space),
    }
}

#[inline(never)]
fn far_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', after @ ..] = rest {
        rest = after;
    }
    rest
}
