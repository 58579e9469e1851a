//! `votum doctor`: what keeps a cluster from working, or soon may.

mod clocks;
mod disk;
mod findings;
mod limits;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use votum_client::Client;
use votum_wire::{ClusterView, IndexState, WorkerState, WorkerView};

use self::findings::{Findings, Grade};
use crate::{
    context::{Context, Patience},
    display::amount,
    exit::Exit,
    fault::{Fault, Outcome},
    screen,
};

/// Check the connection, versions, clocks, limits, workers, and what waits for a person.
///
/// Every line says what was looked at and what was found: ok, look (it works, but somebody should
/// look) or bad; below what is not ok stands what to do. Exit 0 if nothing is bad, 1 if something
/// is, 7 if the coordinator cannot be reached.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum doctor\n  votum doctor --disk /var/lib/votum     # its sync time and its room\n  votum doctor --json"
)]
pub(crate) struct DoctorArgs {
    /// Also examine a directory of this machine: write and sync a few small files, as a journal
    /// would, and look how much room there is.
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
}

/// Looks at everything and tells it.
pub(crate) async fn run(args: &DoctorArgs, context: &Context) -> Outcome {
    let mut findings = Findings::default();
    let client = context.client(Patience::Short)?;
    let before = screen::now();
    let cluster = client.cluster().await;
    let after = screen::now();
    let address = context.global.address();
    let reached = match cluster {
        Ok(view) => {
            let took = amount::duration(after.since(before).max(Duration::from_millis(1)));
            findings.ok("coordinator", format!("{address} answered in {took}"));
            of_connection(context, &mut findings);
            of_cluster(&view, &mut findings);
            clocks::of_coordinator(before, view.answered, after, &mut findings);
            limits::of_coordinator(&view, &mut findings);
            of_workers(&client.workers().await?, &mut findings);
            of_people(&client, &mut findings).await?;
            true
        }
        Err(error) => {
            let advice = "start it, or name another:  votum --address URL doctor";
            findings.bad("coordinator", Fault::from(error).to_string(), advice);
            false
        }
    };
    if let Some(dir) = &args.disk {
        disk::examine(dir, &mut findings);
    }
    findings.print(context)?;
    Ok(match (reached, findings.worst()) {
        (false, _) => Exit::Unreachable,
        (true, Grade::Bad) => Exit::Failure,
        (true, Grade::Ok | Grade::Look) => Exit::Done,
    })
}

fn of_connection(context: &Context, findings: &mut Findings) {
    let credentials = &context.global.credentials;
    let shown = match (&credentials.tls_cert, &credentials.token_file) {
        (Some(cert), _) => format!("shows the certificate {}", cert.display()),
        (None, Some(token)) => format!("shows the token in {}", token.display()),
        (None, None) => "shows nothing of who asks".to_owned(),
    };
    match &credentials.tls_ca {
        Some(ca) => {
            let found = format!("encrypted, the coordinator is known by {}", ca.display());
            findings.ok("connection", format!("{found}; {shown}"));
        }
        None if is_here(context.global.address()) => {
            findings.ok("connection", format!("not encrypted, and within this machine; {shown}"));
        }
        None => findings.look(
            "connection",
            format!("not encrypted; {shown}"),
            "use TLS beyond one machine: docs/security.md, --tls-ca",
        ),
    }
}

/// Says whether an address is one of this machine alone.
fn is_here(address: &str) -> bool {
    let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|own| bare.starts_with(own))
}

fn of_cluster(view: &ClusterView, findings: &mut Findings) {
    let own = env!("CARGO_PKG_VERSION");
    let versions = format!("coordinator {}, this program {own}", view.version);
    if view.version == own {
        findings.ok("versions", versions);
    } else {
        findings.look("versions", versions, "upgrade the older one: docs/operations.md");
    }
    let up = amount::duration(screen::now().since(view.started));
    findings.ok("uptime", format!("{up}, epoch {}", view.epoch));
    if view.log_stale {
        let found = "a worker knows a newer log than the coordinator's: nothing is admitted";
        let advice = "put the newest journal in its place: docs/operations.md; votum txn list";
        findings.bad("log", found, advice);
    }
    let index = view.index.word().to_lowercase();
    match view.index {
        IndexState::Current | IndexState::CaughtUp => findings.ok("index", index),
        IndexState::Rebuilt => {
            let advice = "nothing if it was removed or restored on purpose; else check the disk";
            findings.look("index", index, advice);
        }
    }
    for stream in &view.quarantined {
        let found = format!("{}: {}", stream.stream, stream.problem);
        findings.bad("journal", found, "a person decides:  votum case list");
    }
    if view.mixed > 0 {
        let found = format!("{} MIXED", amount::count(view.mixed, "job"));
        findings.bad("mixed", found, "see who has not caught up:  votum txn list");
    }
}

fn of_workers(workers: &[WorkerView], findings: &mut Findings) {
    let ready = workers.iter().filter(|view| view.state == WorkerState::Ready).count();
    match (workers.len(), ready) {
        (0, _) => {
            let advice = "start one:  votum-worker --name s1 --coordinator URL --publish-root DIR";
            findings.bad("workers", "none has ever connected", advice);
        }
        (all, 0) => findings.bad("workers", format!("none of {all} is ready"), LOOK_AT_WORKERS),
        (all, ready) if all == ready => findings.ok("workers", format!("{ready} ready")),
        (all, ready) => {
            findings.look("workers", format!("{ready} of {all} ready"), LOOK_AT_WORKERS);
        }
    }
    for view in workers {
        of_worker(view, findings);
        limits::of_worker(view, findings);
    }
    clocks::of_workers(workers, findings);
}

fn of_worker(view: &WorkerView, findings: &mut Findings) {
    let name = &view.worker;
    let found = format!("{name} is {}", view.state.word());
    match view.state {
        WorkerState::Ready | WorkerState::Reconciling => {}
        WorkerState::Lost => {
            let advice =
                format!("start it again; if it is gone for good:  votum worker delete {name}");
            findings.bad("worker", found, advice);
        }
        WorkerState::Suspect | WorkerState::Absent => {
            let advice = "look at its log and its network; it is lost when its lease is over";
            findings.look("worker", found, advice);
        }
        WorkerState::Draining | WorkerState::Drained => {
            let advice = format!("when its maintenance is over:  votum worker resume {name}");
            findings.look("worker", found, advice);
        }
    }
    if view.publish_roots.is_empty() {
        let found = format!("{name} has no publish root: it publishes nothing");
        findings.look("worker", found, "name some in [publish] of its configuration");
    }
    for damage in &view.damages {
        let found = format!("{name} cannot read its records of {}: {}", damage.job, damage.problem);
        let advice = format!("docs/operations.md; what is known:  votum show {}", damage.job);
        findings.bad("worker", found, advice);
    }
}

async fn of_people(client: &Client, findings: &mut Findings) -> Result<(), Fault> {
    match client.txns(true).await?.len() as u64 {
        0 => findings.ok("in doubt", "nobody"),
        count => {
            let found = amount::count(count, "transaction");
            findings.look("in doubt", found, "see who is waited for:  votum txn list --in-doubt");
        }
    }
    match client.case_page(CASES_MAX, None).await?.cases.len() {
        0 => findings.ok("cases", "nothing waits for a person"),
        count => findings.look("cases", format!("{count} open"), "decide them:  votum case list"),
    }
    Ok(())
}

const CASES_MAX: usize = 200;
const LOOK_AT_WORKERS: &str = "votum worker list";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_this_machine_needs_no_encryption() {
        for here in ["http://127.0.0.1:7070", "localhost:7070", "http://[::1]:7070"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["http://10.0.0.1:7070", "votum.example.com:7070"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
