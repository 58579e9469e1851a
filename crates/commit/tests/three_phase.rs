//! An experiment: three-phase commit, plain and with quorums, in every order of events within bounds.
//!
//! No daemon contains any of this. Plain three-phase commit ends without its
//! coordinator as long as silence means death, and contradicts itself in one
//! partition. With quorums it never does, and whoever is not with a quorum
//! waits. `docs/decisions/0025-three-phase-commit-is-an-experiment.md` says what
//! follows from that. The counts are pinned.

#[path = "three_phase/cast.rs"]
mod cast;
#[path = "three_phase/chance.rs"]
mod chance;
#[path = "three_phase/healing.rs"]
mod healing;
#[path = "three_phase/naive.rs"]
mod naive;
#[path = "three_phase/quorum.rs"]
mod quorum;
#[path = "three_phase/story.rs"]
mod story;
#[path = "three_phase/trial.rs"]
mod trial;
#[path = "three_phase/word.rs"]
mod word;

use std::collections::VecDeque;

use stateright::{Checker, Model, Property};

use cast::{COORDINATOR, Place, Places};
use chance::Chance;
use healing::faults;
use naive::NaiveSite;
use quorum::{Bug, QuorumSite, Rules};
use story::{Found, assert_told, tell};
use trial::{Bounds, CALM, History, Trial, Turn, Weather};
use word::{Decision, Event, Letter, Site};

#[test]
fn naive_sites_that_only_crash_agree_and_never_wait() {
    let bounds = Bounds { crashes: 2, objects: Some(Place(2)), ..CALM };
    assert_eq!(explore(Trial::new(bounds, 3, never_waiting)), 888);
    let bounds = Bounds { sites: 4, crashes: 3, objects: Some(Place(3)), ..CALM };
    assert_eq!(explore(Trial::new(bounds, 4, never_waiting)), 17_429);
}

#[test]
fn naive_sites_diverge_when_they_are_cut_in_two() {
    let found = shortest(Bounds { cuts: 1, ..CALM }, 3, agreement::<NaiveSite>);
    assert_told("naive_partition", NAIVE_PARTITION, &found);
    assert_eq!(found.turns.len(), 10);
}

#[test]
fn naive_sites_diverge_when_timeouts_are_wrong() {
    let found = shortest(Bounds { mistakes: 2, ..CALM }, 3, agreement::<NaiveSite>);
    assert_told("naive_mistakes", NAIVE_MISTAKES, &found);
    assert_eq!(found.turns.len(), 7);
}

#[test]
fn quorum_sites_agree_where_naive_sites_diverge() {
    let bounds = Bounds { cuts: 2, crashes: 1, timeouts: Some(3), ..CALM };
    assert_eq!(explore(Trial::new(bounds, Rules::majority(3), cut_off)), 115_333);
}

#[test]
fn a_majority_decides_while_the_coordinator_waits() {
    let bounds = Bounds { cuts: 2, timeouts: Some(3), ..CALM };
    let found = shortest(bounds, Rules::majority(3), || vec![others_decide(Decision::Commit)]);
    assert_told("quorum_commits", QUORUM_COMMITS, &found.joined());
    let found = shortest(bounds, Rules::majority(3), || vec![others_decide(Decision::Abort)]);
    assert_told("quorum_aborts", QUORUM_ABORTS, &found.joined());
}

#[test]
fn quorum_sites_agree_in_any_storm() {
    let bounds = Bounds { timeouts: Some(3), crashes: 1, ..STORMY };
    assert_eq!(explore(Trial::new(bounds, Rules::majority(3), storm)), 94_126);
    let bounds = Bounds { timeouts: Some(2), crashes: 2, objects: Some(Place(2)), ..STORMY };
    assert_eq!(explore(Trial::new(bounds, Rules::majority(3), storm)), 18_965);
}

#[test]
fn four_quorum_sites_agree_in_any_storm() {
    let bounds = Bounds { sites: 4, timeouts: Some(1), crashes: 1, ..STORMY };
    assert_eq!(explore(Trial::new(bounds, Rules::majority(4), storm)), 11_017);
    let bounds = Bounds { sites: 4, timeouts: Some(2), ..STORMY };
    let abort_is_easier = Rules { commit: 3, abort: 2, ..Rules::majority(4) };
    assert_eq!(explore(Trial::new(bounds, abort_is_easier, storm)), 179_837);
}

#[test]
fn forgotten_letters_would_make_no_difference() {
    let bounds = Bounds { timeouts: Some(1), crashes: 1, ..STORMY };
    let trial = Trial { forgets: false, ..Trial::new(bounds, Rules::majority(3), storm) };
    assert_eq!(explore(trial), 7_066);
}

#[test]
fn five_quorum_sites_agree_in_random_long_storms() {
    let bounds = Bounds { sites: 5, timeouts: Some(20), crashes: 10, ..STORMY };
    let chance = |rules| {
        let trial = Trial::new(bounds, rules, promises::<QuorumSite>);
        trial.checker().target_state_count(STEPS).spawn_simulation(SEED, Chance).join()
    };
    chance(Rules::majority(5)).assert_properties();
    let found = chance(Rules { commit: 2, abort: 2, ..Rules::majority(5) });
    assert!(found.discovery(AGREEMENT).is_some(), "a mistake is not found by chance");
}

#[test]
fn longer_storms_make_no_difference() {
    if std::env::var_os("VOTUM_MODEL").is_none_or(|length| length != "long") {
        return; // These take minutes.
    }
    let worlds = [
        (Bounds { timeouts: Some(4), crashes: 1, ..STORMY }, 562_569),
        (Bounds { timeouts: Some(3), crashes: 3, ..STORMY }, 199_469),
        (Bounds { sites: 4, timeouts: Some(2), ..STORMY }, 125_131),
        (Bounds { sites: 4, timeouts: Some(2), crashes: 1, ..STORMY }, 304_944),
        (Bounds { sites: 5, timeouts: Some(1), ..STORMY }, 105_894),
    ];
    for (bounds, states) in worlds {
        let trial = Trial::new(bounds, Rules::majority(bounds.sites), storm);
        assert_eq!(explore(trial), states, "{bounds:?}");
    }
}

#[test]
fn the_exploration_catches_quorums_that_do_not_meet() {
    let rules = Rules { commit: 2, abort: 2, ..Rules::majority(4) };
    let bounds = Bounds { sites: 4, cuts: 1, timeouts: Some(2), ..CALM };
    let found = shortest(bounds, rules, agreement::<QuorumSite>);
    assert_told("quorums_that_do_not_meet", QUORUMS_THAT_DO_NOT_MEET, &found);
    assert_eq!(found.turns.len(), 15);
}

#[test]
fn the_exploration_catches_an_old_epoch_that_is_obeyed() {
    assert_eq!(catch(Bug::OldEpochObeyed, 0, agreement), 12);
}

#[test]
fn the_exploration_catches_a_promise_that_is_not_forced() {
    assert_eq!(catch(Bug::PromiseNotForced, 1, agreement), 13);
}

#[test]
fn the_exploration_catches_sides_that_are_kept() {
    assert_eq!(catch(Bug::SidesAreKept, 0, || vec![healing()]), 11);
}

#[test]
fn the_third_phase_costs_a_round_trip_and_a_record() {
    // For each of three workers: Prepare, Yes, Precommit, Ack, Commit. Two-phase
    // commit does without the third and the fourth.
    assert_eq!(price::<NaiveSite>(4, 4), Price { letters: 3 * 5, forced: 4 * 3 });
    assert_eq!(price::<QuorumSite>(4, Rules::majority(4)), Price { letters: 3 * 5, forced: 4 * 3 });
}

/// What both variants promise, and what both reach.
fn promises<S: Site>() -> Vec<Property<Trial<S>>> {
    let mut claims = agreement();
    claims.extend([
        Property::always("a commit has everybody's Yes", |_, history: &History<S>| {
            history.is_valid()
        }),
        Property::sometimes("all commit", |_, history: &History<S>| {
            history.sites.iter().all(|site| site.decision() == Some(Decision::Commit))
        }),
        Property::sometimes("all abort", |_, history: &History<S>| {
            history.sites.iter().all(|site| site.decision() == Some(Decision::Abort))
        }),
    ]);
    claims
}

fn agreement<S: Site>() -> Vec<Property<Trial<S>>> {
    vec![Property::always(AGREEMENT, |_, history: &History<S>| history.agrees())]
}

fn never_waiting() -> Vec<Property<Trial<NaiveSite>>> {
    let mut claims = promises();
    claims.push(Property::always(
        "whoever lives decides",
        |trial: &Trial<NaiveSite>, history: &History<NaiveSite>| {
            let done = |place| history.is_decided(place) || !history.can_act(place);
            let goes_on = |cause| trial.apply(history, Turn::Whole(cause)) != *history;
            Places::first(trial.bounds.sites).iter().all(done)
                || trial.causes(history).into_iter().any(goes_on)
        },
    ));
    claims
}

fn cut_off() -> Vec<Property<Trial<QuorumSite>>> {
    let mut claims = promises();
    let others = [Decision::Commit, Decision::Abort].map(others_decide);
    claims.extend(others.into_iter().chain([healing()]));
    claims
}

fn storm() -> Vec<Property<Trial<QuorumSite>>> {
    let mut claims = promises();
    claims.push(Property::sometimes(
        "both predecisions stand",
        |_, history: &History<QuorumSite>| {
            let stands =
                |decision| history.sites.iter().any(|site| site.predecided() == Some(decision));
            stands(Decision::Commit) && stands(Decision::Abort)
        },
    ));
    claims.push(healing());
    claims
}

fn others_decide(decision: Decision) -> Property<Trial<QuorumSite>> {
    match decision {
        Decision::Commit => Property::sometimes(
            "the others commit while the coordinator waits",
            |_, history: &History<QuorumSite>| go_on(history, Decision::Commit),
        ),
        Decision::Abort => Property::sometimes(
            "the others abort while the coordinator waits",
            |_, history: &History<QuorumSite>| go_on(history, Decision::Abort),
        ),
    }
}

/// Says whether the coordinator had pre-committed and asks in vain, cut off from all who have decided.
fn go_on(history: &History<QuorumSite>, decision: Decision) -> bool {
    let (coordinator, others) = history.sites.split_first().expect("there is a coordinator");
    history.apart == Places::first(history.sites.len()).without(Places::only(COORDINATOR))
        && coordinator.asks()
        && coordinator.predecided() == Some(Decision::Commit)
        && others.iter().all(|site| site.decision() == Some(decision))
}

/// Any part that has both quorums ends when it is left in peace; without one it waits.
fn healing() -> Property<Trial<QuorumSite>> {
    Property::always(
        "whoever has a quorum ends, and others wait",
        |trial: &Trial<QuorumSite>, history| faults(history, trial.rules).next().is_none(),
    )
}

/// Explores everything within the bounds and returns the number of states.
fn explore<S: Site>(trial: Trial<S>) -> usize {
    let again = trial.clone();
    let checker = trial.checker().spawn_bfs().join();
    for (claim, path) in checker.discoveries() {
        if checker.discovery_classification(claim).to_string() == "counterexample" {
            panic!("{}", tell(claim, &Found { trial: again, turns: path.into_actions() }));
        }
    }
    checker.assert_properties();
    checker.unique_state_count()
}

/// Returns the shortest history that breaks, or shows, the only claim.
fn shortest<S: Site>(bounds: Bounds, rules: S::Rules, claims: Claims<S>) -> Found<S> {
    // A mistake may revive a letter that would make no difference without it.
    let trial = Trial { forgets: false, ..Trial::new(bounds, rules, claims) };
    let checker = trial.clone().checker().spawn_bfs().join();
    let found = checker.discoveries().into_values().next();
    let turns = found.expect("the only claim is discovered").into_actions();
    Found { trial, turns }
}

/// Returns how many steps lead to the broken claim.
fn catch(bug: Bug, crashes: u8, claims: Claims<QuorumSite>) -> usize {
    let bounds = Bounds { timeouts: Some(2), crashes, ..STORMY };
    let rules = Rules { bug: Some(bug), ..Rules::majority(3) };
    shortest(bounds, rules, claims).turns.len()
}

/// Counts what a vote without faults costs.
fn price<S: Site>(sites: usize, rules: S::Rules) -> Price {
    let mut sites: Vec<S> = Places::first(sites).iter().map(|place| S::new(place, rules)).collect();
    let mut price = Price { letters: 0, forced: 0 };
    let mut due = VecDeque::from([(COORDINATOR, Event::Begins)]);
    while let Some((place, event)) = due.pop_front() {
        let (letters, recorded) = sites[usize::from(place.0)].tell(event);
        price.forced += usize::from(recorded);
        price.letters += letters.len();
        let arrive = |Letter { from, to, word }| (to, Event::Received { from, word });
        due.extend(letters.into_iter().map(arrive));
    }
    assert!(sites.iter().all(|site| site.decision() == Some(Decision::Commit)));
    price
}

#[derive(Debug, PartialEq, Eq)]
struct Price {
    letters: usize,
    forced: usize,
}

const AGREEMENT: &str = "no two sites finish differently";

/// What chance starts from, and how many steps it takes.
const SEED: u64 = 3;
const STEPS: usize = 200_000;

type Claims<S> = fn() -> Vec<Property<Trial<S>>>;

const STORMY: Bounds = Bounds { weather: Weather::Stormy, ..CALM };

const NAIVE_PARTITION: &str = "\
Plain three-phase commit, the shortest way to contradict oneself in a partition.
The network is as good as it gets: letters arrive before a timeout, and who is not
heard can really not be heard. C and alice have pre-committed when bob is cut off.
Both sides follow their timeouts: one that has pre-committed means commit, none means abort.";

const NAIVE_MISTAKES: &str = "\
Plain three-phase commit, the shortest way without any partition. Everything works, but
letters are slow, and two sites conclude from silence that they are alone.";

const QUORUM_COMMITS: &str = "\
Quorum three-phase commit, three sites, two are a quorum. C is cut off after alice has
pre-committed. She and bob are a quorum and commit without C. C asks in vain and waits:
it blocks, although it has pre-committed. When they are joined, it learns.";

const QUORUM_ABORTS: &str = "\
Quorum three-phase commit: C is cut off before anybody else has pre-committed. The others are
a quorum, pre-abort and abort. C waits, although it has pre-committed. Had it committed on its
own, as it does in the plain protocol, they would differ. When they are joined, it learns.";

const QUORUMS_THAT_DO_NOT_MEET: &str = "\
A planted mistake: of four sites, two are enough for either decision. Each half is a
quorum, the two have nobody in common, and the third phase is worth nothing.";
