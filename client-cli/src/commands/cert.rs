//! `votum cert`: a small authority for a cluster without another one.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use votum_ids::WorkerId;
use votum_tls::{Authority, AuthorityError, COORDINATOR, Identity, Issued, Order, WORKER};

use crate::{
    args::Format,
    context::Context,
    exit::Exit,
    fault::{Fault, Outcome},
    job_file::duration,
};

/// A small authority for a cluster without another one.
#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Make an authority: its certificate for everybody, its key for whoever issues.
    Init(InitArgs),
    /// Make a key, and a certificate that says who holds it.
    Issue(IssueArgs),
}

/// Make an authority.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  votum cert init ./pki

Whoever has ca.key can become anybody in the cluster: keep it off the machines of the cluster.")]
pub(crate) struct InitArgs {
    /// Where it lies from then on; nothing that is there is replaced.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Make a key and a certificate.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  votum cert issue coordinator --role coordinator --san votum.example.com --dir ./pki
  votum cert issue s1 --role worker --dir ./pki
  votum cert issue ada --role operator --days 30 --dir ./pki
  votum --tls-ca pki/ca.crt --tls-cert pki/ada.crt --tls-key pki/ada.key list

A worker is called like its certificate. To take one back, put its fingerprint on the list of every\ndaemon: docs/security.md says how. Issue short ones.")]
pub(crate) struct IssueArgs {
    /// Whom it names.
    #[arg(value_name = "NAME")]
    name: String,
    /// What its holder is.
    #[arg(long)]
    role: HolderRole,
    /// Host name or address by which a coordinator is reached; may be repeated. localhost,
    /// 127.0.0.1 and ::1 are always in a coordinator's.
    #[arg(long = "san", value_name = "HOST")]
    hosts: Vec<String>,
    /// Where the authority lies, and the files are put.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// For how many days it holds.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// For how long it holds, instead of days.
    #[arg(long, value_name = "DURATION", value_parser = duration, hide = true)]
    valid: Option<Duration>,
}

/// What the holder of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HolderRole {
    /// Looks at everything.
    Viewer,
    /// Hands in jobs and steers them.
    Submitter,
    /// Decides what only a person can decide.
    Operator,
    /// The worker of that name.
    Worker,
    /// The coordinator.
    Coordinator,
}

impl HolderRole {
    fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
            Self::Worker => WORKER,
            Self::Coordinator => COORDINATOR,
        }
    }
}

/// Makes an authority or a certificate.
pub(crate) fn run(command: &CertCommand, context: &Context) -> Outcome {
    match command {
        CertCommand::Init(args) => init(args, context),
        CertCommand::Issue(args) => issue(args, context),
    }
}

fn init(args: &InitArgs, context: &Context) -> Outcome {
    Authority::init(&args.dir, now()).map_err(|error| refused(&error))?;
    let (cert, key) = (args.dir.join("ca.crt"), args.dir.join("ca.key"));
    context.screen.result(&match context.screen.format {
        Format::Json => json!({ "cert": cert, "key": key }).to_string(),
        Format::Name => args.dir.display().to_string(),
        Format::Table => format!(
            "{}  for everybody\n{}  for whoever issues: keep it off the machines of the cluster\n",
            cert.display(),
            key.display()
        ),
    })?;
    let dir = args.dir.display();
    context.screen.remark(&format!(
        "next:  votum cert issue coordinator --role coordinator --san HOST --dir {dir}"
    ))?;
    Ok(Exit::Done)
}

fn issue(args: &IssueArgs, context: &Context) -> Outcome {
    let identity = Identity { role: args.role.word().to_owned(), name: args.name.clone() };
    let order = order(identity, args.hosts.clone(), args.valid.unwrap_or(DAY * days(args)));
    let order = order.ok_or_else(|| {
        Fault::usage(format!("{:?} cannot name the holder of a certificate", args.name))
    })?;
    let authority = Authority::open(&args.dir).map_err(|error| {
        let hint = format!("make one:  votum cert init {}", args.dir.display());
        refused(&error).hint(hint)
    })?;
    let issued = authority.issue(&order).map_err(|error| refused(&error))?;
    context.screen.result(&match context.screen.format {
        Format::Json => {
            json!({ "cert": issued.cert, "key": issued.key, "ca": issued.ca }).to_string()
        }
        Format::Name => issued.cert.display().to_string(),
        Format::Table => usage(args.role, &issued),
    })?;
    Ok(Exit::Done)
}

/// Says where the files are named; ready to be copied.
fn usage(role: HolderRole, Issued { cert, key, ca }: &Issued) -> String {
    let (cert, key, ca) = (absolute(cert), absolute(key), absolute(ca));
    match role {
        HolderRole::Coordinator => {
            format!("[tls]\ncert = {cert:?}\nkey = {key:?}\nclient_ca = {ca:?}\n")
        }
        HolderRole::Worker => format!("[tls]\ncert = {cert:?}\nkey = {key:?}\nca = {ca:?}\n"),
        HolderRole::Viewer | HolderRole::Submitter | HolderRole::Operator => {
            let [cert, key, ca] = [cert, key, ca].map(|path| path.display().to_string());
            format!("votum --tls-ca {ca} --tls-cert {cert} --tls-key {key} list\n")
        }
    }
}

/// Says what certificate is wanted; none if the name cannot stand in one.
pub(crate) fn order(identity: Identity, hosts: Vec<String>, valid: Duration) -> Option<Order> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let name = identity.name.as_bytes();
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.iter().copied().all(plain);
    let is_file = !identity.name.starts_with('.') && identity.name != "ca";
    let is_worker = identity.role != WORKER || WorkerId::new(&identity.name).is_ok();
    let hosts = match identity.role.as_str() {
        COORDINATOR => LOOPBACK.map(str::to_owned).into_iter().chain(hosts).collect(),
        _other => hosts,
    };
    // A clock that is a little behind does not refuse a certificate of a moment ago.
    let from = now() - CLOCK_SKEW;
    (fits && is_file && is_worker).then_some(Order {
        identity,
        hosts,
        from,
        valid: valid + CLOCK_SKEW,
    })
}

fn days(args: &IssueArgs) -> u32 {
    u32::try_from(args.days).unwrap_or(u32::MAX)
}

/// Returns the time of day, from which certificates hold.
pub(crate) fn now() -> SystemTime {
    SystemTime::from(jiff::Timestamp::now())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn refused(error: &AuthorityError) -> Fault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    Fault::new(Exit::Failure, "CERTIFICATE", text)
}

const DAY: Duration = Duration::from_hours(24);
const CLOCK_SKEW: Duration = Duration::from_mins(5);
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Longest name.
const NAME_BYTES_MAX: usize = 63;
