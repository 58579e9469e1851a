//! Three PostgreSQL servers and a two-phase commit over them with a durable decision record.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    sync::{Mutex, mpsc, oneshot},
};

use crate::{
    bench::Bench,
    daemons::free_port,
    load::Load,
    peers::{Peers, output},
};

/// Measures commits, one at a time and with 64 callers.
pub(super) async fn measure(
    peers: &mut Peers,
    bench: &mut Bench,
    runs: usize,
) -> anyhow::Result<()> {
    let servers = Servers::started()?;
    let log = DecisionLog::opened(&bench.scratch)?;
    let first = Branches::opened(&servers.ports).await?;
    for branch in &first.0 {
        branch.lock().await.query("CREATE TABLE t(id bigserial primary key, v text)").await?;
    }
    for run in 0..runs {
        let alone = committed(&servers, &log, run, 1, bench.pace.time).await?;
        peers.add("peer.postgres.commit.c1", "ms", alone.median_ms());
        let together = committed(&servers, &log, run, 64, bench.pace.time).await?;
        peers.add("peer.postgres.rate.c64", "1/s", [together.rate()]);
    }
    Ok(())
}

async fn committed(
    servers: &Servers,
    log: &DecisionLog,
    run: usize,
    callers: usize,
    time: Duration,
) -> anyhow::Result<Load> {
    let mut groups = Vec::new();
    for _ in 0..callers {
        groups.push(Arc::new(Branches::opened(&servers.ports).await?));
    }
    let log = log.clone();
    Load::run(callers, time, move |caller, number| {
        let (branches, log) = (Arc::clone(&groups[caller]), log.clone());
        let name = format!("{run}-{callers}-{caller}-{number}");
        async move {
            let prepare =
                format!("BEGIN; INSERT INTO t(v) VALUES ('x'); PREPARE TRANSACTION '{name}'");
            branches.query(&prepare).await?;
            log.decide(&name).await?;
            branches.query(&format!("COMMIT PREPARED '{name}'")).await
        }
    })
    .await
}

/// Three servers; stopped with this value.
struct Servers {
    bin: PathBuf,
    home: TempDir,
    ports: Vec<u16>,
}

impl Servers {
    fn started() -> anyhow::Result<Self> {
        let bin = installed().context("no PostgreSQL server: apt-get install postgresql")?;
        let home = tempfile::Builder::new().prefix("votum-bench-").tempdir()?;
        fs::set_permissions(home.path(), Permissions::from_mode(0o755))?;
        if is_root()? {
            output(Command::new("chown").arg("postgres").arg(home.path()))?;
        }
        let mut servers = Self { bin, home, ports: Vec::new() };
        for number in 0..3 {
            let (data, port) = (servers.data(number), free_port()?);
            let mut init = servers.program("initdb")?;
            output(init.arg("-D").arg(&data).args(["-U", "bench", "--auth=trust"]))?;
            let mut settings = File::options().append(true).open(data.join("postgresql.conf"))?;
            write!(settings, "port={port}\n{SETTINGS}")?;
            servers.ports.push(port);
            let log = servers.home.path().join(format!("{number}.log"));
            let mut start = servers.program("pg_ctl")?;
            // What it would print is held open by the server, for ever.
            let status = start
                .args(["-w", "-s", "-D"])
                .arg(&data)
                .arg("-l")
                .arg(log)
                .arg("start")
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status()?;
            ensure!(status.success(), "PostgreSQL does not start");
        }
        Ok(servers)
    }

    fn data(&self, number: usize) -> PathBuf {
        self.home.path().join(format!("data-{number}"))
    }

    /// It refuses to run as root.
    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let path = self.bin.join(name);
        let mut command = if is_root()? {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/");
        Ok(command)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for number in 0..self.ports.len() {
            let data = self.data(number);
            if let Ok(mut stop) = self.program("pg_ctl") {
                // Nothing of it is needed any more.
                let _ =
                    stop.args(["-w", "-s", "-m", "immediate", "-D"]).arg(data).arg("stop").status();
            }
        }
    }
}

fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    bins.filter(|bin| bin.join("initdb").exists()).max()
}

fn is_root() -> anyhow::Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

/// One connection to each server.
struct Branches(Vec<Mutex<Connection>>);

impl Branches {
    async fn opened(ports: &[u16]) -> anyhow::Result<Self> {
        let mut branches = Vec::new();
        for &port in ports {
            branches.push(Mutex::new(Connection::opened(port).await?));
        }
        Ok(Self(branches))
    }

    /// Asks all at once.
    async fn query(&self, text: &str) -> anyhow::Result<()> {
        let [a, b, c] = &self.0[..] else { bail!("three servers are needed") };
        let ask = async |branch: &Mutex<Connection>| branch.lock().await.query(text).await;
        tokio::try_join!(ask(a), ask(b), ask(c))?;
        Ok(())
    }
}

/// A connection that speaks the simple query protocol.
struct Connection(BufStream<TcpStream>);

impl Connection {
    async fn opened(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self(BufStream::new(stream));
        let parameters = b"user\0bench\0database\0postgres\0\0";
        let length = u32::try_from(parameters.len() + 8)?;
        connection.0.write_u32(length).await?;
        connection.0.write_u32(PROTOCOL).await?;
        connection.0.write_all(parameters).await?;
        connection.until_ready().await?;
        Ok(connection)
    }

    async fn query(&mut self, text: &str) -> anyhow::Result<()> {
        self.0.write_u8(b'Q').await?;
        self.0.write_u32(u32::try_from(text.len() + 5)?).await?;
        self.0.write_all(text.as_bytes()).await?;
        self.0.write_u8(0).await?;
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        self.0.flush().await?;
        let mut error = None;
        loop {
            let (kind, length) = (self.0.read_u8().await?, self.0.read_u32().await?);
            let length = usize::try_from(length)?.saturating_sub(4);
            ensure!(length <= MESSAGE_BYTES_MAX, "a message of {length} bytes");
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await?;
            match kind {
                b'Z' => break,
                b'E' => error = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
                _other => {}
            }
        }
        match error {
            Some(error) => bail!("PostgreSQL refused: {error}"),
            None => Ok(()),
        }
    }
}

/// The decisions of all callers in one file; those that wait share a sync.
#[derive(Clone)]
struct DecisionLog(mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)>);

impl DecisionLog {
    fn opened(scratch: &Path) -> anyhow::Result<Self> {
        let mut file = tempfile::tempfile_in(scratch)?;
        let (sender, mut receiver) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(1024);
        thread::spawn(move || {
            while let Some((mut bytes, first)) = receiver.blocking_recv() {
                let mut waiting = vec![first];
                while let Ok((more, next)) = receiver.try_recv() {
                    bytes.extend(more);
                    waiting.push(next);
                }
                if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
                    // Whoever waits sees its answer gone.
                    return;
                }
                for waiting in waiting {
                    let _ = waiting.send(());
                }
            }
        });
        Ok(Self(sender))
    }

    async fn decide(&self, name: &str) -> anyhow::Result<()> {
        let mut record = format!("COMMIT {name}").into_bytes();
        record.resize(300, b' ');
        let (sender, decided) = oneshot::channel();
        self.0.send((record, sender)).await.ok().context("the decision log has ended")?;
        decided.await.context("the decision log has ended")
    }
}

const SETTINGS: &str = "listen_addresses='127.0.0.1'\nunix_socket_directories=''\n\
                        max_prepared_transactions=200\nmax_connections=120\n\
                        shared_buffers=64MB\nfsync=on\nsynchronous_commit=on\n";
/// Version 3.0.
const PROTOCOL: u32 = 196_608;
const MESSAGE_BYTES_MAX: usize = 1 << 20;
