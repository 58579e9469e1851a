//! Every interleaving of what people force at participants in doubt, with the real machines.
//!
//! Alice and Bob have promised, and nothing is decided. Anybody may be forced to commit or to abort
//! at any moment at which it is in doubt; the job may be cancelled; the coordinator may open another round
//! after a crash. Messages are never removed from the net, so each may come twice, late, in any
//! order, or never; daemons die between any two steps and begin again from their logs.

#[path = "heuristics/stage.rs"]
mod stage;

use stateright::{Checker, HasDiscoveries, Model};

use stage::{Bounds, Bug, Stage};

#[test]
fn whoever_was_not_forced_obeys_the_decision() {
    let bounds = Bounds { forced: 2, worker_crashes: 0, chief_crashes: 0 };
    assert_eq!(explore(Stage::new(bounds, None)), 3_248);
}

#[test]
fn what_was_forced_survives_a_crash_of_its_worker() {
    let bounds = Bounds { forced: 1, worker_crashes: 1, chief_crashes: 0 };
    assert_eq!(explore(Stage::new(bounds, None)), 3_148);
}

#[test]
fn what_was_forced_meets_another_round() {
    let bounds = Bounds { forced: 1, worker_crashes: 0, chief_crashes: 1 };
    // What is farther away is the work of several seconds for each further step.
    assert_eq!(explore_to(10, Stage::new(bounds, None)), 16_424);
}

#[test]
fn the_model_catches_a_heuristic_that_spreads() {
    catch(Bug::Spreads, "whoever was not forced obeys the decision");
}

#[test]
fn the_model_catches_a_publication_before_its_record() {
    catch(Bug::BeforeTheRecord, "whatever is visible was decided or forced, by the log");
}

#[test]
fn the_model_catches_a_contradiction_that_is_not_told() {
    catch(Bug::NotTold, "a commit ends when everybody has published, or says why not");
}

#[test]
fn the_model_catches_a_word_that_is_forgotten_too_early() {
    catch(Bug::ForgottenEarly, "whatever was forced is noted before it is forgotten");
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
    let bounds = Bounds { forced: 1, worker_crashes: 1, chief_crashes: 0 };
    let checker = Stage::new(bounds, Some(bug)).checker();
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    assert!(checker.discoveries().contains_key(claim), "{bug:?} breaks another promise");
}
