//! The shapes of the job itself.

use votum_job::{EFFECTS_MAX, REPLICAS_MAX, TASKS_MAX, VARIABLES_MAX};

use super::{
    super::shape::{Holds, Name, Shape, field, must},
    EFFECT, TASK,
};

/// The job.
pub(crate) const JOB: Shape = Shape {
    name: "job",
    about: "A job: tasks whose outputs become visible together, or not at all.",
    fields: &[
        must("version", Holds::Always(1), "always `1`"),
        must(
            "name",
            Holds::Name(Name::Job),
            "`a-z`, `0-9`, `-`, at most 54 characters; the job's id becomes the name and eight more characters",
        ),
        field("description", Holds::Text, "one line for lists and pages", "empty"),
        field("labels", Holds::Texts, "names with texts, for people", "none"),
        field(
            "params",
            Holds::Many(
                Name::Inner,
                &Holds::Either(&Holds::Text, &Holds::Fields(&PARAM)),
                0,
                VARIABLES_MAX,
            ),
            "names with a default, or with `{ default, description }`; see [Parameters](#parameters)",
            "none",
        ),
        field("env", Holds::Texts, "environment of every task", "none"),
        field(
            "timeout",
            Holds::Duration,
            "from received to the decision; past it the job aborts. Of a job that waits for its `concurrency` key it counts \
             from when it has the key",
            "`24h`",
        ),
        field(
            "retention",
            Holds::Duration,
            "how long record and logs are kept after the end; after that the job's id, request and outcome stay known for the \
             coordinator's `--tombstones-kept-ms` (90 days), so that a late repetition of its submission is not a second run",
            "`30d`",
        ),
        field(
            "on_exhausted",
            Holds::Choice(&["abort", "pause"]),
            "what it means that a task has failed for the last time: `abort` the job, or `pause` it until a person has mended \
             the cause and asked for `votum retry` or `votum unpause`; the `timeout` goes on counting",
            "`abort`",
        ),
        field(
            "keep_staged",
            Holds::Duration,
            "how long what is staged outlives an abort, invisible, so that `votum rescue` can take it over; the job counts \
             among the open ones until then. `votum cancel` gives it up earlier",
            "`0s`",
        ),
        field(
            "concurrency",
            Holds::Either(&Holds::Text, &Holds::Fields(&CONCURRENCY)),
            "a key, or `{ key, policy }`: of all jobs with one key one is under way at a time; see \
             [One at a time](#one-at-a-time)",
            "it waits for no other job",
        ),
        field("commit", Holds::Fields(&COMMIT), "how the job commits", "as below"),
        must(
            "tasks",
            Holds::Many(Name::Inner, &Holds::Fields(&TASK), 1, TASKS_MAX),
            "names with tasks; at most 10,000",
        ),
        field(
            "effects",
            Holds::Many(Name::Inner, &Holds::Fields(&EFFECT), 0, EFFECTS_MAX),
            "names with [effects](#effects), at most 100: what is done only after the decision",
            "none",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// How a job commits.
pub(crate) const COMMIT: Shape = Shape {
    name: "commit",
    about: "How the job commits.",
    fields: &[
        field("prepare_timeout", Holds::Duration, "how long a round waits for every vote", "`60s`"),
        field(
            "approval",
            Holds::Either(&Holds::Flag, &Holds::Duration),
            "how long a person may take to approve what is staged; `true` is `24h` (see [below](#approval-and-dry-votes))",
            "nobody is asked",
        ),
        field(
            "dry_vote",
            Holds::Duration,
            "how often the workers are asked what stands in the way of the commit, from the start on; at least `1s`",
            "only on demand, and before an approval",
        ),
        field(
            "replicas",
            Holds::Whole(1, REPLICAS_MAX),
            "the `replicas` of every published output that says nothing of its own",
            "`1`",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// Which jobs are not under way beside it.
pub(crate) const CONCURRENCY: Shape = Shape {
    name: "concurrency",
    about: "Which jobs are not under way beside the job.",
    fields: &[
        must(
            "key",
            Holds::Text,
            "letters, digits, `-`, `_`, `.`, `/` and `:`, at most 128 characters; parameters are put in",
        ),
        field(
            "policy",
            Holds::Choice(&["queue", "reject", "replace"]),
            "what becomes of the job if another one has the key: it waits its turn, first come, first served (`queue`), is \
             refused (`reject`), or is received while those before it that are not decided are cancelled (`replace`)",
            "`queue`",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// A parameter.
pub(crate) const PARAM: Shape = Shape {
    name: "param",
    about: "A parameter of the job.",
    fields: &[
        field("default", Holds::Text, "its value if none is given", "it must be given"),
        field("description", Holds::Text, "what it means, for people", "empty"),
    ],
    one_of: &[],
    beside: &[],
};
