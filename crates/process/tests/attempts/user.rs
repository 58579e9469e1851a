//! Attempts that run as another user, under a supervisor that stays root.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    time::Duration,
};

use votum_process::{
    Exit, SpawnFailure, TaskUser,
    output::{self, LogStream},
};

use crate::world::{Attempt, is_alive};

#[tokio::test]
async fn a_task_runs_as_its_user_with_all_groups() {
    let script = "id -u; id -g; id -G; grep -E 'CapEff|CapPrm|NoNewPrivs' /proc/self/status; \
                  echo by name > /dev/stdout";
    let Some(attempt) = of_nobody(script) else { return };

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Code(0), "{}", said(&attempt, LogStream::Stderr));
    let said = said(&attempt, LogStream::Stdout);
    let words: Vec<&str> = said.split_whitespace().collect();
    let none = "0000000000000000";
    let expected = ["65534", "65534", "65534", "4242", "CapPrm:", none, "CapEff:", none];
    assert_eq!(words[..8], expected, "{said}");
    assert_eq!(words[8..], ["NoNewPrivs:", "1", "by", "name"], "{said}");
}

#[tokio::test]
async fn a_task_of_another_user_cannot_forge_its_records() {
    let script = "for file in exit launch identity forged; do
                      (echo '{}' > ../attempt/$file.json) 2> /dev/null && exit 1
                  done
                  rm -f ../attempt/launch.json 2> /dev/null && exit 2
                  mv ../attempt ../elsewhere 2> /dev/null && exit 3
                  kill -KILL $PPID 2> /dev/null && exit 4
                  exit 42";
    let Some(attempt) = of_nobody(script) else { return };

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Code(42));
}

#[tokio::test]
async fn every_process_of_another_user_is_ended() {
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 600' & \
                  echo $$ $! > up; wait; sleep 600";
    let Some(attempt) = of_nobody(script) else { return };
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;

    let reason = attempt.dir().join("cancel");
    let ended = supervised.stop(Duration::from_millis(50), "", &reason).await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[tokio::test]
async fn a_program_that_only_root_may_run_is_named() {
    let Some(mut attempt) = of_nobody("true") else { return };
    let program = attempt.work("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    attempt.launch.argv = vec![program.to_str().unwrap().to_owned()];

    let ended = attempt.start().await.exited().await.unwrap();

    let Exit::SpawnFailed { failure: SpawnFailure::NotExecutable, reason } = ended.exit else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("program is not executable"), "{reason}");
}

/// Describes an attempt of nobody; tells why not if that is not possible here.
#[expect(clippy::print_stdout, reason = "a test that did not run must say so")]
fn of_nobody(script: &str) -> Option<Attempt> {
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: only root can run a task as another user");
        return None;
    }
    let mut attempt = Attempt::of_script(script);
    let passable = Permissions::from_mode(0o711);
    fs::set_permissions(attempt.dir().parent().unwrap(), passable).unwrap();
    chown(&attempt.launch.work_dir, Some(NOBODY), Some(NOBODY)).unwrap();
    let groups = vec![NOBODY, 4242];
    attempt.launch.user = Some(TaskUser { uid: NOBODY, gid: NOBODY, groups });
    Some(attempt)
}

fn said(attempt: &Attempt, stream: LogStream) -> String {
    let piece = output::read(&attempt.dir(), stream, 0, 10_000).unwrap();
    String::from_utf8(piece.data).unwrap()
}

const NOBODY: u32 = 65534;
