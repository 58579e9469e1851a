//! Random faults against a cluster of real processes, while a reader looks on.
//!
//! Once `VOTUM_CHAOS_ROUNDS` jobs, one after the other; the coordinator and
//! the workers are killed at random moments, most of them around the vote and
//! the decision. And once `VOTUM_CHAOS_SECONDS` of every kind of fault on
//! several jobs at once. `VOTUM_SEED` repeats a run, as far as the machine
//! plays along.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and a long one says how far it is"
)]

mod mixed;
mod strike;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use strike::{Moment, Strike};
use votum_client::ClientError;
use votum_ids::JobId;
use votum_tests::{Cluster, Dice, Flavour, Stopwatch, Timing, Trial, let_pass, programs, request};
use votum_wire::{JobState, JobView, Reason, request::SubmitJob};

#[test]
fn random_kills_leave_every_job_with_one_outcome() {
    let seed = from_environment("VOTUM_SEED").unwrap_or_else(|| RandomState::new().hash_one(0_u8));
    let rounds = from_environment("VOTUM_CHAOS_ROUNDS").unwrap_or(ROUNDS);
    println!("seed {seed}, {rounds} rounds");
    let watch = Stopwatch::start();
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let reader = Trial::reader(&cluster);
    let mut outcomes: BTreeMap<JobId, JobState> = BTreeMap::new();
    let mut kills = 0;
    for round in 1..=rounds {
        let (view, killed) = play(&mut cluster, &mut dice, round);
        kills += killed;
        outcomes.insert(view.job.clone(), view.state);
    }

    assert_nothing_lost(&cluster, &outcomes);
    let committed: BTreeSet<String> = outcomes
        .iter()
        .filter(|(_, state)| **state == JobState::Committed)
        .map(|(job, _)| job.to_string())
        .collect();
    let aborted = outcomes.len() - committed.len();
    let (reads, bad) = reader.bad_reads(&committed);
    assert!(bad.is_empty(), "read what must not be seen: {bad:#?}");
    println!(
        "rounds {rounds}, kills {kills}, committed {}, aborted {aborted}, mixed 0, lost 0, \
         reruns 0, stuck 0, bad reads 0 of {reads}, in {:?}",
        committed.len(),
        watch.elapsed()
    );
}

#[test]
fn mixed_faults_leave_every_job_ended_and_nothing_else() {
    let seed = from_environment("VOTUM_SEED").unwrap_or_else(|| RandomState::new().hash_one(0_u8));
    let seconds = from_environment("VOTUM_CHAOS_SECONDS").unwrap_or(MIXED_SECONDS);
    mixed::run(seed, Duration::from_secs(seconds));
}

/// Plays one round: a job, some kills, a verdict.
fn play(cluster: &mut Cluster, dice: &mut Dice, round: u64) -> (JobView, usize) {
    let flavour = match dice.below(10) {
        0 => Flavour::Fails,
        1..=2 => Flavour::Stumbles,
        _ => Flavour::Commits,
    };
    let cancel_after = dice.chance(10).then(|| dice.time_below(LONGEST_WAIT));
    let strikes: Vec<Strike> = (0..=dice.below(3)).map(|_| Strike::draw(dice)).collect();
    println!("round {round}: {flavour:?}, cancelled after {cancel_after:?}, {strikes:?}");

    let trial = Trial::new(flavour);
    trial.lay_out(cluster);
    let submission = SubmitJob {
        spec: trial.spec("chaos", cluster),
        job: None,
        request: Some(request()),
        validate_only: false,
    };
    let client = cluster.client().clone();
    let submitting = cluster.spawn(async move { client.submit(&submission).await });
    let mut killed = 0;
    let mut strikes = strikes.into_iter().peekable();
    // Kills by the clock alone may fall into the submission itself.
    while let Some(strike) = strikes.next_if(|strike| strike.moment == Moment::AnyTime) {
        killed += strike.fall(cluster, None);
    }
    let job = cluster.block_on(submitting).unwrap().unwrap().job.unwrap().job;
    if let Some(wait) = cancel_after {
        let_pass(wait);
        cancel(cluster, &job);
    }
    for strike in strikes {
        killed += strike.fall(cluster, Some(&job));
    }
    let view = cluster.ended(&job);
    if cancel_after.is_none() {
        let expected = match flavour {
            Flavour::Fails => JobState::Aborted,
            Flavour::Commits | Flavour::Stumbles | Flavour::Saves => JobState::Committed,
        };
        assert_eq!(view.state, expected, "{view:#?}");
    }
    trial.judge(cluster, &view);
    (view, killed)
}

/// Asks for an abort; a decision that came first is an answer as well.
fn cancel(cluster: &Cluster, job: &JobId) {
    match cluster.block_on(cluster.client().cancel(job, "chaos")) {
        Ok(_) => {}
        Err(ClientError::Refused(problem)) if problem.reason == Reason::AlreadyDecided => {}
        Err(error) => panic!("{job}: {error}: {error:?}"),
    }
}

/// Every job that was ever acknowledged is there, as it ended.
fn assert_nothing_lost(cluster: &Cluster, outcomes: &BTreeMap<JobId, JobState>) {
    let listed: BTreeMap<JobId, JobState> =
        cluster.jobs().into_iter().map(|view| (view.job, view.state)).collect();
    assert_eq!(&listed, outcomes);
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

const ROUNDS: u64 = 30;
/// Enough for every kind of fault.
const MIXED_SECONDS: u64 = 140;
/// Around how long a job takes from end to end.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
