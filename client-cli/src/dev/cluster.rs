//! A coordinator and workers on this machine: real processes, so that they can be killed.

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    layout::Layout,
    member::{Recipe, Report, Restart},
};

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
    /// Starts the coordinator and `workers` workers.
    pub(crate) fn start(
        layout: &Layout,
        address: SocketAddr,
        workers: u16,
        restart: Restart,
    ) -> io::Result<Self> {
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let mut cluster =
            Self { members: Vec::new(), reports, address, restart, stops: Vec::new() };
        let coordinator = coordinator(layout, address);
        cluster.add(coordinator, layout.coordinator(), sender.clone())?;
        for number in 1..=workers {
            let name = format!("s{number}");
            layout.create_worker(&name)?;
            let recipe = worker(layout, address, number, &name);
            cluster.add(recipe, layout.worker(&name), sender.clone())?;
        }
        Ok(cluster)
    }

    /// Returns where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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

fn coordinator(layout: &Layout, address: SocketAddr) -> Recipe {
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
    Recipe { name: "coordinator".to_owned(), arguments, log: layout.log("coordinator") }
}

fn worker(layout: &Layout, coordinator: SocketAddr, number: u16, name: &str) -> Recipe {
    let mut arguments = words(["internal", "worker", "--die-with-parent", "--name", name]);
    // Nobody would look after a task that outlives its development cluster.
    arguments.push("--stop-tasks".into());
    arguments.push("--coordinator".into());
    arguments.push(format!("http://{coordinator}").into());
    arguments.push("--data-dir".into());
    arguments.push(layout.worker(name).into());
    arguments.push("--publish-root".into());
    arguments.push(layout.publish_root(name).into());
    arguments.extend(words(["--artifact-listen", "127.0.0.1:0", "--label", "class=small"]));
    arguments.push("--label".into());
    arguments.push(format!("zone={}", zone(number)).into());
    Recipe { name: name.to_owned(), arguments, log: layout.log(name) }
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
