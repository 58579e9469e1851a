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
    let checker = ballot.checker().threads(1).spawn_bfs().join();
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

#[test]
fn measure() {
    use std::collections::{HashSet, HashMap, VecDeque};
    let v: Vec<u8> = std::env::var("B").unwrap_or("2,1,0,0,0,0".into()).split(',').map(|x| x.parse().unwrap()).collect();
    let limit: usize = std::env::var("L").unwrap_or("200000".into()).parse().unwrap();
    let b = Bounds { workers: v[0] as usize, rounds: v[1], chief_crashes: v[2], worker_crashes: v[3], wipes: v[4], restores: v[5], ..CALM };
    let m = Ballot::new(b);
    let mut seen = HashSet::new(); let mut q = VecDeque::new();
    for s in m.init_states() { seen.insert(s); q.push_back(s); }
    let mut depth_trans = 0usize;
    while let Some(s) = q.pop_front() {
        if seen.len() > limit { break; }
        let mut a = vec![]; m.actions(&s, &mut a);
        for t in a { if let Some(n) = m.next_state(&s, t) { depth_trans += 1; if seen.insert(n) { q.push_back(n); } } }
    }
    let p = |f: &dyn Fn(&history::History) -> String| -> usize { seen.iter().map(|s| f(s)).collect::<HashSet<_>>().len() };
    println!("states {} frontier {} trans {}", seen.len(), q.len(), depth_trans);
    println!("machines {}", p(&|s| format!("{:?}", (s.chief.machine, s.workers.map(|w| w.machine)))));
    println!("machines+facts {}", p(&|s| format!("{:?}", (s.chief.machine, s.workers.map(|w| w.machine), s.facts))));
    println!("machines+net {}", p(&|s| format!("{:?}", (s.chief.machine, s.workers.map(|w| w.machine), s.net))));
    println!("sites {}", p(&|s| format!("{:?}", (s.chief, s.workers))));
    println!("sites+facts {}", p(&|s| format!("{:?}", (s.chief, s.workers, s.facts))));
    println!("nologs {}", p(&|s| format!("{:?}", (s.chief.machine, s.workers.map(|w| w.machine), s.facts, s.net))));
    let mut per: HashMap<(u16, [u16;3]), usize> = HashMap::new();
    for s in &seen { *per.entry((s.chief.machine, s.workers.map(|w| w.machine))).or_default() += 1; }
    let (k, n) = per.iter().max_by_key(|(_, n)| **n).unwrap();
    println!("worst {n}: chief {:?}\n w0 {:?}\n w1 {:?}", m.world.tables.chiefs.value(k.0).phase(&cast::job()), m.world.tables.participants.value(k.1[0]), m.world.tables.participants.value(k.1[1]));
    let group: Vec<_> = seen.iter().filter(|s| (s.chief.machine, s.workers.map(|w| w.machine)) == *k).collect();
    for l in 0..m.world.tables.letters.len() as u16 { let c = group.iter().filter(|s| s.net.contains(l)).count(); if c > 0 && c < group.len() { println!("  letter in {c}: {:?}", short(&format!("{:?}", m.world.tables.letters.value(l)))); } }
    for l in 0..m.world.facts.len() as u16 { let c = group.iter().filter(|s| s.facts.contains(l)).count(); if c > 0 && c < group.len() { println!("  fact in {c}: {:?}", m.world.facts.value(l)); } }
}
fn short(s: &str) -> String { let s = s.replace("Installation", "I"); s.chars().take(230).collect() }
