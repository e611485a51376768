//! The source obeys the house rules: who may use whom, what may stand only where, how large things get.
//!
//! # Design
//! Each rule is a pure function from source text to a list of complaints, and two tests: one runs it over the
//! tree, the other shows that it bites. A complaint names the file, the line and what to do. The text is read with
//! comments, strings and characters blanked out ([`source`]), so that rules do not trip over prose.
//!
//! # Why not only lints
//! The compiler's lints hold what they can (`Cargo.toml`, `clippy.toml`). They know neither which module may use
//! which, nor how large a file may grow, nor whether a file is reached at all, nor what the papers claim.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test of the tree may panic where the tree is not as it should be"
)]

mod source;

mod bans;
mod modules;
mod papers;
mod reach;
mod sizes;

/// Fails with all complaints at once, and says what the rule is for.
#[track_caller]
fn hold(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}\n  {}\n", complaints.join("\n  "));
}
