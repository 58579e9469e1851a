//! What the jobs of a run do if nothing befalls them.

use std::{path::Path, time::Duration};

use votum_job::{CheckpointPolicy, JobSpec, OnExhausted, OnUnreachable, Resources};
use votum_tests::{Cluster, Dice, JobDraft, TaskDraft};

use super::lane::target_of;

/// What a job does if nothing befalls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flavour {
    /// One task that is done at once.
    Instant,
    /// Three tasks, each pinned to a worker, the third reads what the others made.
    Pinned,
    /// The same, wherever there is room, and for seconds.
    Floating,
    /// One task that fails twice before it succeeds.
    Stumbling,
    /// One task of many small steps.
    Long,
    /// One task that stages megabytes for another.
    Bulky,
    /// The last of three tasks fails for good.
    Failing,
    /// One task counts, and saves its state, which others may copy.
    Counting,
    /// The same on one worker: what was sealed there is never lost.
    Saving,
    /// One task of steps on one worker: what is done is never done again.
    Stepping,
    /// One task of which no two attempts may meet, whose worker is waited for or not.
    Exclusive,
    /// Each of the first two attempts takes more than it may, the third does not.
    Greedy,
    /// One task fails, and is tried again only when a person asks for it.
    Patient,
    /// One task fails for the last time, which holds the job until a person has mended the cause.
    Mended,
    /// The last of three tasks fails for good, and another job takes over what the others staged.
    Rescued,
}

/// The flavours that have not been drawn yet; all of them come before one comes again.
#[derive(Debug, Default)]
pub(crate) struct Deck(Vec<Flavour>);

impl Deck {
    /// Draws one.
    pub(crate) fn draw(&mut self, dice: &mut Dice) -> Flavour {
        if self.0.is_empty() {
            self.0.extend(FLAVOURS);
        }
        let place = dice.below(self.0.len() as u64);
        self.0.swap_remove(usize::try_from(place).expect("a deck is small"))
    }
}

impl Flavour {
    /// Says whether a pause can be told from what the flavour itself does.
    pub(crate) fn can_be_held(self) -> bool {
        // A person lets it go on by themselves.
        self != Self::Mended
    }

    /// Writes the job. `can_limit` says whether the machine limits memory.
    pub(crate) fn spec(
        self,
        name: &str,
        cluster: &Cluster,
        dice: &mut Dice,
        can_limit: bool,
    ) -> JobSpec {
        let draft = JobDraft::new(name).votes_within(Duration::from_secs(5));
        let tasks = self.tasks(name, cluster, dice, can_limit);
        let mut spec = tasks.into_iter().fold(draft, JobDraft::task).spec();
        // Longer than any jump of a clock.
        spec.timeout = Duration::from_mins(30);
        match self {
            Self::Mended => spec.on_exhausted = OnExhausted::Pause,
            Self::Rescued => spec.keep_staged = KEPT,
            Self::Patient => {
                let retry = &mut spec.tasks.values_mut().next().expect("it has a task").retry;
                (retry.backoff, retry.backoff_max) = (NOT_BY_ITSELF, NOT_BY_ITSELF);
            }
            Self::Instant
            | Self::Pinned
            | Self::Floating
            | Self::Stumbling
            | Self::Long
            | Self::Bulky
            | Self::Failing
            | Self::Counting
            | Self::Saving
            | Self::Stepping
            | Self::Exclusive
            | Self::Greedy => {}
        }
        spec
    }

    fn tasks(
        self,
        name: &str,
        cluster: &Cluster,
        dice: &mut Dice,
        can_limit: bool,
    ) -> Vec<TaskDraft> {
        let runs = cluster.runs();
        let base = |id: &str| TaskDraft::new(id).counted(&runs).attempts(ATTEMPTS);
        let replicate = dice.chance(60);
        let (worker, waits) = (*dice.choose(&WORKERS), dice.chance(50));
        let mut task = |id: &str, longest: u64| {
            let millis = dice.below(longest.max(1));
            let (seconds, rest) = (millis / 1000, millis % 1000);
            base(id)
                .runs(&format!("sleep {seconds}.{rest:03}"))
                .writes("rows", "rows.txt")
                .publishes(&target_of(name, id))
        };
        match self {
            Self::Instant => vec![task("t1", 1)],
            Self::Pinned => {
                three(task("t1", 800).on("s1"), task("t2", 800).on("s2"), task("t3", 800).on("s3"))
            }
            Self::Floating => three(task("t1", 3000), task("t2", 3000), task("t3", 3000)),
            Self::Stumbling => {
                vec![task("t1", 300).runs("[ \"$VOTUM_ATTEMPT\" -gt 2 ] || exit 9")]
            }
            Self::Long => {
                let steps = "i=0; while [ $i -lt 60 ]; do sleep 0.1; i=$((i + 1)); done";
                vec![task("t1", 1).runs(steps)]
            }
            Self::Bulky => {
                let bulk =
                    "dd if=/dev/zero of=\"$VOTUM_OUTPUT_ROWS.bulk\" bs=64k count=64 2>/dev/null";
                let size = "wc -c < \"$VOTUM_INPUT_BULK\" > /dev/null";
                let maker = task("t1", 300).runs(bulk).leaves("bulk", "rows.txt.bulk");
                vec![maker, task("t2", 300).reads("bulk", "t1", "bulk").runs(size)]
            }
            Self::Failing => three(
                task("t1", 500),
                task("t2", 500).on("s2"),
                task("t3", 500).runs("exit 7").attempts(1),
            ),
            Self::Counting => {
                vec![counting(task("t1", 1), &runs, replicate)]
            }
            Self::Saving => {
                vec![
                    counting(base("t1").writes("rows", "rows.txt"), &runs, false)
                        .on(worker)
                        .publishes(&target_of(name, "t1")),
                ]
            }
            Self::Stepping => {
                vec![stepping(&runs).on(worker).publishes(&target_of(name, "t1"))]
            }
            Self::Exclusive => {
                let policy = if waits { OnUnreachable::Wait } else { OnUnreachable::Proceed };
                vec![alone(base("t1"), &runs).exclusive(policy).publishes(&target_of(name, "t1"))]
            }
            Self::Greedy => vec![greedy(task("t1", 300), can_limit)],
            Self::Patient => {
                vec![task("t1", 300).runs("[ \"$VOTUM_ATTEMPT\" -gt 1 ] || exit 9")]
            }
            Self::Mended => vec![task("t1", 300).runs(&mended(&runs)).attempts(1)],
            Self::Rescued => rescued(&base, name, &runs),
        }
    }
}

/// Two tasks whose outputs outlive the failure of a third, which shows what it read.
fn rescued(base: &dyn Fn(&str) -> TaskDraft, name: &str, runs: &Path) -> Vec<TaskDraft> {
    let feeds = |id: &str| base(id).writes("rows", "rows.txt");
    let shows = "cat \"$VOTUM_INPUT_LEFT\" \"$VOTUM_INPUT_RIGHT\" >> \"$VOTUM_OUTPUT_ROWS\"";
    let last = base("t3").runs(&mended(runs)).attempts(1);
    let last = last.reads("left", "t1", "rows").reads("right", "t2", "rows");
    let last = last.writes("rows", "rows.txt").runs(shows).publishes(&target_of(name, "t3"));
    vec![feeds("t1"), feeds("t2"), last]
}

fn three(first: TaskDraft, second: TaskDraft, third: TaskDraft) -> Vec<TaskDraft> {
    let third = third.reads("left", "t1", "rows").reads("right", "t2", "rows");
    let third = third.runs("cat \"$VOTUM_INPUT_LEFT\" \"$VOTUM_INPUT_RIGHT\" > /dev/null");
    vec![first, second, third]
}

/// Counts to [`COUNT`] and seals its state at every [`INTERVAL`]; tells of each begin and of each
/// state that it knows to be sealed.
fn counting(task: TaskDraft, runs: &Path, replicate: bool) -> TaskDraft {
    let policy = CheckpointPolicy { replicate, ..CheckpointPolicy::default() };
    let told = format!("{}/$VOTUM_JOB_ID.saved", runs.display());
    task.saves(policy)
        .runs("cd \"$VOTUM_CHECKPOINT_DIR\"; n=$(cat n 2> /dev/null || echo 0); touch rows")
        .runs("rows=$(wc -l < rows)")
        .runs(&format!(
            "echo \"begun $VOTUM_FENCING_TOKEN $VOTUM_CHECKPOINT_SEQUENCE $n $rows\" >> {told}"
        ))
        .runs(&format!("while [ \"$n\" -lt {COUNT} ]; do"))
        .runs("  n=$((n + 1)); sleep 0.1; echo \"row $n\" >> rows")
        .runs(&format!("  if [ $((n % {INTERVAL})) = 0 ]; then echo $n > n"))
        .runs(&format!(
            "    if votum-report checkpoint; then echo \"sealed $VOTUM_FENCING_TOKEN $n\" >> {told}; fi"
        ))
        .runs("  fi")
        .runs("done")
        .runs("cat rows >> \"$VOTUM_OUTPUT_ROWS\"")
}

/// Three steps, of which the last says who it is from.
fn stepping(runs: &Path) -> TaskDraft {
    let told = format!("{}/$VOTUM_JOB_ID.steps", runs.display());
    let count =
        format!("echo \"$VOTUM_ATTEMPT\" >> {}/$VOTUM_JOB_ID.$VOTUM_TASK_ID", runs.display());
    let step = |rest: &str| format!("{count}\necho $VOTUM_STEP >> {told}\nsleep 0.7\n{rest}\n");
    let header = "job=$VOTUM_JOB_ID task=$VOTUM_TASK_ID token=$VOTUM_FENCING_TOKEN";
    let steps = [
        ("a", step("echo scratch > scratch; echo 1 > \"$VOTUM_OUTPUT_DIR/body\"")),
        ("b", step("cat scratch >> \"$VOTUM_OUTPUT_DIR/body\"")),
        (
            "c",
            step(&format!(
                "{{ echo \"{header}\"; cat \"$VOTUM_OUTPUT_DIR/body\"; }} > \"$VOTUM_OUTPUT_ROWS\""
            )),
        ),
    ];
    TaskDraft::of_steps("t1", &steps).attempts(ATTEMPTS).leaves("rows", "rows.txt")
}

/// Takes a lock that every process of the attempt holds, and tells whom it meets.
fn alone(task: TaskDraft, runs: &Path) -> TaskDraft {
    let runs = runs.display();
    task.runs(&format!("exec 9> {runs}/$VOTUM_JOB_ID.lock"))
        .runs(&format!("flock -n 9 || echo \"$VOTUM_FENCING_TOKEN\" >> {runs}/$VOTUM_JOB_ID.met"))
        .runs("trap '' TERM")
        .runs("i=0; while [ $i -lt 30 ]; do sleep 0.1; i=$((i + 1)); done")
        .writes("rows", "rows.txt")
}

/// Meets its limit of the disk first, then that of its memory.
fn greedy(task: TaskDraft, can_limit: bool) -> TaskDraft {
    let memory_bytes = can_limit.then_some(32 << 20);
    let resources = Resources { memory_bytes, disk_bytes: Some(2 << 20), ..Resources::default() };
    let hungry = if can_limit { "exec tail /dev/zero" } else { "exit 9" };
    let file = "head -c 16M /dev/zero > large; exit 9";
    task.limited(resources)
        .runs(&format!("[ \"$VOTUM_ATTEMPT\" != 1 ] || {{ {file}; }}"))
        .runs(&format!("[ \"$VOTUM_ATTEMPT\" != 2 ] || {hungry}"))
}

/// Fails as long as nobody has mended the job's cause of failure.
fn mended(runs: &Path) -> String {
    format!("[ -e {}/$VOTUM_JOB_NAME.mended ] || exit 9", runs.display())
}

/// How far a counting task counts, and how many of it one state has more than the one before.
pub(crate) const COUNT: u32 = 30;
/// See [`COUNT`].
pub(crate) const INTERVAL: u32 = 5;
const WORKERS: [&str; 3] = ["s1", "s2", "s3"];
/// Retries are not what is tried.
const ATTEMPTS: u32 = 60;
/// How long what an aborted job staged can be taken over.
const KEPT: Duration = Duration::from_mins(1);
/// Longer than a run heals.
const NOT_BY_ITSELF: Duration = Duration::from_mins(20);
const FLAVOURS: [Flavour; 15] = [
    Flavour::Instant,
    Flavour::Pinned,
    Flavour::Floating,
    Flavour::Stumbling,
    Flavour::Long,
    Flavour::Bulky,
    Flavour::Failing,
    Flavour::Counting,
    Flavour::Saving,
    Flavour::Stepping,
    Flavour::Exclusive,
    Flavour::Greedy,
    Flavour::Patient,
    Flavour::Mended,
    Flavour::Rescued,
];
