//! A job that meets every way in which a publication can go, and the verdict on it.
//!
//! On each of three workers a task publishes three files: one where nothing
//! stands, one where an earlier job's link stands, and one where an ordinary
//! file stands that somebody else wrote. Whatever was killed meanwhile, in the
//! end all nine show the job, or all nine show what stood there before.

use std::{fs, path::PathBuf, time::Duration};

use votum_ids::JobId;
use votum_job::{JobSpec, Trigger};
use votum_wire::{HookState, JobState, JobView};

use crate::{
    cluster::Cluster,
    draft::{JobDraft, TaskDraft},
    reader::Reader,
    verdict::{Content, Visible, content_of},
};

/// What becomes of a job if nobody is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// It commits.
    Commits,
    /// Every task fails once; then it commits.
    Stumbles,
    /// Every task saves its state before it goes on; it commits.
    Saves,
    /// The last task fails for good, and it aborts.
    Fails,
}

/// One job among the targets that all trials of a cluster share.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    flavour: Flavour,
}

impl Trial {
    /// Chooses what the job does.
    #[must_use]
    pub fn new(flavour: Flavour) -> Self {
        Self { flavour }
    }

    /// Prepares the targets: one free, one as an earlier job left it, one a user's own file.
    ///
    /// # Panics
    /// If the publish roots cannot be used.
    pub fn lay_out(self, cluster: &Cluster) {
        for free in cluster.targets(FREE) {
            let _ = fs::remove_file(free);
        }
        for plain in cluster.targets(PLAIN) {
            let aside = plain.with_extension("new");
            fs::write(&aside, USERS_OWN).expect("the publish root can be written");
            fs::rename(aside, plain).expect("the publish root can be written");
        }
    }

    /// Writes the job.
    #[must_use]
    pub fn spec(self, name: &str, cluster: &Cluster) -> JobSpec {
        let task = |id: &str, worker: &str| {
            let task = TaskDraft::new(id).on(worker).counted(&cluster.runs()).attempts(40);
            let task = match self.flavour {
                Flavour::Stumbles => task.runs("[ \"$VOTUM_ATTEMPT\" -gt 1 ] || exit 9"),
                Flavour::Saves => task
                    .runs("[ -e \"$VOTUM_CHECKPOINT_DIR/n\" ] || echo 1 > \"$VOTUM_CHECKPOINT_DIR/n\"")
                    .runs("votum-report checkpoint"),
                Flavour::Commits | Flavour::Fails => task,
            };
            TARGETS
                .iter()
                .fold(task, |task, (name, target)| task.writes_and_publishes(name, target, 0o644))
        };
        let third = task("t3", "s3").reads("left", "t1", "free").reads("right", "t2", "free");
        let third = match self.flavour {
            Flavour::Fails => third.runs("exit 7").attempts(1),
            Flavour::Commits | Flavour::Stumbles | Flavour::Saves => third
                .runs("cat \"$VOTUM_INPUT_LEFT\" \"$VOTUM_INPUT_RIGHT\" | cksum > sum")
                .runs("sed 's/^/sum /' sum >> \"$VOTUM_OUTPUT_FREE\""),
        };
        JobDraft::new(name)
            .votes_within(Duration::from_secs(20))
            .task(task("t1", "s1"))
            .task(task("t2", "s2"))
            .task(third)
            .effect("announce", Trigger::Commit, &Self::note(cluster))
            .effect("page", Trigger::Abort, &Self::note(cluster))
            .spec()
    }

    /// Returns a script that leaves a line with everything that a receiver of an effect is told.
    fn note(cluster: &Cluster) -> String {
        let told = cluster.home().join("told");
        format!(
            "echo \"$VOTUM_TASK_ID $VOTUM_DECISION $VOTUM_EFFECT_KEY $(cksum < $VOTUM_JOB_FILE)\" \
             >> {}.$VOTUM_JOB_ID",
            told.display()
        )
    }

    /// Waits until nothing is left to do for a decided job, and judges what its effects told: at
    /// least once what belongs to its decision, always the same, and nothing of the other one.
    #[track_caller]
    fn judge_effects(cluster: &Cluster, view: &JobView) {
        let done = |view: &JobView| view.hooks.iter().all(|hook| hook.state == HookState::Done);
        let view =
            cluster.wait_for("its effects", &view.job, |view| !view.hooks.is_empty() && done(view));
        let told = cluster.home().join(format!("told.{}", view.job));
        let told = fs::read_to_string(told).expect("an effect that is done has told");
        let first = told.lines().next().expect("it told a line");
        assert!(told.lines().all(|line| line == first), "{}: {told}", view.job);
        let wanted = match view.state {
            JobState::Committed => "announce commit ",
            JobState::Aborted => "page abort ",
            JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Preparing
            | JobState::Committing
            | JobState::Aborting
            | JobState::Quarantined => panic!("it has not ended: {view:#?}"),
        };
        assert!(first.starts_with(wanted), "{}: {told}", view.job);
        assert!(first.contains(&format!(" {}/", view.uid)), "{}: {told}", view.job);
    }

    /// Judges a job that has ended: one outcome everywhere, nothing twice, nothing left over.
    #[track_caller]
    pub fn judge(self, cluster: &Cluster, view: &JobView) {
        Self::judge_effects(cluster, view);
        let visible = Self::visible(cluster, &view.job);
        match view.state {
            JobState::Committed => {
                assert_eq!(visible, Visible::Everything, "{}", view.job);
                assert_ne!(self.flavour, Flavour::Fails, "{view:#?}");
            }
            JobState::Aborted => {
                assert_eq!(visible, Visible::Nothing, "{}", view.job);
                for plain in cluster.targets(PLAIN) {
                    let content = content_of(&plain);
                    assert_eq!(content, Some(Content(USERS_OWN.to_owned())), "{}", view.job);
                }
            }
            JobState::Received
            | JobState::Queued
            | JobState::Running
            | JobState::AwaitingApproval
            | JobState::Preparing
            | JobState::Committing
            | JobState::Aborting
            | JobState::Quarantined => panic!("it has not ended: {view:#?}"),
        }
        for task in ["t1", "t2", "t3"] {
            let sealings = cluster.sealings(&view.job, task);
            assert!(sealings <= 1, "{task} of {} was finished {sealings} times", view.job);
        }
        cluster.wait_until_staging_is_empty();
        cluster.wait_until_nothing_runs(&view.job);
    }

    /// Judges all nine targets together.
    #[must_use]
    pub fn visible(cluster: &Cluster, job: &JobId) -> Visible {
        let targets = Self::targets(cluster);
        Visible::of(job.as_str(), targets.iter().map(PathBuf::as_path))
    }

    /// Starts a reader of all nine targets.
    #[must_use]
    pub fn reader(cluster: &Cluster) -> Reader {
        Reader::start(Self::targets(cluster), cluster.journal("coordinator"))
    }

    fn targets(cluster: &Cluster) -> Vec<PathBuf> {
        TARGETS.iter().flat_map(|(_, target)| cluster.targets(target)).collect()
    }
}

/// Every output and its target.
const TARGETS: [(&str, &str); 3] = [("free", FREE), ("link", "link.txt"), ("plain", PLAIN)];
const FREE: &str = "free.txt";
const PLAIN: &str = "plain.txt";
/// What a user keeps where a job publishes.
const USERS_OWN: &str = "written by somebody else\n";
