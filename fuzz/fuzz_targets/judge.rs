//! The judge of the property tests, for the fuzz targets: the same model, the same laws.
#![allow(dead_code, unused_imports, reason = "each target uses its own part of the judge")]

#[path = "../../tests/support/action.rs"]
pub mod action;
#[path = "../../tests/support/alphabet.rs"]
pub mod alphabet;
#[path = "../../tests/support/model.rs"]
pub mod model;
#[path = "../../tests/support/plan.rs"]
pub mod plan;
#[path = "../../tests/support/trial.rs"]
pub mod trial;
