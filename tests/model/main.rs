//! The whole engine as a state machine: any list of steps, done to an engine and to the sequential model at once.
//!
//! # Design
//! The same world and the same checks as the simulation's, driven by proptest: smaller, and a failure shrinks to the
//! few steps that matter. Every step can be done at every time, so steps may be left out anywhere. The reference
//! machine holds nothing but what the world is like: the model lives in the world, beside the engine, because what
//! is right depends on what the sink was told to answer.
#![expect(clippy::expect_used, reason = "a test fails by panicking, and clippy sees helpers as no tests")]

#[path = "../support/simulation/mod.rs"]
mod simulation;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config as Runner;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use simulation::{Answer, Config, End, Heard, KINDS, Reads, Step, World, Write};

/// What the world is like; see the module's design.
#[derive(Clone, Debug)]
struct Described(Config);

fn write() -> impl Strategy<Value = Write> {
    let size = prop_oneof![8 => Just(0), 1 => 0_u16..2_000, 1 => 10_000_u16..17_000];
    (0..KINDS, 0_u8..3, 0_u8..5, size).prop_map(|(kind, field, value, size)| Write {
        kind,
        field,
        value,
        size,
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        6 => Just(Answer::Done),
        1 => Just(Answer::Untold),
        1 => Just(Answer::Stale),
        1 => Just(Answer::Rejected),
        1 => proptest::option::of(0_u64..2_000_000).prop_map(Answer::Again),
        1 => Just(Answer::Lost),
        1 => Just(Answer::DoneUnheard),
        1 => any::<u8>().prop_map(Answer::Late),
    ]
}

fn key() -> impl Strategy<Value = u8> {
    0_u8..4
}

fn routing() -> impl Strategy<Value = u8> {
    prop_oneof![8 => Just(0), 1 => 1_u8..3]
}

/// What is submitted and asked.
fn calls() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (key(), routing(), any::<bool>(), write())
            .prop_map(|(key, routing, tracked, write)| Step::Submit { key, routing, tracked, write }),
        2 => vec((key(), routing(), write()), 1..5).prop_map(Step::Batch),
        6 => key().prop_map(Step::Get),
        1 => vec(key(), 0..4).prop_map(Step::GetMany),
        1 => (0_u8..2, 0_u8..3).prop_map(|(index, page)| Step::Scan { index, page }),
        1 => Just(Step::Flush),
        1 => Just(Step::Stats),
        2 => Just(Step::Watermark),
    ]
}

/// What happens around the engine.
fn events() -> impl Strategy<Value = Step> {
    let heard = prop_oneof![6 => Just(Heard::All), 1 => Just(Heard::TooFew), 1 => Just(Heard::Nothing)];
    let reads = select(vec![Reads::Work, Reads::Work, Reads::Fail, Reads::Flicker, Reads::Damaged]);
    prop_oneof![
        6 => prop_oneof![0_u64..1_000, 0_u64..1_000_000, 0_u64..10_000_000].prop_map(Step::Advance),
        1 => (-3_600_000_000_i64..3_600_000_000).prop_map(Step::Wall),
        8 => Just(Step::Take),
        8 => (0_u8..3, vec(answer(), 1..4)).prop_map(|(batch, answers)| Step::Send { batch, answers }),
        8 => (0_u8..3, heard).prop_map(|(batch, heard)| Step::Finish { batch, heard }),
        1 => reads.prop_map(Step::Reads),
        1 => any::<bool>().prop_map(Step::Letters),
    ]
}

impl ReferenceStateMachine for Described {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let sizes =
            (select(vec![1_usize, 3]), select(vec![1_usize, 1_000, 1 << 20]), select(vec![1_usize, 5]));
        let kinds = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let end = select(vec![End::Age, End::Close, End::Drop]);
        (sizes, kinds, end, any::<u8>())
            .prop_map(
                |(
                    (shards, batch_bytes, batch_operations),
                    (documents, base, forgets, keep_known),
                    end,
                    seed,
                )| {
                    let seed = u64::from(seed);
                    Self(Config {
                        seed,
                        shards,
                        batch_bytes,
                        batch_operations,
                        documents,
                        base,
                        forgets,
                        keep_known,
                        end,
                        ..Config::default()
                    })
                },
            )
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![60 => calls(), 60 => events(), 1 => Just(Step::Close)].boxed()
    }

    fn apply(state: Self, _: &Step) -> Self {
        state
    }
}

/// The engine, in its world.
struct Simulated;

impl StateMachineTest for Simulated {
    type SystemUnderTest = World;
    type Reference = Described;

    fn init_test(described: &Described) -> World {
        World::new(described.0.clone())
    }

    fn apply(mut world: World, _: &Described, step: Step) -> World {
        world.step(&step);
        world
    }

    fn check_invariants(world: &World, _: &Described) {
        world.engine().validate().expect("the invariants of the shards hold");
    }

    fn teardown(world: World, _: Described) {
        world.end();
    }
}

prop_state_machine! {
    #![proptest_config(Runner { cases: 1_000, max_shrink_iters: 20_000, ..Runner::default() })]

    #[test]
    fn an_engine_does_what_the_model_does(sequential 1..200 => Simulated);
}
