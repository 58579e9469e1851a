//! Every interleaving of the real machines, within bounds.

#[path = "model/bits.rs"]
mod bits;
#[path = "model/bug.rs"]
mod bug;
#[path = "model/cast.rs"]
mod cast;
#[path = "model/fact.rs"]
mod fact;
#[path = "model/healing.rs"]
mod healing;
#[path = "model/history.rs"]
mod history;
#[path = "model/interner.rs"]
mod interner;
#[path = "model/tables.rs"]
mod tables;
#[path = "model/vote.rs"]
mod vote;

use stateright::{Checker, Model};
use vote::{Ballot, Bounds, CALM};

fn explore(ballot: Ballot) -> usize {
    let checker = ballot.checker().threads(2).spawn_bfs().join();
    for (name, path) in checker.discoveries() {
        let turns = path.into_actions();
        println!("{name}: {} steps", turns.len());
        if matches!(
            checker.discovery_classification(name),
            stateright::DiscoveryClassification::Counterexample
        ) {
            for turn in turns {
                println!("   {}", checker.model().tell(&turn));
            }
        }
    }
    println!(
        "unique {} total {} depth {} chiefs {} participants {} letters {} facts {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        checker.model().world.tables.chiefs.len(),
        checker.model().world.tables.participants.len(),
        checker.model().world.tables.letters.len(),
        checker.model().world.facts.len()
    );
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn explore_env() {
    let v: Vec<u8> = std::env::var("B")
        .unwrap_or("2,1,0,0,0,0".into())
        .split(',')
        .map(|x| x.parse().unwrap())
        .collect();
    let b = Bounds {
        workers: v[0] as usize,
        rounds: v[1],
        chief_crashes: v[2],
        worker_crashes: v[3],
        wipes: v[4],
        restores: v[5],
        ..CALM
    };
    let mut m = Ballot::new(b);
    if std::env::var("HEAL").is_ok() {
        m = m.healing();
    }
    explore(m);
}
