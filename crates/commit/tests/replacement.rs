//! Every interleaving of a publisher's replacement after the decision, with the real machines.
//!
//! Alice and Bob have promised, the commit is decided, and Carol, whom the round does not name,
//! holds a replica of what Alice promised. Alice may be declared lost at any moment although she
//! is there: then Carol or Bob publishes in her place, and Carol may be replaced by Bob in turn.
//! Messages are never removed from the net, so each may come twice, late, in any order, or never;
//! daemons die between any two steps and begin again from their logs.

#[path = "replacement/stage.rs"]
mod stage;

use stateright::{Checker, HasDiscoveries, Model};

use stage::{Bounds, Bug, Stage};

#[test]
fn every_promise_survives_a_replacement() {
    let bounds = Bounds { replacements: 1, forced: 0, worker_crashes: 0, chief_crashes: 0 };
    assert_eq!(explore(Stage::new(bounds, None)), 1018);
}

#[test]
fn every_promise_survives_a_crash_of_the_coordinator() {
    let bounds = Bounds { replacements: 1, forced: 0, worker_crashes: 0, chief_crashes: 1 };
    assert_eq!(explore(Stage::new(bounds, None)), 17116);
}

#[test]
fn every_promise_survives_a_crash_of_a_worker() {
    let bounds = Bounds { replacements: 1, forced: 0, worker_crashes: 1, chief_crashes: 0 };
    assert_eq!(explore(Stage::new(bounds, None)), 19921);
}

#[test]
fn whoever_took_over_is_replaced_in_turn() {
    let bounds = Bounds { replacements: 2, forced: 0, worker_crashes: 0, chief_crashes: 0 };
    assert_eq!(explore(Stage::new(bounds, None)), 5871);
}

#[test]
fn an_outcome_that_was_forced_meets_a_replacement() {
    let bounds = Bounds { replacements: 1, forced: 1, worker_crashes: 0, chief_crashes: 0 };
    assert_eq!(explore(Stage::new(bounds, None)), 12_839);
}

#[test]
fn a_forced_outcome_and_a_replacement_survive_a_crash_of_a_worker() {
    let bounds = Bounds { replacements: 1, forced: 1, worker_crashes: 1, chief_crashes: 0 };
    // What is farther away is the work of several seconds for each further step.
    assert_eq!(explore_to(9, Stage::new(bounds, None)), 8_202);
}

#[test]
fn the_model_catches_an_acknowledgement_of_the_replaced_one() {
    catch(Bug::OldAcknowledgementCounted, "everything committed is visible at its publisher");
}

#[test]
fn the_model_catches_a_word_before_its_record() {
    catch(Bug::ToldBeforeTheRecord, "nobody is told before the record");
}

#[test]
fn the_model_catches_a_publication_on_a_bare_peer_commit() {
    catch(Bug::PublishedOnPeerCommit, "a replaceable share is published on the coordinator's word");
}

#[test]
fn the_model_catches_two_publishers() {
    catch(Bug::NotTakenBack, "one publisher is visible once the commit is forgotten");
}

/// Explores everything within the bounds and returns the number of states.
fn explore(stage: Stage) -> usize {
    let checker = stage.checker().spawn_bfs().join();
    judge(&checker);
    checker.assert_properties();
    checker.unique_state_count()
}

/// Explores so many steps within the bounds and returns the number of states.
fn explore_to(depth: usize, stage: Stage) -> usize {
    let checker = stage.checker().target_max_depth(depth).spawn_bfs().join();
    judge(&checker);
    checker.unique_state_count()
}

fn judge(checker: &impl Checker<Stage>) {
    for (claim, path) in checker.discoveries() {
        if checker.discovery_classification(claim).to_string() == "counterexample" {
            panic!("{claim}, but not after\n  {:#?}", path.into_actions());
        }
    }
}

fn catch(bug: Bug, claim: &str) {
    let bounds = Bounds { replacements: 1, forced: 0, worker_crashes: 0, chief_crashes: 0 };
    let checker = Stage::new(bounds, Some(bug)).checker();
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    assert!(checker.discoveries().contains_key(claim), "{bug:?} breaks another promise");
}
