//! The shapes of a task, and of how it is watched, kept, limited and repeated.

use votum_job::{ATTEMPTS_MAX, HEALTH_FAILURES_MAX, OUTPUTS_MAX};

use super::{
    super::shape::{Holds, Name, Shape, field, must},
    COMPENSATION, INPUT, OUTPUT,
};

/// A task.
pub(crate) const TASK: Shape = Shape {
    name: "task",
    about: "A task: a program that runs on one worker and writes outputs that nobody sees before the commit.",
    fields: &[
        field(
            "worker",
            Holds::Text,
            "the name of a worker: the task runs there and nowhere else",
            "any worker",
        ),
        field("labels", Holds::Texts, "labels that the worker must carry, all of them", "none"),
        field(
            "needs",
            Holds::List(&Holds::Name(Name::Inner)),
            "a list of tasks that must be staged first, beyond those that feed it",
            "none",
        ),
        field("run", Holds::Text, "a script; see [What runs](#what-runs)", "–"),
        field("command", WORDS, "a list of words, the program first; no shell", "–"),
        field(
            "steps",
            Holds::List(&Holds::Fields(&STEP)),
            "a list of `{ name, run }` or `{ name, command }`, one after another; see [What runs](#what-runs)",
            "–",
        ),
        field(
            "interpreter",
            WORDS,
            "what reads a script; the script's path follows it",
            "`[sh, -eu]`",
        ),
        field("env", Holds::Texts, "environment of this task; wins over the job's", "none"),
        field(
            "inputs",
            Holds::Many(
                Name::Inner,
                &Holds::Either(&Holds::Name(Name::Output), &Holds::Fields(&INPUT)),
                0,
                OUTPUTS_MAX,
            ),
            "what it reads, by name; see [Inputs](#inputs)",
            "none",
        ),
        field(
            "outputs",
            Holds::Many(
                Name::Inner,
                &Holds::Either(&Holds::Text, &Holds::Fields(&OUTPUT)),
                0,
                OUTPUTS_MAX,
            ),
            "what it writes, by name; see [Outputs](#outputs)",
            "none",
        ),
        field("timeout", Holds::Duration, "how long one attempt may run", "`24h`"),
        field(
            "start_timeout",
            Holds::Duration,
            "from the order to run an attempt to its program's start",
            "`timeout`",
        ),
        field(
            "progress_timeout",
            Holds::Duration,
            "an attempt whose report file is silent for so long is stuck and ended",
            "silence means nothing",
        ),
        field(
            "health",
            Holds::Fields(&HEALTH),
            "a command that the worker runs beside the task, to see whether it is well; see [How it gets on](#how-it-gets-on)",
            "none",
        ),
        field(
            "stop_signal",
            SIGNAL,
            "what asks the program to end: `TERM`, `INT`, `HUP`, `QUIT`, `USR1` or `USR2`",
            "`TERM`",
        ),
        field("grace_period", Holds::Duration, "from the stop signal to SIGKILL", "`10s`"),
        field(
            "retry",
            Holds::Fields(&RETRY),
            "when a failed attempt is followed by another; see [Retries](#retries)",
            "one attempt",
        ),
        field(
            "checkpoint",
            Holds::Fields(&CHECKPOINT),
            "how progress survives an attempt; see [Going on after an interruption](#going-on-after-an-interruption)",
            "only steps do",
        ),
        field(
            "resources",
            Holds::Fields(&RESOURCES),
            "what one attempt may use; see [Resources](#resources)",
            "not limited",
        ),
        field(
            "exclusive",
            Holds::Flag,
            "`true`: the task has effects outside of its staging, so that two attempts never run at once; see [Exclusive tasks](#exclusive-tasks)",
            "`false`",
        ),
        field(
            "on_unreachable",
            Holds::Choice(&["wait", "proceed"]),
            "what becomes of an exclusive attempt whose machine cannot be reached: `wait` for the machine or a person, or \
             `proceed` after the lease",
            "`wait`",
        ),
        field(
            "secrets",
            Holds::List(&Holds::Name(Name::Inner)),
            "a list of secrets that the worker hands the task as files; only their names stand here; see [Secrets](#secrets)",
            "none",
        ),
        field(
            "compensate",
            Holds::Fields(&COMPENSATION),
            "what undoes the task's effects outside of its staging if the job aborts; see [Compensations](#compensations)",
            "none",
        ),
    ],
    one_of: &["run", "command", "steps"],
    beside: &[("interpreter", "run")],
};

/// A step of a task.
pub(crate) const STEP: Shape = Shape {
    name: "step",
    about: "A step of a task; each is durable before the next begins.",
    fields: &[
        must("name", Holds::Name(Name::Inner), "by which the next attempt knows that it is done"),
        field("run", Holds::Text, "a script", "–"),
        field("command", WORDS, "a list of words, the program first; no shell", "–"),
        field("interpreter", WORDS, "what reads a script", "`[sh, -eu]`"),
    ],
    one_of: &["run", "command"],
    beside: &[("interpreter", "run")],
};

/// When a failed try is followed by another.
pub(crate) const RETRY: Shape = Shape {
    name: "retry",
    about: "When a failed try is followed by another.",
    fields: &[
        field(
            "attempts",
            Holds::Whole(1, ATTEMPTS_MAX),
            "all attempts, the first included, 1 to 100",
            "`1`",
        ),
        field(
            "backoff",
            Holds::Duration,
            "wait before the second attempt; doubles with each further one",
            "`1s`",
        ),
        field("max_backoff", Holds::Duration, "longest wait", "`5m`"),
        field(
            "never_on",
            Holds::List(&Holds::Whole(1, 255)),
            "a list of exit codes that are never retried",
            "none",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// A command that says whether a task is well.
pub(crate) const HEALTH: Shape = Shape {
    name: "health",
    about: "A command that the worker runs beside the task; exit 0 means that the task is well.",
    fields: &[
        must(
            "command",
            WORDS,
            "a list of words, the program first; exit 0 means that the task is well",
        ),
        field("interval", Holds::Duration, "from one run to the next", "`30s`"),
        field("timeout", Holds::Duration, "how long one run may take", "`10s`"),
        field(
            "failures",
            Holds::Whole(1, HEALTH_FAILURES_MAX),
            "so many failures in a row end the attempt",
            "`3`",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// How progress survives an attempt.
pub(crate) const CHECKPOINT: Shape = Shape {
    name: "checkpoint",
    about: "How progress survives an attempt.",
    fields: &[
        field(
            "every",
            Holds::Duration,
            "longest wait between two checkpoints: what lies in the directory is sealed then, if it changed",
            "only when the task asks",
        ),
        field(
            "signal",
            SIGNAL,
            "sent to the task's process at each interval instead; it writes its state and asks by itself",
            "none",
        ),
        field(
            "replicate",
            Holds::Flag,
            "`true`: a second worker fetches each checkpoint, so that the task goes on if its machine never returns",
            "`false`",
        ),
        field("max_bytes", Holds::Size, "a larger state is not sealed", "64 GiB"),
    ],
    one_of: &[],
    beside: &[("signal", "every")],
};

/// What one attempt may use.
pub(crate) const RESOURCES: Shape = Shape {
    name: "resources",
    about: "What one attempt may use.",
    fields: &[
        field(
            "cpu",
            Holds::Cores,
            "processor cores, such as `1.5`; at most 100 000",
            "not limited",
        ),
        field("memory", Holds::Size, "memory; at most `1024TiB`", "not limited"),
        field(
            "processes",
            Holds::Whole(1, PROCESSES_MAX),
            "processes and threads; at most 4 194 304",
            "not limited",
        ),
        field(
            "disk",
            Holds::Size,
            "what its working directory and its outputs may take; at most 1024 PiB",
            "not limited",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// An argument vector.
pub(super) const WORDS: Holds = Holds::List(&Holds::Text);
const SIGNAL: Holds = Holds::Choice(&[
    "TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT",
    "SIGUSR1", "SIGUSR2",
]);
/// Most processes that a task may ask for: Linux numbers no more.
const PROCESSES_MAX: u32 = 4_194_304;
