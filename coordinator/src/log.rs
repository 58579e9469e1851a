//! Where log lines go and what they look like.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use votum_metrics::{JsonLines, log_panics};

/// How a daemon logs: to standard error.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Level, or a filter such as `info,votum_commit=debug`.
    #[arg(long, env = "VOTUM_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// One line for people, or one JSON object a line.
    #[arg(long, env = "VOTUM_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// The forms of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl LogArgs {
    /// Starts logging.
    ///
    /// # Errors
    /// When the filter cannot be read, or logging was started before.
    pub fn install(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log)?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let installed = match self.log_format {
            LogFormat::Text => log.with_ansi(false).try_init(),
            LogFormat::Json => {
                log_panics();
                log.event_format(JsonLines::default()).try_init()
            }
        };
        installed.map_err(|error| anyhow::anyhow!(error))
    }

    /// Says why the daemon has ended, where lines are for programs, and with which code.
    ///
    /// # Errors
    /// Hands on why it has ended where lines are for people.
    pub fn conclude(&self, ended: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
        match (self.log_format, ended) {
            (LogFormat::Json, Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "ends");
                Ok(ExitCode::FAILURE)
            }
            (LogFormat::Text | LogFormat::Json, ended) => ended.map(|()| ExitCode::SUCCESS),
        }
    }
}
