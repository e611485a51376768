//! Tests of the algebra as a whole; those of one file stand beside it.

mod examples;
mod laws;
mod limits;
