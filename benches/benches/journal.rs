//! What the journal costs: see `millpond_bench::journal`.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::journal::run(env!("CARGO_TARGET_TMPDIR"))
}
