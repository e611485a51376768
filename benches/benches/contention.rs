//! One and two writers while a drain is running: the latency of single submits. See `millpond_bench::table`, of which
//! these are the rows of contention.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond_bench::table::show(&[
        "zipf.pond",
        "zipf.baseline",
        "two.pond",
        "two.baseline",
        "tail.one.pond",
        "tail.one.baseline",
        "tail.pond",
        "tail.baseline",
    ])
}
