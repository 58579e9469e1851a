//! Every interleaving of the settlement with its world, within bounds.
//!
//! One decided job, one or two workers, one person. Frames of a session may come twice, late, in
//! any order, or never. Deadlines pass at any time. The coordinator may die before and after each
//! record and after every prefix of the actions; what no sync has covered is lost or kept. Workers
//! may fall silent, crash, or lose their data. From every state that is reached the world heals,
//! and every hook must come to its end. The counts are pinned: a change that nobody noticed
//! changes them.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a failing test stops")]

#[path = "model/bug.rs"]
mod bug;
#[path = "settle/cast.rs"]
#[expect(dead_code, reason = "the transcripts use the rest of it")]
mod cast;
#[path = "model/chief.rs"]
mod chief;
#[path = "model/healing.rs"]
mod healing;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/search.rs"]
mod search;
#[path = "model/site.rs"]
mod site;
#[path = "model/turn.rs"]
mod turn;

use bug::Bug;
use chief::{Bounds, CALM, Cluster};
use search::{explore, find};

#[test]
fn an_aborted_job_survives_crashes_of_coordinator_and_worker() {
    let bounds = Bounds { chief_crashes: 1, site_crashes: 1, ..CALM };
    assert_eq!(explore(Cluster::new("abort", &ABORTED, bounds)), 119_619);
}

#[test]
fn an_aborted_job_survives_the_loss_of_a_disk() {
    let bounds = Bounds { wipes: 1, repeats: 1, ..CALM };
    assert_eq!(explore(Cluster::new("abort", &ABORTED, bounds)), 74_083);
}

#[test]
fn an_aborted_job_obeys_a_person() {
    let bounds = Bounds { chief_crashes: 1, resolutions: 1, strandings: 1, ..CALM };
    assert_eq!(explore(Cluster::new("abort", &UNDONE, bounds)), 23_914);
}

#[test]
fn a_committed_job_survives_two_crashes_of_the_coordinator() {
    let bounds = Bounds { chief_crashes: 2, site_crashes: 1, ..CALM };
    assert_eq!(explore(Cluster::new("commit", &COMMITTED, bounds)), 8_969);
}

#[test]
fn a_committed_job_survives_silence_and_repeats() {
    let bounds = Bounds { chief_crashes: 1, leaves: 1, repeats: 1, ..CALM };
    assert_eq!(explore(Cluster::new("commit", &PARKING, bounds)), 5_186);
}

#[test]
fn a_committed_job_obeys_a_person() {
    let bounds = Bounds { chief_crashes: 1, resolutions: 1, ..CALM };
    assert_eq!(explore(Cluster::new("commit", &COMMITTED, bounds)), 21_089);
}

#[test]
fn compensations_keep_their_order() {
    let bounds = Bounds { chief_crashes: 1, resolutions: 1, ..CALM };
    assert_eq!(explore(Cluster::new("abort", &CHAIN, bounds)), 68_667);
}

#[test]
fn a_second_worker_takes_over_from_a_lost_one() {
    let bounds = Bounds { workers: 2, chief_crashes: 1, leaves: 1, ..CALM };
    assert_eq!(explore(Cluster::new("commit", &MOVING, bounds)), 51_362);
}

#[test]
fn a_second_worker_undoes_what_a_lost_one_did() {
    let bounds = Bounds { workers: 2, wipes: 1, leaves: 1, ..CALM };
    assert_eq!(explore(Cluster::new("abort", &ELSEWHERE, bounds)), 28_812);
}

#[test]
fn the_model_catches_effects_of_the_other_decision() {
    let bounds = Bounds { chief_crashes: 1, ..CALM };
    catch(Bug::DecisionTurned, &Cluster::new("abort", &ABORTED, bounds), OTHER_DECISION);
}

#[test]
fn the_model_catches_a_key_that_changes() {
    catch(Bug::KeyPerTry, &Cluster::new("commit", &WEBHOOK, CALM), SAME_BYTES);
}

#[test]
fn the_model_catches_a_start_before_its_intent_is_durable() {
    let bounds = Bounds { chief_crashes: 1, workers: 2, ..CALM };
    catch(Bug::StartBeforeIntent, &Cluster::new("commit", &MOVING, bounds), AT_ONCE);
}

#[test]
fn the_model_catches_a_worker_that_is_given_up_too_early() {
    let bounds = Bounds { workers: 2, ..CALM };
    catch(Bug::LostWhileConnected, &Cluster::new("commit", &MOVING, bounds), AT_ONCE);
}

#[test]
fn the_model_catches_a_report_that_counts_for_another_try() {
    let bounds = Bounds { workers: 2, leaves: 1, ..CALM };
    catch(Bug::TokensNotCompared, &Cluster::new("commit", &TIRELESS, bounds), AT_ONCE);
}

#[test]
fn the_model_catches_an_acknowledgement_before_its_record_is_durable() {
    let bounds = Bounds { chief_crashes: 1, ..CALM };
    catch(Bug::AckBeforeRecord, &Cluster::new("commit", &PARKING, bounds), FORGOTTEN);
}

#[test]
fn the_model_catches_a_case_that_is_repeated_without_a_person() {
    catch(Bug::ParkingIgnored, &Cluster::new("commit", &PARKING, CALM), DONE_TWICE);
}

#[test]
fn the_model_catches_a_resolution_that_is_not_forced() {
    let bounds = Bounds { chief_crashes: 1, leaves: 1, resolutions: 1, ..CALM };
    catch(Bug::ResolutionNotForced, &Cluster::new("commit", &PARKING, bounds), UNDONE_BY_A_CRASH);
}

#[test]
fn the_model_catches_a_resolution_that_a_try_follows() {
    let bounds = Bounds { resolutions: 1, ..CALM };
    let cluster = Cluster::new("commit", &COMMITTED, bounds);
    catch(Bug::ClosedIsRetried, &cluster, TRIED_AFTER_CLOSED);
}

#[test]
fn the_model_catches_compensations_without_order() {
    catch(Bug::OrderForgotten, &Cluster::new("abort", &CHAIN, CALM), OUT_OF_ORDER);
}

#[test]
fn the_model_catches_a_request_that_is_never_asked_after() {
    let bounds = Bounds { chief_crashes: 1, ..CALM };
    catch(Bug::NotResumed, &Cluster::new("commit", &COMMITTED, bounds), NO_END);
}

#[test]
fn the_model_catches_an_inventory_without_end() {
    let bounds = Bounds { leaves: 1, ..CALM };
    catch(Bug::InventoryWithoutEnd, &Cluster::new("commit", &COMMITTED, bounds), NO_END);
}

#[test]
fn the_model_catches_a_loss_that_is_told_once() {
    let bounds = Bounds { leaves: 1, ..CALM };
    catch(Bug::LossToldOnce, &Cluster::new("commit", &TWO_AT_ONCE, bounds), LEFT_BEHIND);
}

/// Looks for the break of one promise.
fn catch(bug: Bug, cluster: &Cluster, promise: &str) {
    let broken = find(cluster.clone().with(bug));
    let broken = broken.unwrap_or_else(|| panic!("{bug:?} breaks nothing"));
    assert!(broken.promise == promise, "{bug:?} breaks another promise: {broken}");
}

const OTHER_DECISION: &str = "no hook of the other decision is begun";
const SAME_BYTES: &str = "every try of a hook has the same key and bytes";
const AT_ONCE: &str = "two tries of a hook never run at once";
const DONE_TWICE: &str = "what a person shall decide is not repeated without one";
const FORGOTTEN: &str = "what was acknowledged as done is not tried again";
const LEFT_BEHIND: &str = "a loss leaves nothing on its worker that may run elsewhere";
const UNDONE_BY_A_CRASH: &str = "a resolution outlives a crash";
const TRIED_AFTER_CLOSED: &str = "nothing is tried once a person has closed it";
const OUT_OF_ORDER: &str = "a hook is tried only when what it follows is still";
const NO_END: &str = "when faults stop every hook comes to its end";

const ABORTED: [&str; 5] = [
    "task book undone attempts 2",
    "started book by alice 0.1",
    "effect cry at abort webhook park attempts 1",
    "effect mail at commit webhook",
    "effect pay at commit",
];
const UNDONE: [&str; 2] = ["task book undone attempts 2", "started book by alice 0.1"];
const COMMITTED: [&str; 5] = [
    "task book undone",
    "started book by alice 0.1",
    "effect mail at commit webhook needs pay attempts 1",
    "effect pay at commit park attempts 2",
    "effect cry at abort webhook",
];
const CHAIN: [&str; 4] = [
    "task book undone attempts 1",
    "task pay after book undone attempts 1",
    "started book by alice 0.1",
    "started pay by alice 0.2",
];
const MOVING: [&str; 1] = ["effect mail at commit attempts 2"];
const TIRELESS: [&str; 1] = ["effect mail at commit attempts 3"];
const WEBHOOK: [&str; 1] = ["effect mail at commit webhook attempts 2"];
const ELSEWHERE: [&str; 2] = ["task book undone elsewhere attempts 2", "started book by alice 0.1"];
const PARKING: [&str; 1] = ["effect pay at commit park attempts 2"];
const TWO_AT_ONCE: [&str; 2] =
    ["effect mail at commit attempts 2", "effect pay at commit attempts 2"];
