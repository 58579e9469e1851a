//! Celery over a Redis that syncs every write.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    bench::Bench,
    daemons::{Daemon, free_port},
    peers::{Peers, output},
    stopwatch::{Stopwatch, pause},
};

/// Measures chords, one at a time and 64 at once.
pub(super) async fn measure(
    peers: &mut Peers,
    bench: &mut Bench,
    runs: usize,
) -> anyhow::Result<()> {
    output(Command::new("redis-server").arg("--version"))
        .context("no Redis: apt-get install redis-server")?;
    let folder = peers.laid_out("celery", &[("tasks.py", TASKS), ("load.py", LOAD)])?;
    let python = folder.join("venv/bin/python");
    if !python.exists() {
        output(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
        output(Command::new(&python).args(["-m", "pip", "install", "-q", CELERY]))?;
    }
    let servers = Servers::started(&folder, &bench.scratch).await?;
    let seconds = bench.pace.time.as_secs_f64().to_string();
    for _ in 0..runs {
        let mut load = Command::new(&python);
        load.arg(folder.join("load.py")).args([&seconds, "1", "64"]);
        let printed = output(load.env("REDIS", &servers.redis).current_dir(&folder))?;
        for line in printed.lines() {
            let measured: Measured = serde_json::from_str(line)?;
            match measured.callers {
                1 => {
                    peers.add("peer.celery.accept.c1", "ms", [measured.accept_ms]);
                    peers.add("peer.celery.end_to_end.c1", "ms", [measured.end_to_end_ms]);
                }
                _many => peers.add("peer.celery.rate.c64", "1/s", [measured.rate]),
            }
        }
    }
    Ok(())
}

/// One line of the load program.
#[derive(Debug, Deserialize)]
struct Measured {
    callers: u32,
    accept_ms: f64,
    end_to_end_ms: f64,
    rate: f64,
}

/// Redis and a worker of four processes.
struct Servers {
    redis: String,
    // In this order: the worker asks Redis to the last.
    _worker: Daemon,
    _store: Daemon,
    _home: TempDir,
}

impl Servers {
    async fn started(folder: &Path, scratch: &Path) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("celery-").tempdir_in(scratch)?;
        let port = free_port()?;
        let data = home.path().to_string_lossy().into_owned();
        let argv = ["redis-server", "--port", &port.to_string(), "--bind", "127.0.0.1"];
        let durable = ["--dir", &data, "--appendonly", "yes", "--appendfsync", "always"];
        let rest = ["--save", "", "--daemonize", "no"];
        let argv = argv.into_iter().chain(durable).chain(rest).map(str::to_owned).collect();
        let mut store = Daemon::new(argv, home.path().join("redis.log"));
        store.start()?;
        let watch = Stopwatch::start();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(watch.elapsed() < Duration::from_secs(20), "Redis does not come up");
            pause(Duration::from_millis(20)).await;
        }
        let redis = format!("redis://127.0.0.1:{port}");
        let argv = [
            "env".to_owned(),
            format!("REDIS={redis}"),
            format!("PYTHONPATH={}", folder.display()),
            folder.join("venv/bin/python").to_string_lossy().into_owned(),
            "-m".to_owned(),
            "celery".to_owned(),
            "-A".to_owned(),
            "tasks".to_owned(),
            "worker".to_owned(),
            "-c".to_owned(),
            "4".to_owned(),
            "-l".to_owned(),
            "WARNING".to_owned(),
            "--without-gossip".to_owned(),
            "--without-mingle".to_owned(),
        ];
        let mut worker = Daemon::new(argv.into(), home.path().join("worker.log"));
        worker.end_gently();
        worker.start()?;
        Ok(Self { redis, _worker: worker, _store: store, _home: home })
    }
}

const TASKS: &str = include_str!("../../peers/celery/tasks.py");
const LOAD: &str = include_str!("../../peers/celery/load.py");
const CELERY: &str = "celery[redis]==5.7.0";
