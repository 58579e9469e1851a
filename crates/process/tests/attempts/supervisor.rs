//! The program of the tests: a supervisor, and a daemon that waits to be killed.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use votum_process::{Launch, SupervisorProgram, start, supervise};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match arguments.as_slice() {
        [mode, dir] if mode == Path::new("supervise") => supervise(dir),
        [mode, dir, launch] if mode == Path::new("daemon") => daemon(dir, launch),
        _ => ExitCode::from(2),
    }
}

/// Starts one attempt, says so and does nothing more.
#[tokio::main(flavor = "current_thread")]
async fn daemon(dir: &Path, launch: &Path) -> ExitCode {
    let launch = std::fs::read(launch).expect("the test wrote the launch");
    let launch: Launch = serde_json::from_slice(&launch).expect("the test wrote a launch");
    let program = SupervisorProgram::this_executable(["supervise"]);
    let supervised = start(&program, dir, &launch).await.expect("the attempt starts");
    writeln!(std::io::stdout(), "started").expect("the test listens");
    let ended = supervised.exited().await.expect("the exit can be read");
    writeln!(std::io::stdout(), "{:?}", ended.exit).expect("the test listens");
    ExitCode::SUCCESS
}
