//! What the simulation is able to see: every planted bug is caught.

use std::time::Duration;

use votum_driver::Clock;

use super::{
    bug::Bug,
    campaign::play,
    play::{Ending, Fault, Play, Shape},
};

/// A bug, the seed that catches it, and the invariant that is broken first.
type Planted = (Bug, u64, &'static str);

#[test]
fn every_planted_bug_breaks_its_invariant() {
    for bug in Bug::ALL {
        let planted = PLANTED.iter().find(|(planted, ..)| *planted == bug);
        let (_, seed, invariant) = planted.unwrap_or_else(|| panic!("{bug:?} is not caught"));
        let asked = asked(bug, *seed);
        match play(&asked, false) {
            Ok(_) => panic!("{bug:?} is not caught by seed {seed}"),
            Err(failure) => assert_eq!(failure.violation.invariant, *invariant, "{bug:?}"),
        }
        // Without the bug the same seed breaks nothing.
        assert!(play(&Play { bug: None, ..asked }, false).is_ok(), "{bug:?}");
    }
}

/// Looks for the first seed that catches each bug, and tells what it took.
#[test]
#[ignore = "prints the table of docs/testing.md; cargo xtask sim --planted"]
fn the_first_seed_that_catches_each_bug() {
    let most =
        std::env::var("VOTUM_SIM_SCHEDULES").map_or(SEARCH_MAX, |most| most.parse().unwrap());
    println!("| planted bug | broken invariant | seed | time until caught |");
    println!("|---|---|---|---|");
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let clock = Clock::start();
        let caught = (1..=most).find_map(|seed| {
            play(&asked(bug, seed), false).err().map(|failure| (seed, failure.violation))
        });
        let took: Duration = clock.now().elapsed();
        match caught {
            Some((seed, broken)) => {
                println!("| {bug:?} | {} | {seed} | {took:.1?} |", broken.invariant);
                println!("<!-- {} -->", broken.said.chars().take(SAID_MAX).collect::<String>());
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not caught by {most} seeds: {missed:?}");
}

/// Returns what is played with a bug: what the seed stands for in a campaign, or what leads there.
fn asked(bug: Bug, seed: u64) -> Play {
    let drawn = Play { bug: Some(bug), ..Play::of(seed) };
    let leading = |kinds: &[Fault], rarity| Play {
        shape: Shape::Replicated,
        ending: Ending::Commits,
        faults: 4,
        rarity,
        kinds: kinds.to_vec(),
        delay: Duration::ZERO,
        forces: None,
        approval: None,
        ..drawn.clone()
    };
    match bug {
        // A publisher whose acknowledgement is lost is replaced, and comes back.
        Bug::NothingWithdrawn => leading(&[Fault::PartitionUp], 40),
        // Somebody is in doubt, and somebody else has not voted, while the coordinator is away.
        Bug::RefusalNotForced => leading(&[Fault::Loss, Fault::PartitionDown, Fault::Pause], 30),
        _ => drawn,
    }
}

/// Found by `cargo xtask sim --planted`.
const PLANTED: [Planted; 24] = [
    (Bug::CommitBeforeItsRecord, 1, "log_before_send"),
    (Bug::AnswerBeforeItsRecord, 41, "oracle"),
    (Bug::EffectBeforeTheDecision, 1, "effects"),
    (Bug::VotesCarriedOver, 78, "validity"),
    (Bug::CommitAtOneVoteLess, 1, "validity"),
    (Bug::ForgottenTooEarly, 3, "nobody_forgotten"),
    (Bug::PartialLog, 5, "fencing"),
    (Bug::FencingOff, 55, "replicas"),
    (Bug::ForgetsWhatIsDone, 22, "panic"),
    (Bug::ApprovalSkipped, 4, "approval"),
    (Bug::FailedSyncPassedOver, 66, "alarms"),
    (Bug::YesBeforePrepared, 1, "prepared_before_yes"),
    (Bug::SealedNotForced, 1, "sealed_before_told"),
    (Bug::ReplicaNotForced, 3, "sealed_before_told"),
    (Bug::RefusalNotForced, 11, "refusals"),
    (Bug::PublishBeforeCommitted, 1, "visibility"),
    (Bug::AckBeforePublication, 1, "ack_after_publication"),
    (Bug::UnilateralAbort, 3, "in_doubt"),
    (Bug::DiscardOnRoundEnded, 78, "discards"),
    (Bug::DiscardOnDisconnect, 3, "discards"),
    (Bug::KeyOfTheTry, 4, "requests"),
    (Bug::NothingWithdrawn, 22, "agreement"),
    (Bug::ForcedNotTold, 43, "liveness"),
    (Bug::EpochNotForced, 2, "epochs"),
];

/// So many seeds are tried for each bug.
const SEARCH_MAX: u64 = 20_000;
/// So many characters of what was broken are shown.
const SAID_MAX: usize = 150;
