//! Submitting a net operation that this library wrote down: one of a dead letter.
//!
//! # Design
//! What folding made may be more than one submit takes: a sum has more digits than an operand may, an append to what was no list
//! nests deeper. So a net operation that was read back ([`NetOperation::from_parts`]) goes in as it is, past the checks of a body that
//! the reading was held to, and meets the same bounds of names and of memory as every other.
//!
//! # Invariants
//! 1. What is folded, sent and written to the journal is the net operation that was given.

use super::{Engine, submit::Ready};
use crate::{
    Action, NetOperation, Operation, Result, Ticket,
    operation::{check_id_and_routing, check_index},
    shard::TicketCell,
};
use std::sync::Arc;

impl Engine {
    /// Accepts a net operation as one operation, with a [`Ticket`] by which the caller learns what became of it. For what was folded
    /// before, and written down, as dead letters are: see [`NetOperation::from_parts`]. At the memory bound waits or hands back, as the
    /// handle was told ([`Engine::with_full`]).
    pub fn submit_net(
        &self,
        index: &str,
        id: &str,
        routing: Option<&str>,
        net: &NetOperation,
    ) -> Result<Ticket> {
        let mut body = Vec::new();
        net.write_body(&mut body);
        let action = match net.verb() {
            "index" => Action::Index(&body),
            "create" => Action::Create(&body),
            "update" => Action::Update(&body),
            _ => Action::Delete,
        };
        let operation = Operation { index, id, routing, action };
        let bank = &self.shared.bank;
        bank.latch.check()?;
        check_index(index)?;
        check_id_and_routing(&operation)?;
        self.check_size(&operation)?;
        let number = bank.indices.intern(index)?;
        let ready = Ready { index: number, place: bank.place(number, id) };
        let cell = Arc::new(TicketCell::default());
        let with = (self.shared.clock.moment(), None, &mut Vec::new());
        let put = self.put(&operation, ready, net.as_net(), Some(&cell), with)?;
        self.shared.acknowledge(put.written)?;
        Ok(Ticket::new(put.seq, cell, Arc::clone(&bank.latch)))
    }
}
