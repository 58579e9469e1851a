//! The shapes of what a task reads and writes.

use votum_job::{GENERATIONS_KEPT_MAX, REPLICAS_MAX};

use super::super::shape::{Holds, Name, Shape, field, must};

/// An input, spelled out.
pub(crate) const INPUT: Shape = Shape {
    name: "input",
    about: "What a task reads: an output of another task, or a path on the worker.",
    fields: &[
        field(
            "from",
            Holds::Name(Name::Output),
            "`task.output`: fetched from the worker that holds it, and checked against its digest",
            "–",
        ),
        field(
            "worker_path",
            Holds::Text,
            "an absolute path on the worker itself, used where it lies",
            "–",
        ),
    ],
    one_of: &["from", "worker_path"],
    beside: &[],
};

/// An output, spelled out.
pub(crate) const OUTPUT: Shape = Shape {
    name: "output",
    about: "What a task writes.",
    fields: &[
        must(
            "path",
            Holds::Text,
            "relative path below `$VOTUM_OUTPUT_DIR`; a directory if it ends in `/`",
        ),
        field("optional", Holds::Flag, "`true`: the task succeeds without it", "`false`"),
        field("max_bytes", Holds::Size, "sealing fails above this size", "no limit"),
        field(
            "replicas",
            Holds::Whole(1, REPLICAS_MAX),
            "on how many workers it lies sealed before the vote, the one that made it included, 1 to 5; see [Replicas](#replicas)",
            "`commit.replicas` if it is published, else 1",
        ),
        field(
            "publish",
            Holds::Fields(&PUBLISH),
            "where it becomes visible with the commit",
            "it only feeds other tasks",
        ),
    ],
    one_of: &[],
    beside: &[],
};

/// Where an output becomes visible.
pub(crate) const PUBLISH: Shape = Shape {
    name: "publish",
    about: "Where an output becomes visible with the commit.",
    fields: &[
        field("file", Holds::Text, "where a file becomes visible", "–"),
        field(
            "tree",
            Holds::Text,
            "where a directory becomes visible, with everything in it; `path` ends in `/`",
            "–",
        ),
        field(
            "mode",
            Holds::Mode,
            "permission bits of a published file, octal",
            "as the task left it",
        ),
        field(
            "existing",
            Holds::Choice(&["replace", "fail"]),
            "what happens to something that stands there already: `replace` it, or `fail`: the worker votes No",
            "`replace`",
        ),
        field(
            "keep_versions",
            Holds::Whole(1, GENERATIONS_KEPT_MAX),
            "how many earlier versions stay beside the visible one, 1 to 1000; see [Earlier versions](#earlier-versions)",
            "all",
        ),
    ],
    one_of: &["file", "tree"],
    beside: &[("mode", "file")],
};
