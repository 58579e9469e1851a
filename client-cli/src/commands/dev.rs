//! `votum dev`: a coordinator and workers on this machine, for trying out.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use votum_client::Client;
use votum_wire::{WorkerView, request::SubmitJob};

use crate::{
    access::Credentials,
    commands::submit,
    context::{Context, Patience},
    dev::{
        cluster::{Cluster, worker_name},
        demo,
        layout::{Layout, free_address},
        member::{Happening, Report, Restart},
        pki::Pki,
        readiness,
    },
    display::{
        paint::Tone,
        table::{Table, cell},
    },
    exit::Exit,
    fault::{Fault, Outcome},
    follow,
};

/// Start a coordinator and workers on this machine, for trying out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum dev                  a cluster until Ctrl-C\n  votum dev --demo           one real job on it, and its report\n  votum dev --demo --stay    the same, and the cluster stays"
)]
pub(crate) struct DevArgs {
    /// How many workers.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Where everything is kept; a second start goes on with what is there.
    #[arg(long, value_name = "DIR", default_value = "votum-dev")]
    data: PathBuf,
    /// Port of the coordinator; a free one if it is taken.
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// Run an audit of this machine's third-party crates and show what became visible.
    #[arg(long)]
    demo: bool,
    /// Keep the cluster after the demo.
    #[arg(long, requires = "demo")]
    stay: bool,
    /// Make certificates, and let everybody show one: clients, workers and coordinator.
    #[arg(long)]
    tls: bool,
    /// Do not start a process again that ended.
    #[arg(long)]
    no_restart: bool,
}

/// Runs the cluster until it is told to stop, or until the demo is over.
pub(crate) async fn run(args: &DevArgs, context: &Context) -> Outcome {
    if args.demo && args.workers < demo::WORKERS_MIN {
        let words = format!("the demo needs {} workers", demo::WORKERS_MIN);
        return Err(Fault::usage(words));
    }
    let spec = args.demo.then(demo::job).transpose()?;
    let mut stop = Stop::listen()?;
    let layout = Layout::create(&args.data)?;
    let address = free_address(args.port)?;
    let restart = if args.no_restart { Restart::Never } else { Restart::Always };
    let pki = if args.tls { Some(prepare_pki(&layout, args.workers)?) } else { None };
    let mut cluster = Cluster::start(&layout, address, args.workers, restart, pki)?;
    let outcome = tokio::select! {
        outcome = used(args, context, &mut cluster, spec) => outcome,
        () = stop.asked() => Ok(Exit::Interrupted),
    };
    context.screen.remark("stopping the cluster")?;
    cluster.stop().await;
    let data = layout.root().display();
    context.screen.remark(&format!("stopped; everything stays in {data}"))?;
    // To end the cluster with Ctrl-C is what it is there for.
    match outcome {
        Ok(Exit::Interrupted) if !args.demo => Ok(Exit::Done),
        outcome => outcome,
    }
}

/// Shows the cluster, runs the demo if asked to, and stays for as long as asked to.
async fn used(
    args: &DevArgs,
    context: &Context,
    cluster: &mut Cluster,
    spec: Option<votum_job::JobSpec>,
) -> Outcome {
    let credentials = cluster.credentials();
    let client = context.client_of(&cluster.url(), Patience::Short, &credentials)?;
    let workers = readiness::all_ready(cluster, &client).await?;
    context.screen.result(&introduction(cluster, &workers, args, context))?;
    let Some(spec) = spec else { return stay(cluster, context).await };
    let client = context.client_of(&cluster.url(), Patience::Endless, &credentials)?;
    let exit = tokio::select! {
        exit = demonstrate(&client, spec, &workers, context) => exit?,
        never = stay(cluster, context) => return never,
    };
    if args.stay && exit != Exit::Interrupted {
        context.screen.remark("the cluster stays; Ctrl-C ends it")?;
        return stay(cluster, context).await;
    }
    Ok(exit)
}

fn prepare_pki(layout: &Layout, workers: u16) -> Result<Pki, Fault> {
    let names: Vec<String> = (1..=workers).map(worker_name).collect();
    Pki::prepare(&layout.pki(), names.iter().map(String::as_str)).map_err(|error| {
        let text = format!("{:#}", anyhow::Error::from(error));
        Fault::new(Exit::Failure, "CERTIFICATE", text)
    })
}

/// Submits the demo's job, follows it and shows what came of it.
async fn demonstrate(
    client: &Client,
    spec: votum_job::JobSpec,
    workers: &[WorkerView],
    context: &Context,
) -> Outcome {
    let request = SubmitJob {
        spec,
        job: None,
        request: Some(submit::draw_request_id()),
        validate_only: false,
    };
    let submitted = submit::hand_in(client, &request, context).await?;
    let Some(job) = submitted.job.as_ref().map(|view| view.job.clone()) else {
        return Err(Fault::new(Exit::Failure, "NO_JOB", "the demo's job has no name"));
    };
    context.screen.remark(&format!("\nan audit of the Rust crates on this machine: {job}"))?;
    let Some(view) = follow::following(client, &job, context).await? else {
        return Ok(Exit::Interrupted);
    };
    let exit = follow::conclude(&view, context)?;
    if exit == Exit::Done {
        let summary = demo::summary(&view, workers, context.screen.paint);
        context.screen.remark("")?;
        context.screen.result(&summary)?;
    }
    Ok(exit)
}

/// Tells what happens to the processes, for ever.
async fn stay(cluster: &mut Cluster, context: &Context) -> Outcome {
    while let Some(Report { name, what }) = cluster.reports.recv().await {
        let words = match what {
            Happening::Ended(status) => match cluster.command_of(&name) {
                Some(command) => {
                    format!("{name} ended ({status}); start it again with\n  {command}")
                }
                None => format!("{name} ended ({status}); it is started again in 3 s"),
            },
            Happening::Deleted => format!("{name} was deleted and stays away"),
            Happening::Restarted(pid) => format!("{name} runs again, pid {pid}"),
            Happening::Failed(error) => format!("{name} cannot be started again: {error}"),
        };
        context.screen.remark(&format!("dev: {words}"))?;
    }
    Ok(Exit::Failure)
}

fn introduction(
    cluster: &Cluster,
    workers: &[WorkerView],
    args: &DevArgs,
    context: &Context,
) -> String {
    let paint = context.screen.paint;
    let mut table = Table::new(["PROCESS", "PID", "ADDRESS", "DATA", "LOG"]);
    for member in &cluster.members {
        let worker = workers.iter().find(|view| view.worker.as_str() == member.name);
        let address = worker.map_or_else(|| cluster.url(), |view| view.artifact_address.clone());
        table.row([
            cell(&member.name).tone(Tone::Strong),
            cell(member.pid.to_string()).right(),
            cell(address),
            cell(member.data.to_string_lossy()),
            cell(member.log.to_string_lossy()),
        ]);
    }
    let mut text = format!(
        "{}\n\n{}\n",
        paint.text(Tone::Odd, "a cluster on this machine, for trying out; not for production"),
        table.text(paint)
    );
    let mut next = Table::bare().indented(2);
    let mut suggest = |label: &str, command: String| {
        next.row([cell(label).tone(Tone::Soft), cell(command)]);
    };
    if cluster.url() != context.global.address() {
        suggest("first:", format!("export VOTUM_ADDRESS={}", cluster.url()));
    }
    if let Credentials { tls_ca: Some(ca), tls_cert: Some(cert), tls_key: Some(key), .. } =
        cluster.credentials()
    {
        suggest("", format!("export VOTUM_TLS_CA={}", ca.display()));
        suggest("", format!("export VOTUM_TLS_CERT={}", cert.display()));
        suggest("", format!("export VOTUM_TLS_KEY={}", key.display()));
    }
    suggest("look:", "votum status".to_owned());
    suggest("page:", format!("{}/", cluster.url()));
    if !args.demo {
        suggest("run:", "votum run docs/examples/hello.yaml".to_owned());
    }
    if let Some(member) = cluster.members.last() {
        let after = if args.no_restart { "" } else { "   (it comes back)" };
        suggest("kill one:", format!("kill -9 {}{after}", member.pid));
    }
    text.push_str(&next.text(paint));
    text
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from here on, so that no signal ends this process before its children.
    fn listen() -> Result<Self, Fault> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
