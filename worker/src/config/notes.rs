//! Keys of the file whose flags have other names, and what those are that no flag describes.

use votum_settings::{KeyNote, Note};

/// Such keys; a test looks whether one is missing.
pub(super) const KEYS: [KeyNote; 13] = [
    flag("secrets.dir", "secrets_dir"),
    flag("tls.ca", "tls_ca"),
    flag("tls.cert", "tls_cert"),
    flag("tls.key", "tls_key"),
    flag("tls.refused", "tls_refused"),
    flag("auth.token_file", "token_file"),
    flag("publish.roots", "publish_roots"),
    flag("tasks.user", "task_user"),
    flag("tasks.stop_at_end", "stop_tasks"),
    help(
        "tasks.grace_period",
        "Longest time from SIGTERM to SIGKILL of a task when the daemon is asked to end \
         [default: 10s]",
    ),
    help(
        "tasks.log_limit",
        "Largest log of an attempt, standard output and standard error each [default: 64MiB]",
    ),
    help("tasks.log_retention", "How long the logs of an ended attempt are kept [default: 7d]"),
    help(
        "tasks.shadow_reserve",
        "With less free space than this, nothing is taken on and no round is agreed to \
         [default: 64MiB]",
    ),
];

const fn flag(key: &'static str, id: &'static str) -> KeyNote {
    KeyNote { key, note: Note::Flag(id) }
}

const fn help(key: &'static str, text: &'static str) -> KeyNote {
    KeyNote { key, note: Note::Help(text) }
}
