//! The table: all figures that are promised, in one command. See `millpond_bench::table`.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::table::run()
}
