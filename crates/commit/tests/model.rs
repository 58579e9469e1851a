//! Every interleaving of the real machines, within bounds.
//!
//! One coordinator and two or three workers vote on one job. Messages are
//! never removed from the net: each may come twice, late, in any order, or
//! never. Timers fire at any time. Every daemon may die before each record and
//! before each action; what no sync has covered is lost or kept. A disk may be
//! lost, a log may be put back. The counts are pinned: a change of the
//! protocol that nobody noticed changes them.
//!
//! `VOTUM_MODEL=long` also explores the spaces that take minutes.

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

use stateright::{Checker, HasDiscoveries, Model};

use bug::Bug;
use vote::{Ballot, Bounds, CALM};

#[test]
fn a_vote_without_faults_keeps_every_promise() {
    assert_eq!(explore(Ballot::new(Bounds { rounds: 3, ..CALM }).healing()), 45_220);
}

#[test]
fn every_promise_survives_a_crash_of_the_coordinator() {
    let bounds = Bounds { rounds: 2, chief_crashes: 1, ..CALM };
    assert_eq!(explore(Ballot::new(bounds).healing()), 20_458);
}

#[test]
fn every_promise_survives_a_crash_of_a_worker() {
    let bounds = Bounds { rounds: 2, worker_crashes: 1, ..CALM };
    assert_eq!(explore(Ballot::new(bounds).healing()), 64_915);
}

#[test]
fn every_promise_survives_a_crash_of_both() {
    let bounds = Bounds { rounds: 2, chief_crashes: 1, worker_crashes: 1, ..CALM };
    assert_eq!(explore(Ballot::new(bounds).healing()), 306_096);
}

#[test]
fn every_promise_survives_the_loss_of_a_disk() {
    let bounds = Bounds { rounds: 2, chief_crashes: 1, wipes: 1, ..CALM };
    assert_eq!(explore(Ballot::new(bounds).healing()), 135_650);
}

#[test]
fn a_log_that_was_put_back_contradicts_nobody() {
    let bounds = Bounds { rounds: 2, chief_crashes: 1, restores: 1, ..CALM };
    assert_eq!(explore(Ballot::new(bounds)), 38_687);
}

#[test]
fn a_reader_is_bound_by_nothing() {
    let bounds = Bounds { workers: 3, chief_crashes: 1, reads: Some(2), ..CALM };
    assert_eq!(explore(Ballot::new(bounds)), 10_640);
}

#[test]
fn a_failed_check_costs_the_job_and_nothing_else() {
    let bounds = Bounds { chief_crashes: 1, worker_crashes: 1, objects: Some(1), ..CALM };
    assert_eq!(explore(Ballot::new(bounds)), 16_071);
}

#[test]
fn three_workers_keep_every_promise() {
    let bounds = Bounds { workers: 3, chief_crashes: 1, ..CALM };
    assert_eq!(explore(Ballot::new(bounds).healing()), 23_415);
}

#[test]
fn whoever_is_given_up_is_told_the_same_as_everybody() {
    let bounds = Bounds { gives_up: true, ..CALM };
    let counts = [
        Bounds { chief_crashes: 1, ..bounds },
        Bounds { worker_crashes: 1, wipes: 1, ..bounds },
        Bounds { chief_crashes: 1, worker_crashes: 1, ..bounds },
    ];
    let counts = counts.map(|bounds| explore(Ballot::new(bounds).healing()));
    assert_eq!(counts, [2_436, 14_527, 12_782]);
}

#[test]
fn larger_worlds_keep_every_promise_as_well() {
    if std::env::var_os("VOTUM_MODEL").is_none_or(|length| length != "long") {
        return; // These take minutes.
    }
    let stormy = Bounds { chief_crashes: 1, worker_crashes: 1, ..CALM };
    let only = std::env::var("VOTUM_MODEL_WORLD").ok();
    let worlds = [
        ("three rounds", Bounds { rounds: 3, ..stormy }, 7_901_481),
        ("lost disk", Bounds { rounds: 2, wipes: 1, ..stormy }, 1_606_072),
        ("three workers", Bounds { workers: 3, ..stormy }, 300_004),
        ("three workers, lost disk", Bounds { workers: 3, wipes: 1, ..stormy }, 1_897_840),
        ("log put back", Bounds { rounds: 2, restores: 1, ..stormy }, 629_518),
        ("failed check", Bounds { rounds: 2, objects: Some(1), ..stormy }, 1_015_364),
    ];
    for (name, bounds, states) in worlds {
        if only.as_ref().is_none_or(|only| only == name) {
            assert_eq!(explore(Ballot::new(bounds)), states, "{name}");
        }
    }
}

#[test]
fn the_model_catches_votes_that_are_carried_over() {
    let bounds = Bounds { rounds: 2, ..CALM };
    catch(Bug::VotesCarriedOver, bounds, "a commit has every vote of its own round", 8);
}

#[test]
fn the_model_catches_a_commit_at_one_vote_less() {
    catch(Bug::CommitAtOneVoteLess, CALM, "a commit has every vote of its own round", 7);
}

#[test]
fn the_model_catches_a_commit_before_its_record() {
    catch(Bug::CommitBeforeItsRecord, CALM, "only what a durable commit names is published", 8);
}

#[test]
fn the_model_catches_a_yes_before_prepared() {
    catch(Bug::YesBeforePrepared, CALM, "a commit has every vote of its own round", 7);
}

#[test]
fn the_model_catches_a_unilateral_abort() {
    catch(Bug::UnilateralAbort, CALM, "no two participants finish differently", 11);
}

#[test]
fn the_model_catches_a_log_without_its_decision() {
    let bounds = Bounds { chief_crashes: 1, ..CALM };
    catch(Bug::LogWithoutItsDecision, bounds, "a job has one decision", 9);
}

#[test]
fn the_model_catches_a_refusal_that_is_not_forced() {
    let bounds = Bounds { worker_crashes: 1, ..CALM };
    catch(Bug::RefusalNotForced, bounds, "a refused round never commits", 10);
}

#[test]
fn the_model_catches_a_wiped_installation_that_refuses() {
    let bounds = Bounds { wipes: 1, ..CALM };
    catch(Bug::WipedInstallationRefuses, bounds, "a refused round never commits", 16);
}

#[test]
fn the_model_catches_an_acknowledgement_before_the_publication() {
    catch(Bug::AckBeforePublication, CALM, "an acknowledgement follows the publication", 8);
}

#[test]
fn the_model_catches_a_publication_before_committed() {
    let bounds = Bounds { worker_crashes: 1, ..CALM };
    catch(Bug::PublishBeforeCommitted, bounds, "no two participants finish differently", 16);
}

#[test]
fn the_model_catches_a_discard_on_round_ended() {
    let bounds = Bounds { rounds: 2, ..CALM };
    catch(Bug::DiscardOnRoundEnded, bounds, "no two participants finish differently", 14);
}

#[test]
fn the_model_catches_an_abort_after_commit() {
    catch(Bug::AbortAfterCommit, CALM, "a job has one decision", 13);
}

#[test]
fn the_model_catches_an_installation_that_is_not_checked() {
    let bounds = Bounds { wipes: 1, ..CALM };
    catch(Bug::InstallationNotChecked, bounds, "a commit has every vote of its own round", 9);
}

#[test]
fn the_model_catches_a_commit_that_is_forgotten_with_who_was_given_up() {
    let bounds = Bounds { gives_up: true, ..CALM };
    catch(Bug::GivenUpIsForgotten, bounds, "a commit ends when everybody has published", 11);
}

#[test]
fn the_model_catches_a_giving_up_before_the_decision() {
    let bounds = Bounds { gives_up: true, ..CALM };
    catch(Bug::GivenUpLeavesTheRound, bounds, "a commit has every vote of its own round", 8);
}

/// Explores everything within the bounds and returns the number of states.
fn explore(ballot: Ballot) -> usize {
    let checker = ballot.checker().spawn_bfs().join();
    for (claim, path) in checker.discoveries() {
        if checker.discovery_classification(claim).to_string() == "counterexample" {
            let turns = path.into_actions();
            let story: Vec<String> = turns.iter().map(|it| checker.model().tell(it)).collect();
            panic!("{claim}, but not after\n  {}", story.join("\n  "));
        }
    }
    checker.assert_properties();
    checker.unique_state_count()
}

/// Looks for a counterexample, and finds the shortest one where the bug is known to show.
fn catch(bug: Bug, bounds: Bounds, claim: &str, steps: usize) {
    let ballot = Ballot::with_bug(bounds, Some(bug));
    let checker = ballot.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found = checker.discoveries();
    let path = found.remove(claim).unwrap_or_else(|| panic!("{bug:?} breaks another promise"));
    assert_eq!(path.into_actions().len(), steps);
}
