//! Tests of the algebra as a whole; those of one file stand beside it.

mod examples;
mod in_place;
mod laws;
mod limits;
mod twins;

use crate::{Action, Error, NetOperation, Result};

/// The net operation of an update's body.
fn update(body: &str) -> NetOperation {
    NetOperation::new(Action::Update(body.as_bytes())).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// Why an update's body is refused.
fn refusal(body: &str) -> Error {
    NetOperation::new(Action::Update(body.as_bytes())).expect_err(body)
}

fn index(document: &str) -> Result<NetOperation> {
    NetOperation::new(Action::Index(document.as_bytes()))
}

/// The document that an operation gives.
fn apply(net: &NetOperation, base: Option<&str>) -> Option<String> {
    let document = net.apply(base.map(str::as_bytes)).document?;
    Some(String::from_utf8(document.to_vec()).unwrap())
}

/// The body that an operation writes.
fn text(net: &NetOperation) -> String {
    let mut body = Vec::new();
    net.write_body(&mut body);
    String::from_utf8(body).unwrap()
}
