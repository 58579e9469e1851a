//! One blow: who is killed, when, and for how long.

use std::time::Duration;

use tokio::time::timeout;
use votum_ids::JobId;
use votum_tests::{Cluster, Dice, let_pass};
use votum_wire::JobState;

use crate::LONGEST_WAIT;

/// A few daemons die at one moment and come back a little later.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    /// What it waits for.
    pub(crate) moment: Moment,
    wait: Duration,
    victims: Vec<&'static str>,
    absence: Duration,
}

/// What a strike waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing.
    AnyTime,
    /// The job is seen to vote.
    Voting,
    /// The job is seen to be decided.
    Decided,
}

impl Strike {
    /// Draws one; most fall around the vote and the decision.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let (moment, longest) = match dice.below(10) {
            0..3 => (Moment::AnyTime, LONGEST_WAIT),
            3..7 => (Moment::Voting, CLOSE),
            _ => (Moment::Decided, CLOSE),
        };
        let workers = ["s1", "s2", "s3"];
        let victims = match dice.below(10) {
            0..4 => vec!["coordinator"],
            4..7 => vec![*dice.choose(&workers)],
            7 => vec!["coordinator", *dice.choose(&workers)],
            8 => workers.to_vec(),
            _ => vec!["s2", "coordinator", "s1", "s3"],
        };
        let (wait, absence) = (dice.time_below(longest), dice.time_below(LONGEST_ABSENCE));
        Self { moment, wait, victims, absence }
    }

    /// Waits for the moment, kills, starts again, and returns how many were killed.
    pub(crate) fn fall(self, cluster: &mut Cluster, job: Option<&JobId>) -> usize {
        if let Some(job) = job {
            match self.moment {
                Moment::AnyTime => {}
                Moment::Voting => wait_for_state(cluster, job, JobState::Preparing),
                Moment::Decided => wait_for_state(cluster, job, JobState::Committing),
            }
        }
        let_pass(self.wait);
        for victim in &self.victims {
            cluster.daemon(victim).kill();
        }
        let_pass(self.absence);
        for victim in &self.victims {
            cluster.daemon(victim).start();
        }
        self.victims.len()
    }
}

/// Waits until a job is seen in a state, or beyond it, or for too long.
fn wait_for_state(cluster: &Cluster, job: &JobId, state: JobState) {
    let watched = async {
        let mut watch = cluster.client().watch(job);
        while let Some(Ok(view)) = watch.next().await {
            if view.state >= state {
                return;
            }
        }
    };
    // A job that does not come so far while somebody is away comes so far later.
    let _ = cluster.block_on(async { timeout(PATIENCE, watched).await });
}

/// Votes and decisions take about this long.
const CLOSE: Duration = Duration::from_millis(15);
const LONGEST_ABSENCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);
