//! Keys of the file whose flags have other names, and what those are that no flag describes.

use votum_settings::{KeyNote, Note};

/// Such keys; a test looks whether one is missing.
pub(super) const KEYS: [KeyNote; 11] = [
    flag("otel.endpoint", "otel_endpoint"),
    flag("tls.cert", "tls_cert"),
    flag("tls.key", "tls_key"),
    flag("tls.client_ca", "tls_client_ca"),
    flag("tls.refused", "tls_refused"),
    flag("auth.token_file", "tokens"),
    help("limits.connections", "Most connections at a time [default: 2048]"),
    help("limits.connections_per_address", "Most of them from one address [default: 1024]"),
    help(
        "limits.requests_per_second",
        "Most requests a second of one principal, or of one address that proves nothing; 0: any \
         number [default: 2000]",
    ),
    help(
        "jobs.max_open",
        "Most open jobs; one more is refused with RESOURCE_EXHAUSTED [default: 100000]",
    ),
    help(
        "jobs.disk_reserve",
        "With less free space than this below the data directory, no job is received: it is kept \
         for the records of those that are open [default: 64MiB]",
    ),
];

const fn flag(key: &'static str, id: &'static str) -> KeyNote {
    KeyNote { key, note: Note::Flag(id) }
}

const fn help(key: &'static str, text: &'static str) -> KeyNote {
    KeyNote { key, note: Note::Help(text) }
}
