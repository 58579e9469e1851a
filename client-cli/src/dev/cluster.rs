//! A coordinator and workers on this machine: real processes, so that they can be killed.

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    layout::Layout,
    member::{Recipe, Report, Restart},
    pki::{Holder, Pki},
};
use crate::access::Credentials;

/// A running development cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Who runs, the coordinator first.
    pub members: Vec<Started>,
    /// What happens to them.
    pub reports: mpsc::Receiver<Report>,
    address: SocketAddr,
    restart: Restart,
    stops: Vec<Stop>,
    pki: Option<Pki>,
}

/// A process that was started.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Its data.
    pub data: PathBuf,
    /// What it writes.
    pub log: PathBuf,
    /// What starts it, for a shell.
    pub command: String,
}

#[derive(Debug)]
struct Stop {
    signal: watch::Sender<bool>,
    ended: JoinHandle<()>,
}

impl Cluster {
    /// Starts the coordinator and `workers` workers, with certificates if there are any.
    pub(crate) fn start(
        layout: &Layout,
        address: SocketAddr,
        workers: u16,
        restart: Restart,
        pki: Option<Pki>,
    ) -> io::Result<Self> {
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let (members, stops) = (Vec::new(), Vec::new());
        let mut cluster = Self { members, reports, address, restart, stops, pki };
        let holder = cluster.pki.as_ref().map(|pki| pki.of("coordinator"));
        let coordinator = coordinator(layout, address, holder);
        cluster.add(coordinator, layout.coordinator(), sender.clone())?;
        for number in 1..=workers {
            let name = worker_name(number);
            layout.create_worker(&name)?;
            let holder = cluster.pki.as_ref().map(|pki| pki.of(&name));
            let recipe = worker(layout, &cluster.url(), number, holder);
            cluster.add(recipe, layout.worker(&name), sender.clone())?;
        }
        Ok(cluster)
    }

    /// Returns where clients connect.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.pki.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns what clients show.
    pub(crate) fn credentials(&self) -> Credentials {
        self.pki.as_ref().map(Pki::user).unwrap_or_default()
    }

    /// Returns what starts a process again, if nobody else does.
    pub(crate) fn command_of(&self, name: &str) -> Option<&str> {
        let member = self.members.iter().find(|member| member.name == name)?;
        (self.restart == Restart::Never).then_some(&member.command)
    }

    /// Stops every process, the workers before their coordinator.
    pub(crate) async fn stop(mut self) {
        self.reports.close();
        let workers = self.stops.split_off(1);
        for Stop { signal, .. } in &workers {
            // One that has ended already does not listen.
            let _ = signal.send(true);
        }
        for Stop { ended, .. } in workers {
            let _ = ended.await;
        }
        for Stop { signal, ended } in self.stops {
            let _ = signal.send(true);
            let _ = ended.await;
        }
    }

    fn add(
        &mut self,
        recipe: Recipe,
        data: PathBuf,
        reports: mpsc::Sender<Report>,
    ) -> io::Result<()> {
        let (name, log) = (recipe.name.clone(), recipe.log.clone());
        let command = recipe.command();
        let member = recipe.start()?;
        let pid = member.pid().unwrap_or(0);
        let (signal, stop) = watch::channel(false);
        let ended = tokio::spawn(member.run(self.restart, stop, reports));
        self.stops.push(Stop { signal, ended });
        self.members.push(Started { name, pid, data, log, command });
        Ok(())
    }
}

/// Returns the name of a worker.
pub(crate) fn worker_name(number: u16) -> String {
    format!("s{number}")
}

fn coordinator(layout: &Layout, address: SocketAddr, holder: Option<Holder>) -> Recipe {
    let mut arguments = words(["internal", "coordinator", "--die-with-parent", "--listen"]);
    arguments.push(address.to_string().into());
    arguments.push("--data-dir".into());
    arguments.push(layout.coordinator().into());
    // Short, so that a lost worker is noticed while somebody watches.
    arguments.extend(words([
        "--heartbeat-interval-ms",
        "1000",
        "--lease-ms",
        "5000",
        "--stop-grace-ms",
        "5000",
    ]));
    arguments.extend(shown(holder, "--tls-client-ca"));
    Recipe { name: "coordinator".to_owned(), arguments, log: layout.log("coordinator") }
}

fn worker(layout: &Layout, coordinator: &str, number: u16, holder: Option<Holder>) -> Recipe {
    let name = &worker_name(number);
    let mut arguments = words(["internal", "worker", "--die-with-parent", "--name", name]);
    // Nobody would look after a task that outlives its development cluster.
    arguments.push("--stop-tasks".into());
    arguments.push("--coordinator".into());
    arguments.push(coordinator.into());
    arguments.push("--data-dir".into());
    arguments.push(layout.worker(name).into());
    arguments.push("--publish-root".into());
    arguments.push(layout.publish_root(name).into());
    arguments.extend(words(["--artifact-listen", "127.0.0.1:0", "--label", "class=small"]));
    arguments.push("--label".into());
    arguments.push(format!("zone={}", zone(number)).into());
    arguments.extend(shown(holder, "--tls-ca"));
    Recipe { name: name.to_owned(), arguments, log: layout.log(name) }
}

/// Returns the options that name the files of a holder.
fn shown(holder: Option<Holder>, ca_option: &str) -> Vec<OsString> {
    let Some(Holder { cert, key, ca }) = holder else { return Vec::new() };
    let options = [("--tls-cert", cert), ("--tls-key", key), (ca_option, ca)];
    options.into_iter().flat_map(|(option, file)| [option.into(), file.into()]).collect()
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}

fn zone(number: u16) -> char {
    let letter = u8::try_from((number - 1) % 26).unwrap_or(0);
    char::from(b'a' + letter)
}

/// More than all processes can report before anybody looks.
const REPORTS_MAX: usize = 256;
