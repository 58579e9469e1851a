//! What waits for the disk, and what does not.

use std::{fs, process::Command};

use votum_process::{Exit, SupervisorProgram, start};

use crate::world::{Attempt, PROGRAM};

#[tokio::test]
async fn only_the_plan_of_an_attempt_is_synced() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("NOT RUN: strace is missing");
        return;
    }
    let attempt = Attempt::of_script("exit 42");
    let trace = attempt.work("trace");
    let calls = "trace=execve,fsync,fdatasync,rename,renameat,renameat2";
    let program = SupervisorProgram {
        path: "/usr/bin/strace".into(),
        args: ["-f", "-y", "-e", calls, "-o"]
            .map(Into::into)
            .into_iter()
            .chain([trace.clone().into(), PROGRAM.into(), "supervise".into()])
            .collect(),
    };

    // The identity names the supervisor itself, not the tracer that was spawned.
    drop(start(&program, &attempt.dir(), &attempt.launch).await);
    let found = attempt.find().await;

    let ended = match found {
        votum_process::Found::Running(supervised) => supervised.exited().await.unwrap(),
        votum_process::Found::Ended(ended) => ended,
        votum_process::Found::NeverStarted => panic!("it was started"),
    };
    assert_eq!(ended.exit, Exit::Code(42));
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("exit.json\""), "the exit has its name\n{trace}");
    // What a program leaves is not synced when it ends: an exit that outlived a power cut
    // would vouch for bytes that may be gone.
    assert!(!trace.contains("sync("), "the supervisor waits for no disk\n{trace}");
}
