//! One case of operations, for a count of instructions: see `millpond_bench::instructions`.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::instructions::run()
}
