//! What the tests share: one attempt in a directory of its own, and patience.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use tempfile::TempDir;
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, TaskId};
use votum_process::{
    Cgroups, Found, Launch, Limits, StopSignal, Supervised, SupervisorProgram, find, start,
};

/// One attempt that a test describes and starts.
pub(crate) struct Attempt {
    pub(crate) launch: Launch,
    root: TempDir,
}

impl Attempt {
    pub(crate) fn of_command(argv: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let work_dir = root.path().join("work");
        fs::create_dir(&work_dir).unwrap();
        fs::create_dir(root.path().join("attempt")).unwrap();
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("VOTUM_FENCING_TOKEN".to_owned(), "3.14".to_owned()),
            ("VOTUM_WORK_DIR".to_owned(), work_dir.to_str().unwrap().to_owned()),
        ]);
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let attempt = attempt_id(14);
        let launch = Launch {
            attempt,
            argv,
            env,
            work_dir,
            user: None,
            stop_signal: StopSignal::Term,
            log_bytes_max: 1 << 20,
            lease: None,
            limits: Limits::default(),
            cgroups: Cgroups::default(),
        };
        Self { launch, root }
    }

    /// The script runs in the working directory, where a test may look for what it wrote.
    pub(crate) fn of_script(script: &str) -> Self {
        Self::of_command(&["sh", "-c", script])
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("attempt")
    }

    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.launch.work_dir.join(name)
    }

    pub(crate) async fn start(&self) -> Supervised {
        start(&supervisor(), &self.dir(), &self.launch).await.unwrap()
    }

    pub(crate) async fn find(&self) -> Found {
        find(&self.dir(), &self.launch.attempt).await.unwrap()
    }

    /// Waits for a file that the script writes in one go, and returns its words as numbers.
    pub(crate) async fn numbers(&self, name: &str) -> Vec<i32> {
        let path = self.work(name);
        until("the script has written", || {
            fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
        })
        .await;
        let text = fs::read_to_string(&path).unwrap();
        text.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }
}

pub(crate) fn attempt_id(counter: u64) -> AttemptId {
    AttemptId {
        job: JobId::new("nightly").unwrap(),
        task: TaskId::new("load").unwrap(),
        token: FencingToken { epoch: Epoch(3), counter },
    }
}

pub(crate) fn supervisor() -> SupervisorProgram {
    SupervisorProgram { path: PROGRAM.into(), args: vec!["supervise".into()] }
}

/// Polls a state for at most half a minute.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..6000 {
        if holds() {
            return;
        }
        ticks.tick().await;
    }
    panic!("waited in vain until {what}");
}

/// Says whether a process is there and no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return false };
    let stat = String::from_utf8_lossy(&stat).into_owned();
    !stat.rsplit_once(") ").unwrap().1.starts_with('Z')
}

pub(crate) fn kill(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Built from `supervisor.rs`.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_votum-process-supervisor");
