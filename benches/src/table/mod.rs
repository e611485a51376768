//! All figures that are promised, in one command.
//!
//! # Design
//! Each figure comes from processes of its own (`child`, `measure`); the peers take turns, and a figure that is a ratio
//! is taken within a repetition, between neighbours in time. Of the repetitions the median counts, their spread is the noise.
//! A repetition counts only where the baseline and the validating floor are as fast as an idle machine lets them be, and
//! nothing counts unless the engine and the baseline come to the same documents.

mod check;
mod child;
mod figures;
mod measure;
mod options;
mod reads;
mod replay;
mod report;
mod rows;
mod run;
mod tail;

pub(crate) use figures::{Figures, median, spread};
pub(crate) use report::{between, short};
pub use run::{run, show};
pub use tail::Latencies;
