//! What an operator may set: flags before environment before file before defaults.

mod notes;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use votum_settings::Bytes;
use votum_wire::Versions;

use crate::auth::{
    AuthSection, ClientLimits, LimitsSection, Protection, ProtectionArgs, TlsSection,
};

/// The settings of one coordinator, complete and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients and workers connect.
    pub listen: SocketAddr,
    /// Where the journal lies.
    pub data_dir: PathBuf,
    /// Without a frame for this long a worker takes no further attempts; for half of it, it is
    /// suspect.
    pub lease: Duration,
    /// How often workers send a sign of life.
    pub heartbeat_interval: Duration,
    /// After the lease, until a silent worker is lost.
    pub stop_grace: Duration,
    /// A job that is pinned to a lost worker waits this long for it.
    pub lost_after: Duration,
    /// Most open jobs; one more is refused with RESOURCE_EXHAUSTED.
    pub jobs_open_max: usize,
    /// With less free bytes than this below `data_dir`, no job is received; zero: it is never asked.
    pub disk_reserve: u64,
    /// After its retention a job's id, request and outcome are known for this long; zero: not at all.
    pub tombstones_kept: Duration,
    /// Where an OpenTelemetry collector takes traces over HTTP; none: they go nowhere.
    pub otel_endpoint: Option<String>,
    /// A lazy record is durable after this at the latest.
    pub lazy_sync: Duration,
    /// Who may connect, and as whom.
    pub protection: Protection,
    /// How much one client can have.
    pub limits: ClientLimits,
    /// The versions of the session's protocol that it speaks: no setting, but tests play neighbours.
    pub protocols: Versions,
}

/// The same settings as they are given on the command line or in the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML).
    #[arg(long, env = "VOTUM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where clients and workers connect [default: 127.0.0.1:7070].
    #[arg(long, env = "VOTUM_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where the journal lies [default: /var/lib/votum/coordinator].
    #[arg(long, env = "VOTUM_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen beyond this machine although nothing is encrypted or authenticated.
    #[arg(long)]
    pub insecure: bool,
    /// Who may connect, and as whom.
    #[command(flatten)]
    pub protection: ProtectionArgs,
    /// Without a frame for this many milliseconds a worker takes no further attempts; for half of them, it is suspect [default: 15000].
    #[arg(long, env = "VOTUM_LEASE_MS", value_name = "MS")]
    pub lease_ms: Option<u64>,
    /// After the lease, a silent worker is lost after this many milliseconds [default: 10000].
    #[arg(long, env = "VOTUM_STOP_GRACE_MS", value_name = "MS")]
    pub stop_grace_ms: Option<u64>,
    /// A job pinned to a lost worker waits this many milliseconds for it [default: 3600000].
    #[arg(long, env = "VOTUM_LOST_AFTER_MS", value_name = "MS")]
    pub lost_after_ms: Option<u64>,
    /// How often workers send a sign of life, in milliseconds [default: 3000].
    #[arg(long, env = "VOTUM_HEARTBEAT_INTERVAL_MS", value_name = "MS")]
    pub heartbeat_interval_ms: Option<u64>,
    /// After its retention a job's id, request and outcome are known for this many milliseconds, so that a late retry is not a second run; 0: not at all [default: 7776000000, 90 days].
    #[arg(long, env = "VOTUM_TOMBSTONES_KEPT_MS", value_name = "MS")]
    pub tombstones_kept_ms: Option<u64>,
    /// Where an OpenTelemetry collector takes traces by OTLP over HTTP, such as http://127.0.0.1:4318 [default: nowhere].
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otel_endpoint: Option<String>,
    /// A lazy record is durable after this many milliseconds at the latest [default: 100].
    #[arg(long, env = "VOTUM_LAZY_SYNC_MS", value_name = "MS", hide = true)]
    pub lazy_sync_ms: Option<u64>,
}

/// The same settings as they stand in the file; unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    insecure: bool,
    tls: TlsSection,
    auth: AuthSection,
    limits: LimitsSection,
    jobs: JobsFile,
    workers: WorkersFile,
    otel: OtelFile,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct JobsFile {
    max_open: Option<usize>,
    disk_reserve: Option<Bytes>,
    tombstones_kept_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WorkersFile {
    lease_ms: Option<u64>,
    heartbeat_interval_ms: Option<u64>,
    stop_grace_ms: Option<u64>,
    lost_after_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OtelFile {
    endpoint: Option<String>,
}

impl ConfigArgs {
    /// Lists everything that can be set: by the flags of `command`, and in the file.
    ///
    /// # Errors
    /// Names a key of the file that nothing describes.
    pub fn settings(command: &clap::Command) -> Result<Vec<votum_settings::Setting>, String> {
        votum_settings::settings::<ConfigFile>(command, &notes::KEYS)
    }

    /// Joins flags and environment with the file and the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, or a value is out of its bounds.
    pub fn resolve(self) -> anyhow::Result<Config> {
        let file = match &self.config {
            Some(path) => ConfigFile::read(path)?,
            None => ConfigFile::default(),
        };
        let milliseconds = |flag: Option<u64>, file: Option<u64>, default: Duration| {
            flag.or(file).map_or(default, Duration::from_millis)
        };
        let workers = file.workers;
        let config = Config {
            listen: self.listen.or(file.listen).unwrap_or(LISTEN_DEFAULT),
            data_dir: self
                .data_dir
                .or(file.data_dir)
                .unwrap_or_else(|| PathBuf::from(DATA_DIR_DEFAULT)),
            lease: milliseconds(self.lease_ms, workers.lease_ms, LEASE_DEFAULT),
            heartbeat_interval: milliseconds(
                self.heartbeat_interval_ms,
                workers.heartbeat_interval_ms,
                HEARTBEAT_INTERVAL_DEFAULT,
            ),
            stop_grace: milliseconds(self.stop_grace_ms, workers.stop_grace_ms, STOP_GRACE_DEFAULT),
            lost_after: milliseconds(self.lost_after_ms, workers.lost_after_ms, LOST_AFTER_DEFAULT),
            jobs_open_max: file.jobs.max_open.unwrap_or(JOBS_OPEN_MAX_DEFAULT),
            disk_reserve: file.jobs.disk_reserve.map_or(DISK_RESERVE_DEFAULT, |size| size.0),
            tombstones_kept: milliseconds(
                self.tombstones_kept_ms,
                file.jobs.tombstones_kept_ms,
                TOMBSTONES_KEPT_DEFAULT,
            ),
            otel_endpoint: self.otel_endpoint.or(file.otel.endpoint).filter(|url| !url.is_empty()),
            lazy_sync: milliseconds(self.lazy_sync_ms, None, LAZY_SYNC_DEFAULT),
            protection: Protection::joined(self.protection, file.tls, file.auth),
            limits: file.limits.limits(),
            protocols: Versions::OURS,
        };
        config.check(self.insecure || file.insecure)?;
        Ok(config)
    }
}

impl ConfigFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in the configuration {}", path.display()))
    }
}

impl Config {
    fn check(&self, insecure: bool) -> anyhow::Result<()> {
        if !insecure {
            self.protection.check(self.listen)?;
        }
        if let Some(endpoint) = &self.otel_endpoint {
            let url = reqwest::Url::parse(endpoint).ok();
            let is_one = url.is_some_and(|url| {
                ["http", "https"].contains(&url.scheme())
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
            });
            anyhow::ensure!(
                is_one,
                "the collector's address must be like http://127.0.0.1:4318, without a password"
            );
        }
        anyhow::ensure!(
            self.heartbeat_interval * 2 <= self.lease,
            "a lease of {:?} is too short for a heartbeat every {:?}: it must be twice as long",
            self.lease,
            self.heartbeat_interval
        );
        Ok(())
    }
}

const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7070);
const DATA_DIR_DEFAULT: &str = "/var/lib/votum/coordinator";
const LEASE_DEFAULT: Duration = Duration::from_secs(15);
const HEARTBEAT_INTERVAL_DEFAULT: Duration = Duration::from_secs(3);
const STOP_GRACE_DEFAULT: Duration = Duration::from_secs(10);
const LOST_AFTER_DEFAULT: Duration = Duration::from_hours(1);
const JOBS_OPEN_MAX_DEFAULT: usize = 100_000;
const DISK_RESERVE_DEFAULT: u64 = 64 << 20;
const TOMBSTONES_KEPT_DEFAULT: Duration = Duration::from_hours(90 * 24);
const LAZY_SYNC_DEFAULT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_package_says_what_the_defaults_are() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/xtask/packaging/coordinator.toml");
        let example = ConfigArgs { config: Some(path.into()), ..ConfigArgs::default() };
        let (example, default) = (example.resolve().unwrap(), ConfigArgs::default().resolve());
        assert_eq!(format!("{example:?}"), format!("{:?}", default.unwrap()));
    }

    #[test]
    fn a_collectors_address_is_one_without_a_password() {
        let of = |url: &str| {
            let args = ConfigArgs { otel_endpoint: Some(url.to_owned()), ..ConfigArgs::default() };
            args.resolve().map(|config| config.otel_endpoint)
        };
        assert_eq!(of("http://127.0.0.1:4318").unwrap().as_deref(), Some("http://127.0.0.1:4318"));
        assert_eq!(of("").unwrap(), None);
        for wrong in ["127.0.0.1:4318", "ftp://c:4318", "http://", "https://ada:word@c:4318"] {
            let refused = of(wrong).unwrap_err().to_string();
            assert!(refused.contains("collector") && !refused.contains("word@"), "{refused}");
        }
    }

    #[test]
    fn clear_text_for_other_machines_must_be_asked_for() {
        let open =
            ConfigArgs { listen: Some("192.0.2.1:7070".parse().unwrap()), ..ConfigArgs::default() };
        let refused = open.clone().resolve().unwrap_err().to_string();
        assert!(refused.contains("192.0.2.1:7070") && refused.contains("--insecure"), "{refused}");
        assert!(ConfigArgs { insecure: true, ..open }.resolve().is_ok());
    }
}
