//! What an operator can set, where it is read from, and which value wins.
//!
//! Flags win over the environment, the environment over the file, the file over
//! the defaults. A key that is not known is refused: a setting that does nothing
//! is worse than none.

mod notes;

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use thiserror::Error;
use votum_ids::{InvalidName, WorkerId};
use votum_job::RESERVED_LABELS;
use votum_process::SupervisorProgram;
use votum_settings::{Bytes, Span};
use votum_wire::Versions;

use crate::{
    account::{Account, AccountError},
    protection::{AuthSection, Protection, ProtectionSettings, TlsSection},
};

/// Everything a worker needs to know before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name within the cluster.
    pub name: WorkerId,
    /// Where the coordinator listens, such as `http://127.0.0.1:7070`.
    pub coordinator: String,
    /// Journal, logs of attempts and secrets; one worker at a time.
    pub data_dir: PathBuf,
    /// What is undecided; on the filesystem of the publish roots.
    pub staging_dir: PathBuf,
    /// Where peers fetch artifacts and the coordinator reads logs; port 0: any.
    pub artifact_listen: SocketAddr,
    /// What others are told instead of the address that is listened on.
    pub artifact_address: Option<String>,
    /// Where Prometheus reads the metrics; none: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// At most this many attempts at a time.
    pub slots: u32,
    /// For placement.
    pub labels: BTreeMap<String, String>,
    /// Below these it publishes; the first takes relative targets.
    pub publish_roots: Vec<PathBuf>,
    /// Variables of the daemon's own environment that a task inherits.
    pub env_allow: Vec<String>,
    /// Whom tasks run as; none: as the daemon itself.
    pub task_account: Option<Account>,
    /// Largest log of an attempt, standard output and standard error each.
    pub log_limit: u64,
    /// How long the logs of an ended attempt are kept.
    pub log_retention: Duration,
    /// Longest time from SIGTERM to SIGKILL of a task when the daemon is asked to end.
    pub grace_period: Duration,
    /// With less free space than this, nothing is taken on and no round is agreed to.
    pub shadow_reserve: u64,
    /// Whether running tasks end with the daemon when it is asked to end.
    pub stop_tasks: bool,
    /// Whether others than this machine may reach it in clear text.
    pub insecure: bool,
    /// The folder of the secrets that tasks may name; none: there are none.
    pub secrets_dir: Option<PathBuf>,
    /// How it shows who it is, and whom it trusts.
    pub protection: Protection,
    /// The versions of the session's protocol that it speaks: no setting, but tests play neighbours.
    pub protocols: Versions,
    /// What runs the program of an attempt and outlives this daemon.
    pub supervisor: SupervisorProgram,
    /// Which log lines are written: a level, or a filter such as `info,votum_worker=debug`.
    pub log: String,
    /// How log lines are written.
    pub log_format: LogFormat,
}

/// The settings that a command line can carry; each can stand in the environment as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Settings {
    /// Read settings from this file.
    #[arg(long, env = "VOTUM_WORKER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of this worker within the cluster, such as s1.
    #[arg(long, env = "VOTUM_WORKER_NAME")]
    pub name: Option<String>,
    /// Where the coordinator listens [default: http://127.0.0.1:7070].
    #[arg(long, env = "VOTUM_COORDINATOR", value_name = "URL")]
    pub coordinator: Option<String>,
    /// Folder for the journal, the logs and the staging of this worker [default: /var/lib/votum/worker].
    #[arg(long, env = "VOTUM_WORKER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder for undecided outputs, on the filesystem of the publish roots [default: DATA_DIR/staging].
    #[arg(long, env = "VOTUM_STAGING_DIR", value_name = "DIR")]
    pub staging_dir: Option<PathBuf>,
    /// Where to serve artifacts and logs [default: 127.0.0.1:0].
    #[arg(long, env = "VOTUM_ARTIFACT_LISTEN", value_name = "ADDRESS")]
    pub artifact_listen: Option<SocketAddr>,
    /// What others are told of where to fetch artifacts [default: where they are served].
    #[arg(long, env = "VOTUM_ARTIFACT_ADDRESS", value_name = "HOST:PORT")]
    pub artifact_address: Option<String>,
    /// Where Prometheus reads this worker's metrics, at /metrics [default: nowhere].
    #[arg(long, env = "VOTUM_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Run at most this many attempts at a time [default: the number of processors].
    #[arg(long, env = "VOTUM_SLOTS")]
    pub slots: Option<u32>,
    /// Label for placement; may be repeated.
    #[arg(long = "label", env = "VOTUM_LABELS", value_name = "KEY=VALUE", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Publish below this folder only; may be repeated.
    #[arg(
        long = "publish-root",
        env = "VOTUM_PUBLISH_ROOTS",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    pub publish_roots: Vec<PathBuf>,
    /// Let tasks inherit this variable; may be repeated [default: PATH, HOME, LANG, TZ].
    #[arg(long, env = "VOTUM_ENV_ALLOW", value_name = "NAME", value_delimiter = ',')]
    pub env_allow: Vec<String>,
    /// Run tasks as this user, with its groups; the worker must be root [default: its own user].
    #[arg(long, env = "VOTUM_TASK_USER", value_name = "NAME")]
    pub task_user: Option<String>,
    /// Stop running tasks when asked to end, after a last checkpoint, instead of leaving them to
    /// the next start.
    #[arg(long, env = "VOTUM_STOP_TASKS")]
    pub stop_tasks: bool,
    /// Serve others than this machine in clear text.
    #[arg(long, env = "VOTUM_INSECURE")]
    pub insecure: bool,
    /// Folder of the secrets that tasks may name, a file each.
    #[arg(long, env = "VOTUM_WORKER_SECRETS_DIR", value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// How it shows who it is, and whom it trusts.
    #[command(flatten)]
    pub protection: ProtectionSettings,
    /// Not given on the command line: tests play an older or a newer neighbour.
    #[arg(skip)]
    pub protocols: Option<Versions>,
    /// Write log lines of this level, or by this filter [default: info].
    #[arg(long, env = "VOTUM_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Write log lines like this [default: text].
    #[arg(long, env = "VOTUM_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

impl Settings {
    /// Lists everything that can be set: by the flags of `command`, and in the file.
    ///
    /// # Errors
    /// Names a key of the file that nothing describes.
    pub fn listed(command: &clap::Command) -> Result<Vec<votum_settings::Setting>, String> {
        votum_settings::settings::<File>(command, &notes::KEYS)
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

impl Config {
    /// Joins flags, environment, file and defaults.
    ///
    /// `supervisor` must end in [`supervise`](crate::supervise()).
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be used.
    pub fn resolve(settings: Settings, supervisor: SupervisorProgram) -> Result<Self, ConfigError> {
        let file = match &settings.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let data_dir = absolute(
            settings.data_dir.or(file.data_dir).unwrap_or_else(|| DATA_DIR_DEFAULT.into()),
        )?;
        let staging_dir = match settings.staging_dir.or(file.staging_dir) {
            Some(dir) => absolute(dir)?,
            None => data_dir.join(STAGING),
        };
        let labels = if settings.labels.is_empty() {
            file.labels
        } else {
            settings.labels.iter().map(|label| read_label(label)).collect::<Result<_, _>>()?
        };
        let roots = or_file(settings.publish_roots, file.publish.roots);
        let listen = settings.artifact_listen.or(file.artifact_listen);
        let config = Self {
            name: WorkerId::new(settings.name.or(file.name).ok_or(ConfigError::NoName)?)?,
            coordinator: settings
                .coordinator
                .or(file.coordinator)
                .unwrap_or_else(|| COORDINATOR_DEFAULT.to_owned()),
            data_dir,
            staging_dir,
            artifact_listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            artifact_address: settings.artifact_address.or(file.artifact_address),
            metrics_listen: settings.metrics_listen.or(file.metrics_listen),
            slots: settings.slots.or(file.slots).unwrap_or_else(processors),
            labels,
            publish_roots: roots.into_iter().map(absolute).collect::<Result<_, _>>()?,
            env_allow: match or_file(settings.env_allow, file.tasks.env_allow) {
                names if names.is_empty() => ENV_ALLOW_DEFAULT.map(str::to_owned).to_vec(),
                names => names,
            },
            task_account: match settings.task_user.or(file.tasks.user) {
                Some(name) => Some(Account::find(&name)?),
                None => None,
            },
            log_limit: file.tasks.log_limit.map_or(LOG_LIMIT_DEFAULT, |limit| limit.0),
            log_retention: file.tasks.log_retention.map_or(LOG_RETENTION_DEFAULT, |span| span.0),
            grace_period: file.tasks.grace_period.map_or(GRACE_PERIOD_DEFAULT, |span| span.0),
            shadow_reserve: file.tasks.shadow_reserve.map_or(SHADOW_RESERVE_DEFAULT, |size| size.0),
            stop_tasks: settings.stop_tasks || file.tasks.stop_at_end,
            insecure: settings.insecure || file.insecure,
            secrets_dir: settings.secrets_dir.or(file.secrets.dir).map(absolute).transpose()?,
            protection: Protection::joined(settings.protection, file.tls, file.auth),
            protocols: settings.protocols.unwrap_or(Versions::OURS),
            supervisor,
            log: settings.log.or(file.log).unwrap_or_else(|| LOG_DEFAULT.to_owned()),
            log_format: settings.log_format.or(file.log_format).unwrap_or_default(),
        };
        config.check()?;
        Ok(config)
    }

    /// Refuses what cannot work or is not safe.
    fn check(&self) -> Result<(), ConfigError> {
        if !(1..=SLOTS_MAX).contains(&self.slots) {
            return Err(ConfigError::Slots { slots: self.slots });
        }
        if let Some(text) = self.labels.keys().find(|name| name.starts_with(RESERVED_LABELS)) {
            return Err(ConfigError::ReservedLabel { text: text.clone() });
        }
        let (tls, refused) = (&self.protection.tls, &self.protection.refused);
        if (!tls.is_empty() || refused.is_some()) && !self.protection.guards_peers() {
            return Err(ConfigError::HalfTls);
        }
        let guarded = self.insecure || self.protection.guards_peers();
        if !guarded && !self.artifact_listen.ip().is_loopback() {
            return Err(ConfigError::NotLoopback { address: self.artifact_listen });
        }
        if let Some(address) = self.metrics_listen
            && !self.insecure
            && !address.ip().is_loopback()
        {
            return Err(ConfigError::NotLoopback { address });
        }
        if self.artifact_address.is_none() && self.artifact_listen.ip().is_unspecified() {
            return Err(ConfigError::NoAddress { listen: self.artifact_listen });
        }
        Ok(())
    }

    /// Returns where the journal lies.
    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// Returns where the launches, exits and logs of attempts lie.
    pub(crate) fn attempts_dir(&self) -> PathBuf {
        self.data_dir.join("attempts")
    }

    /// Returns where the commands lie that tasks find in their `PATH`.
    pub(crate) fn tools_dir(&self) -> PathBuf {
        self.data_dir.join("bin")
    }

    /// Returns what the supervisors of exclusive attempts watch.
    pub(crate) fn lease_file(&self) -> PathBuf {
        self.data_dir.join("lease.json")
    }

    /// Returns where checkpoints lie, of tasks that run here or elsewhere.
    pub(crate) fn checkpoints_dir(&self) -> PathBuf {
        self.data_dir.join("checkpoints")
    }

    /// Returns where the key of the read tokens lies.
    pub(crate) fn secret_file(&self) -> PathBuf {
        self.data_dir.join("read-token.key")
    }
}

/// Why a worker cannot be configured.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file says something that means nothing.
    #[error("{path:?} is not a worker's configuration")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        source: Box<toml::de::Error>,
    },
    /// A worker has no name by default.
    #[error("the worker has no name; give it one with --name")]
    NoName,
    /// Its name breaks the rule of names.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Tasks cannot run as the user that was named.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A label is no pair.
    #[error("the label {text:?} is not of the form key=value")]
    Label {
        /// What was given.
        text: String,
    },
    /// A label that a worker gives itself.
    #[error(
        "the label {text:?} begins with {RESERVED_LABELS}, which is what a worker says of itself"
    )]
    ReservedLabel {
        /// What was given.
        text: String,
    },
    /// Too few or too many slots.
    #[error("{slots} slots are not between 1 and {SLOTS_MAX}")]
    Slots {
        /// What was given.
        slots: u32,
    },
    /// Others could read everything that is sent.
    #[error(
        "{address} can be reached from other machines in clear text; [tls] encrypts, --insecure \
         allows it"
    )]
    NotLoopback {
        /// What was given.
        address: SocketAddr,
    },
    /// A worker is both ends of connections, and shows and trusts on both.
    #[error(
        "[tls] needs all of ca, cert and key: a worker shows a certificate and looks at others"
    )]
    HalfTls,
    /// Nobody can connect to an address that stands for all.
    #[error("{listen} stands for every address; say with --artifact-address which one others use")]
    NoAddress {
        /// What was given.
        listen: SocketAddr,
    },
    /// A path cannot be made absolute.
    #[error("{path:?} is not a usable path")]
    Path {
        /// What was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    name: Option<String>,
    coordinator: Option<String>,
    data_dir: Option<PathBuf>,
    staging_dir: Option<PathBuf>,
    artifact_listen: Option<SocketAddr>,
    artifact_address: Option<String>,
    metrics_listen: Option<SocketAddr>,
    slots: Option<u32>,
    labels: BTreeMap<String, String>,
    insecure: bool,
    log: Option<String>,
    log_format: Option<LogFormat>,
    tls: TlsSection,
    auth: AuthSection,
    publish: PublishSection,
    tasks: TasksSection,
    secrets: SecretsSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SecretsSection {
    dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PublishSection {
    roots: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TasksSection {
    env_allow: Vec<String>,
    grace_period: Option<Span>,
    log_limit: Option<Bytes>,
    log_retention: Option<Span>,
    shadow_reserve: Option<Bytes>,
    stop_at_end: bool,
    user: Option<String>,
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::from_str(&text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

impl FromStr for File {
    type Err = toml::de::Error;

    fn from_str(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

fn read_label(text: &str) -> Result<(String, String), ConfigError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(ConfigError::Label { text: text.to_owned() }),
    }
}

fn or_file<T>(settings: Vec<T>, file: Vec<T>) -> Vec<T> {
    if settings.is_empty() { file } else { settings }
}

fn absolute(path: PathBuf) -> Result<PathBuf, ConfigError> {
    std::path::absolute(&path).map_err(|source| ConfigError::Path { path, source })
}

fn processors() -> u32 {
    std::thread::available_parallelism()
        .map_or(1, |n| u32::try_from(n.get()).unwrap_or(SLOTS_MAX).min(SLOTS_MAX))
}

const COORDINATOR_DEFAULT: &str = "http://127.0.0.1:7070";
pub(crate) const DATA_DIR_DEFAULT: &str = "/var/lib/votum/worker";
const STAGING: &str = "staging";
const LOG_DEFAULT: &str = "info";
const ENV_ALLOW_DEFAULT: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
const LOG_LIMIT_DEFAULT: u64 = 64 << 20;
const LOG_RETENTION_DEFAULT: Duration = Duration::from_hours(7 * 24);
const GRACE_PERIOD_DEFAULT: Duration = Duration::from_secs(10);
const SHADOW_RESERVE_DEFAULT: u64 = 64 << 20;
/// Most attempts at a time that one worker takes on.
pub const SLOTS_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Settings {
        Settings { name: Some("s1".to_owned()), ..Settings::default() }
    }

    fn resolve(settings: Settings) -> Result<Config, ConfigError> {
        Config::resolve(settings, SupervisorProgram::this_executable(["supervise"]))
    }

    fn file(text: &str) -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.toml");
        fs::write(&path, text).unwrap();
        (dir, Settings { config: Some(path), ..Settings::default() })
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let (_dir, settings) = file("name = \"s1\"\nslots = 4\n[publish]\nroots = [\"/srv\"]");
        let config = resolve(Settings { slots: Some(9), ..settings }).unwrap();
        assert_eq!((config.slots, config.name.as_str()), (9, "s1"));
        assert_eq!(config.publish_roots, [PathBuf::from("/srv")]);
    }

    #[test]
    fn an_unknown_key_of_the_file_is_refused() {
        let (_dir, settings) = file("name = \"s1\"\nslot = 4");
        assert!(matches!(resolve(settings), Err(ConfigError::Malformed { .. })));
    }

    #[test]
    fn sizes_and_times_are_written_with_units() {
        let text = "name = \"s1\"\n[tasks]\nlog_limit = \"2MiB\"\ngrace_period = \"1m\"";
        let (_dir, settings) = file(text);
        let config = resolve(settings).unwrap();
        assert_eq!((config.log_limit, config.grace_period), (2 << 20, Duration::from_mins(1)));
    }

    #[test]
    fn the_example_of_the_package_is_understood() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/xtask/packaging/worker.toml");
        let file = File::read(Path::new(path)).unwrap();
        assert_eq!(file.tasks.user.as_deref(), Some("votum-task"));
    }

    #[test]
    fn clear_text_for_other_machines_must_be_asked_for() {
        let listen = Some("192.0.2.1:7071".parse().unwrap());
        let open = Settings { artifact_listen: listen, ..named() };
        assert!(matches!(resolve(open.clone()), Err(ConfigError::NotLoopback { .. })));
        assert!(resolve(Settings { insecure: true, ..open }).is_ok());
    }

    #[test]
    fn what_a_worker_says_of_itself_is_no_setting() {
        let labels = vec!["votum.limit.memory=enforced".to_owned()];
        let resolved = resolve(Settings { labels, ..named() });
        assert!(matches!(resolved, Err(ConfigError::ReservedLabel { .. })));
    }

    #[test]
    fn a_worker_without_a_name_does_not_start() {
        assert!(matches!(resolve(Settings::default()), Err(ConfigError::NoName)));
    }
}
