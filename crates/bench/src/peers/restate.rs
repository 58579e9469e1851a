//! Restate with a service of three durable steps, called over its ingress.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    bench::Bench,
    daemons::{Daemon, free_port},
    load::Load,
    peers::{Peers, http::Connection, output},
    stopwatch::{Stopwatch, pause},
};

/// Measures accepting and running, with empty steps and with steps that spawn; and restarts.
pub(super) async fn measure(
    peers: &mut Peers,
    bench: &mut Bench,
    runs: usize,
) -> anyhow::Result<()> {
    let folder =
        peers.laid_out("restate", &[("package.json", PACKAGE), ("service.mjs", SERVICE)])?;
    if !folder.join("node_modules/@restatedev/restate-sdk").exists() {
        let mut install = Command::new("npm");
        output(install.args(["install", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    let time = bench.pace.time;
    for run in 0..runs {
        let mut empty = Server::started(&folder, &bench.scratch, false).await?;
        empty.called("run", 4, time / 3).await?;
        let alone = empty.called("run", 1, time).await?;
        peers.add("peer.restate.empty.end_to_end.c1", "ms", alone.median_ms());
        peers.add(
            "peer.restate.empty.rate.c64",
            "1/s",
            [empty.called("run", 64, time).await?.rate()],
        );
        let accept = empty.called("run/send", 1, time / 3).await?;
        peers.add("peer.restate.accept.c1", "ms", accept.median_ms());
        let accepts = empty.called("run/send", 64, time).await?;
        peers.add("peer.restate.accept.rate.c64", "1/s", [accepts.rate()]);
        if run == 0 && bench.wants(&["P14"]) {
            let queued = QUEUED.min(bench.pace.jobs_max);
            let took = empty.restarted_with(queued).await?;
            peers.add(&format!("peer.restate.restart.{queued}"), "s", [took]);
        }
        drop(empty);
        let spawning = Server::started(&folder, &bench.scratch, true).await?;
        spawning.called("run", 4, time / 3).await?;
        let rate = spawning.called("run", 64, time).await?.rate();
        peers.add("peer.restate.spawn.rate.c64", "1/s", [rate]);
    }
    Ok(())
}

/// A server and its service.
struct Server {
    server: Daemon,
    service: Daemon,
    ingress: String,
    _home: TempDir,
}

impl Server {
    async fn started(folder: &Path, scratch: &Path, spawns: bool) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("restate-").tempdir_in(scratch)?;
        let (ingress, admin) = (free_port()?, free_port()?);
        let config = home.path().join("restate.toml");
        let (ingress, admin) = (format!("127.0.0.1:{ingress}"), format!("127.0.0.1:{admin}"));
        fs::write(&config, config_of(&ingress, &admin))?;
        let program = program_in(folder)?;
        let argv = [
            program,
            "--config-file".to_owned(),
            config.to_string_lossy().into_owned(),
            "--no-logo".to_owned(),
            "--base-dir".to_owned(),
            home.path().join("data").to_string_lossy().into_owned(),
        ];
        let mut server = Daemon::new(argv.into(), home.path().join("server.log"));
        server.start()?;
        let port = free_port()?;
        let argv = [
            "env".to_owned(),
            format!("PORT={port}"),
            format!("SPAWN={}", i32::from(spawns)),
            "NODE_ENV=production".to_owned(),
            "RESTATE_LOGGING=ERROR".to_owned(),
            "node".to_owned(),
            folder.join("service.mjs").to_string_lossy().into_owned(),
        ];
        let mut service = Daemon::new(argv.into(), home.path().join("service.log"));
        service.start()?;
        answered(&admin, "/deployments", &format!("{{\"uri\":\"http://127.0.0.1:{port}\"}}"))
            .await?;
        answered(&ingress, "/Graph/run", "{}").await?;
        Ok(Self { server, service, ingress, _home: home })
    }

    async fn called(&self, path: &str, callers: usize, time: Duration) -> anyhow::Result<Load> {
        let mut connections = Vec::new();
        for _ in 0..callers {
            let connection = Connection::opened(&self.ingress).await?;
            connections.push(Arc::new(Mutex::new(connection)));
        }
        let path = format!("/Graph/{path}");
        Load::run(callers, time, move |caller, _| {
            let (connection, path) = (Arc::clone(&connections[caller]), path.clone());
            async move {
                connection.lock().await.post(&path, "{}").await?;
                Ok(())
            }
        })
        .await
    }

    /// Kills the server with so many calls queued for a service that is away, and returns the
    /// seconds until it accepts again.
    async fn restarted_with(&mut self, queued: usize) -> anyhow::Result<f64> {
        self.service.kill();
        let mut loops = JoinSet::new();
        for _ in 0..64 {
            let mut connection = Connection::opened(&self.ingress).await?;
            loops.spawn(async move {
                for _ in 0..queued.div_ceil(64) {
                    connection.post("/Graph/run/send", "{}").await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        self.server.kill();
        let watch = Stopwatch::start();
        self.server.start()?;
        answered(&self.ingress, "/Graph/run/send", "{}").await?;
        Ok(watch.elapsed().as_secs_f64())
    }
}

/// Posts until it is answered.
async fn answered(address: &str, path: &str, body: &str) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    loop {
        let tried = async { Connection::opened(address).await?.post(path, body).await };
        let failed = match tokio::time::timeout(Duration::from_secs(10), tried).await {
            Ok(Ok(_answer)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "no answer".to_owned(),
        };
        ensure!(watch.elapsed() < ANSWERED_MAX, "{address}{path}: {failed}");
        pause(Duration::from_millis(5)).await;
    }
}

/// The server is in a package for the machine.
fn program_in(folder: &Path) -> anyhow::Result<String> {
    let packages = fs::read_dir(folder.join("node_modules/@restatedev"))?;
    let program = packages
        .filter_map(|package| Some(package.ok()?.path().join("bin/restate-server")))
        .find(|path| path.exists() && path.to_string_lossy().contains("restate-server-"))
        .context("npm has no Restate server for this machine")?;
    Ok(program.to_string_lossy().into_owned())
}

/// This machine alone and nothing sent home; its log is synced as by default.
fn config_of(ingress: &str, admin: &str) -> String {
    format!(
        "cluster-name = \"bench\"\nnode-name = \"n1\"\nbind-ip = \"127.0.0.1\"\n\
         advertised-host = \"127.0.0.1\"\nlisten-mode = \"tcp\"\ndisable-telemetry = true\n\
         default-num-partitions = 4\nlog-filter = \"error\"\n\
         [ingress]\nbind-address = \"{ingress}\"\n\
         [admin]\ndisable-web-ui = true\nbind-address = \"{admin}\"\n"
    )
}

const PACKAGE: &str = include_str!("../../peers/restate/package.json");
const SERVICE: &str = include_str!("../../peers/restate/service.mjs");
/// As many as P14 compares.
const QUEUED: usize = 20_000;
const ANSWERED_MAX: Duration = Duration::from_secs(60);
