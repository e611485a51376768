//! The table: see `millpond_bench::table`.

use millpond_bench::table::{child, figures::Figures, measure::{Job, PeerKind, Task}};
use millpond_bench::workload::{Keys, Mix, Plan};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(answer) = child::answer(&arguments) {
        match answer { Ok(text) => print!("{text}"), Err(e) => { eprintln!("{e}"); std::process::exit(1) } }
        return;
    }
    let plan = Plan { documents: 1_000_000, operations: 5_000_000, keys: Keys::Zipf, mix: Mix::Updates, seed: 1 };
    for (task, plan) in [(Task::Single, plan), (Task::Batches, plan), (Task::Single, Plan{keys: Keys::Uniform, ..plan}), (Task::Single, Plan{mix: Mix::Counters, ..plan})] {
        for peer in PeerKind::ALL {
            let f: Figures = Job{task, peer, plan, writers:1}.run().unwrap();
            println!("{task:?} {:?} {:?} {peer:?}: {:?}", plan.keys, plan.mix, f);
        }
    }
}
