//! What reaches the disk, and in which order.

use std::{fs, process::Command};

use votum_process::{Exit, SupervisorProgram, start};

use crate::world::{Attempt, PROGRAM};

#[tokio::test]
async fn an_exit_is_synced_before_it_has_a_name() {
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
    let steps = ["identity.json\"", "execve(\"/usr/bin/sh\"", "fsync(", "exit.json\"", "fsync("];
    let mut rest = trace.as_str();
    for step in steps {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} is missing in\n{trace}"));
        rest = &rest[at + step.len()..];
    }
    let dir = attempt.dir();
    assert!(rest.contains(&format!("{}>", dir.display())), "the directory was not synced\n{trace}");
}
