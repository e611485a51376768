//! Resident bytes per pending document: see `millpond_bench::table`, of which these are the rows of memory.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::table::show(&["zipf.pond", "zipf.baseline", "uniform.batches", "uniform.baseline"])
}
