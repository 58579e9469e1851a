//! Log lines: to standard error, for people or for programs.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use votum_metrics::{JsonLines, log_panics};

use crate::config::{Config, LogFormat};

/// Writes log lines from here on, unless somebody in this process does already.
///
/// # Errors
/// When the filter of the configuration means nothing.
pub fn init(config: &Config) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(&config.log)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // The only error is that somebody came first, as when several daemons share a process.
    let _ = match config.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => {
            log_panics();
            let name = config.name.to_string();
            lines.event_format(JsonLines::default().always("worker", name)).try_init()
        }
    };
    Ok(())
}

/// Writes JSON from here on, for a daemon that ends before its configuration is known.
pub(crate) fn init_last_words() {
    let lines = tracing_subscriber::fmt().event_format(JsonLines::default());
    // As above: somebody who came first writes them.
    let _ = lines.with_writer(io::stderr).try_init();
}
