//! Waits until every process of the cluster answers and knows the others.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use tokio::time::{interval, timeout};
use votum_client::Client;
use votum_wire::{WorkerState, WorkerView};

use super::{
    cluster::Cluster,
    member::{Happening, Report},
};
use crate::{exit::Exit, fault::Fault};

/// Returns the workers once all of them are ready.
///
/// Asks again and again for the state itself, so that it does not matter in which
/// order the processes come up, or whether one of them had to try twice.
pub(crate) async fn all_ready(
    cluster: &mut Cluster,
    client: &Client,
) -> Result<Vec<WorkerView>, Fault> {
    let mut names: BTreeSet<String> =
        cluster.members.iter().skip(1).map(|member| member.name.clone()).collect();
    let asking = async {
        let mut ask = interval(ASK_EVERY);
        loop {
            tokio::select! {
                report = cluster.reports.recv() => match report {
                    // The others are a cluster without it.
                    Some(Report { name, what: Happening::Deleted }) => {
                        names.remove(&name);
                        cluster.members.retain(|member| member.name != name);
                    }
                    Some(report) => return Err(report),
                    None => {}
                },
                _ = ask.tick() => {
                    let Ok(workers) = client.workers().await else { continue };
                    let is_ready = |view: &&WorkerView| view.state == WorkerState::Ready;
                    let ready = workers.iter().filter(is_ready);
                    let ready: BTreeSet<&str> = ready.map(|view| view.worker.as_str()).collect();
                    if names.iter().all(|name| ready.contains(name.as_str())) {
                        return Ok(workers);
                    }
                }
            }
        }
    };
    match timeout(READY_WITHIN, asking).await {
        Ok(Ok(workers)) => Ok(workers),
        Ok(Err(report)) => Err(died(cluster, &report)),
        Err(_elapsed) => Err(Fault::new(
            Exit::Unreachable,
            "NOT_READY",
            format!("the cluster is not ready after {} s", READY_WITHIN.as_secs()),
        )
        .hint("what its processes say is in the files of the logs folder")),
    }
}

fn died(cluster: &Cluster, report: &Report) -> Fault {
    let what = match &report.what {
        Happening::Ended(status) => format!("{} ended at its start: {status}", report.name),
        Happening::Deleted => format!("{} was deleted", report.name),
        Happening::Restarted(_) => format!("{} had to be started again", report.name),
        Happening::Failed(error) => format!("{} cannot be started: {error}", report.name),
    };
    let fault = Fault::new(Exit::Failure, "DAEMON", what);
    let Some(member) = cluster.members.iter().find(|member| member.name == report.name) else {
        return fault;
    };
    let fault = fault.hint(format!("from {}:", member.log.display()));
    last_lines(&member.log).into_iter().fold(fault, Fault::hint)
}

fn last_lines(log: &Path) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(TAIL_BYTES)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|&line| line.to_owned()).collect()
}

const ASK_EVERY: Duration = Duration::from_millis(100);
const READY_WITHIN: Duration = Duration::from_secs(30);
const TAIL_BYTES: usize = 8 * 1024;
const TAIL_LINES: usize = 8;
