//! Latency over time while a drain is running, as a drawing: see `millpond_bench::latency`.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::latency::run()
}
