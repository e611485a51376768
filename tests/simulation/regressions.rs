//! What went wrong once and is short to tell, step by step. Each holds by the world's own checks.

use crate::simulation::{Answer, Config, Heard, Step, World, Write};

/// A partial document of one field.
const DOC: Write = Write { kind: 3, field: 0, value: 1, size: 0 };
/// A whole document of the same field with the same value.
const INDEX: Write = Write { kind: 0, ..DOC };
const CREATE: Write = Write { kind: 1, ..DOC };

fn submit(routing: u8, write: Write) -> Step {
    Step::Submit { key: 0, routing, tracked: true, write }
}

/// Everything that waits goes out and is done.
fn drain() -> Vec<Step> {
    let send = Step::Send { batch: 0, answers: vec![Answer::Done] };
    vec![Step::Flush, Step::Take, send, Step::Finish { batch: 0, heard: Heard::All }, Step::Take]
}

fn run(config: Config, steps: &[Step]) {
    let mut world = World::new(config);
    for step in steps {
        world.step(step);
    }
    world.end();
}

/// A patch that came with a routing of its own was read with it while it waited, and with the stored one once it had
/// settled as a noop; a create that met a document moved it.
#[test]
fn a_patch_leaves_a_document_the_routing_it_was_stored_with() {
    for documents in [true, false] {
        for write in [DOC, CREATE, Write { value: 2, ..DOC }] {
            let mut steps = vec![submit(1, INDEX)];
            steps.extend(drain());
            steps.extend([Step::Get(0), submit(2, write), Step::Get(0)]);
            steps.extend(drain());
            steps.extend([Step::Get(0), Step::Scan { index: 0, page: 1 }]);
            run(Config { documents, ..Config::default() }, &steps);
        }
    }
}

/// With nothing pending the watermark was the wall clock's time, whichever way that went.
#[test]
fn the_watermark_stands_where_it_is_when_the_wall_clock_steps_back() {
    let mut steps = vec![submit(0, INDEX)];
    steps.extend(drain());
    steps.extend([
        Step::Watermark,
        Step::Wall(-3_600_000_000),
        Step::Watermark,
        submit(0, DOC),
        Step::Watermark,
    ]);
    run(Config::default(), &steps);
}
