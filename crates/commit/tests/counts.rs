//! What a vote costs, for one to five participants: the table of `protocol.md` §4.

mod world;

use world::World;

const ROLES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Returns a world whose job is staged at the first `n` roles.
fn staged(n: usize, suffix: &str) -> World {
    let mut world = World::new();
    let names: Vec<String> = ROLES[..n].iter().map(|role| format!("{role}{suffix}")).collect();
    world.command(&format!("workers {}", names.join(" ")));
    world.command("open");
    world
}

#[test]
fn a_commit_costs_one_and_two_n_writes() {
    for n in 1..=5 {
        let mut world = staged(n, "");
        world.command("stage");
        world.command("deliver");
        assert_eq!(world.tally(), (1, 2 * n, 4 * n), "{n} participants");
    }
}

#[test]
fn a_no_costs_one_write_for_each_yes() {
    for n in 1..=5 {
        let mut world = staged(n, "");
        world.command("fails alice TARGET_EXISTS");
        world.command("stage");
        for role in &ROLES[..n] {
            world.command(&format!("deliver {role}"));
        }
        // Everybody has voted; the No is counted last.
        for role in ROLES[..n].iter().rev() {
            world.command(&format!("deliver {role} -> C"));
        }
        world.command("deliver");
        assert_eq!(world.tally(), (1, n - 1, 3 * n - 1), "{n} participants");
    }
}

#[test]
fn a_vote_of_readers_only_forces_nothing() {
    for n in 1..=5 {
        let mut world = staged(n, "(reads)");
        world.command("stage");
        let end = world.command("deliver");
        assert!(end.ends_with("C  report Committed\n"), "{end}");
        assert_eq!(world.tally(), (0, 0, 2 * n), "{n} participants");
    }
}
