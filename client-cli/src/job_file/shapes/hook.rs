//! The shapes of what is done around the decision: effects and compensations.

use super::{
    super::shape::{Holds, Name, Shape, field, must},
    RETRY,
    task::WORDS,
};

/// An effect.
pub(crate) const EFFECT: Shape = Shape {
    name: "effect",
    about: "What is done only after the decision, at least once.",
    fields: &[
        field(
            "after",
            Holds::Choice(&["commit", "abort", "end"]),
            "the decision it belongs to: `commit`, `abort`, or `end` for either, when all other effects and all \
             compensations are over",
            "`commit`",
        ),
        field(
            "needs",
            Holds::List(&Holds::Name(Name::Inner)),
            "a list of effects that come first; one that belongs to the other decision counts as done, a [case](#cases) does not",
            "none",
        ),
        field("run", Holds::Text, "a script on a worker, as [in a task](#what-runs)", "–"),
        field("command", WORDS, "a program on a worker, as [in a task](#what-runs)", "–"),
        field("interpreter", WORDS, "what reads a script", "`[sh, -eu]`"),
        field(
            "webhook",
            Holds::Either(&Holds::Text, &Holds::Fields(&WEBHOOK)),
            "a URL, or `{ url, headers }`: an HTTP POST from the coordinator",
            "–",
        ),
        field("worker", Holds::Text, "as in a task; a webhook has none", "any worker"),
        field("labels", Holds::Texts, "as in a task; a webhook has none", "none"),
        field("env", Holds::Texts, "as in a task; a webhook has none", "none"),
        field("timeout", Holds::Duration, "how long one try may take", "`5m`"),
        field(
            "retry",
            Holds::Fields(&RETRY),
            "the budget, as in a task",
            "10 attempts, `1s`, `5m`",
        ),
        field(
            "on_unknown",
            Holds::Choice(&["repeat", "park"]),
            "what follows a try of which nobody can say whether it took effect: `repeat` it under the same key, or `park` it as a [case](#cases)",
            "`repeat`",
        ),
    ],
    one_of: &["run", "command", "webhook"],
    beside: &[("interpreter", "run")],
};

/// A webhook, spelled out.
pub(crate) const WEBHOOK: Shape = Shape {
    name: "webhook",
    about: "An HTTP POST from the coordinator.",
    fields: &[
        must("url", Holds::Text, "where the POST goes to"),
        field("headers", Holds::Texts, "headers of the request, at most 32", "none"),
    ],
    one_of: &[],
    beside: &[],
};

/// What undoes a task.
pub(crate) const COMPENSATION: Shape = Shape {
    name: "compensate",
    about: "What undoes a task's effects outside of its staging after an abort, at least once.",
    fields: &[
        field("run", Holds::Text, "a script on a worker, as [in a task](#what-runs)", "–"),
        field("command", WORDS, "a program on a worker, as [in a task](#what-runs)", "–"),
        field("interpreter", WORDS, "what reads a script", "`[sh, -eu]`"),
        field("timeout", Holds::Duration, "how long one try may take", "`5m`"),
        field(
            "retry",
            Holds::Fields(&RETRY),
            "the budget, as in a task",
            "10 attempts, `1s`, `5m`",
        ),
        field(
            "elsewhere",
            Holds::Flag,
            "`true`: another worker may run it that the task's `worker` and `labels` allow; otherwise only the worker of the task's last attempt",
            "`false`",
        ),
    ],
    one_of: &["run", "command"],
    beside: &[("interpreter", "run")],
};
