//! How small the journal's files stay while the sink is away: see `millpond_bench::folding`.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::folding::run(env!("CARGO_TARGET_TMPDIR"))
}
