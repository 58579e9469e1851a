//! Commit, effects and compensations together: the machines of a coordinator and of two workers,
//! with crashes at every record.
//!
//! Everything that decides is real, the gate before the actions included; simulated are the wires,
//! the clocks, the disks, the programs, and who dies when. One seed decides everything.

mod cast;
mod node;
mod site;
mod truth;
mod world;

use votum_commit::Decision;

use world::{Crash, Ending, Play, Who, World};

#[test]
fn a_calm_job_ends_as_it_was_meant_to() {
    let mut undone = 0;
    for seed in 1..=20 {
        for ending in ENDINGS {
            let world = World::run(&Play { seed, ending, crash: None, faults: 0 });
            let commits = world.truth.decision == Some(Decision::Commit);
            match ending {
                Ending::Commits => assert!(commits),
                Ending::TaskFails | Ending::VotesNo => assert!(!commits),
                Ending::Cancelled(_) => {}
            }
            undone += world.truth.undone;
            assert!(world.truth.undone <= 1, "undone twice although nothing went wrong");
        }
    }
    assert!(undone >= 40, "only {undone} compensations");
}

#[test]
fn a_crash_at_every_record_changes_no_outcome() {
    let mut worlds = 0;
    for (seed, ending) in (1..).zip(ENDINGS) {
        let calm = Play { seed, ending, crash: None, faults: 0 };
        let length = World::run(&calm);
        for who in [Who::Chief, Who::Worker("a"), Who::Worker("b")] {
            for records in 1..=length.records(&who) {
                for (kept, delay) in [(false, 0), (false, 25), (true, 0)] {
                    let crash = Some(Crash { who: who.clone(), records, kept, delay });
                    World::run(&Play { crash, ..calm.clone() });
                    worlds += 1;
                }
            }
        }
    }
    assert!(worlds > 300, "{worlds}");
}

#[test]
fn crashes_and_cuts_at_any_time_change_no_outcome() {
    let seeds = std::env::var("VOTUM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 1..=seeds {
        for ending in ENDINGS {
            World::run(&Play { seed, ending, crash: None, faults: 6 });
        }
    }
}

const ENDINGS: [Ending; 5] = [
    Ending::Commits,
    Ending::TaskFails,
    Ending::VotesNo,
    Ending::Cancelled(60),
    Ending::Cancelled(130),
];

const SEEDS: u64 = 30;
