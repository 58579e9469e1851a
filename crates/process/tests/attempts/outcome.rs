//! How a task ended, and what it was given.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, time::Duration};

use votum_process::{
    Exit, Found, SpawnFailure, StartError, SupervisorProgram,
    output::{self, LogStream},
    start,
};

use crate::world::{Attempt, supervisor};

#[tokio::test]
async fn the_exit_code_of_a_task_is_recorded() {
    let attempt = Attempt::of_script("exit 42");

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Code(42));
    assert_eq!(ended.exit.shell_code(), Some(42));
    assert!(ended.recorded_at.is_some());
}

#[tokio::test]
async fn the_signal_that_ended_a_task_is_recorded() {
    let attempt = Attempt::of_script("kill -SEGV $$");

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Signal(11));
    assert_eq!(ended.exit.shell_code(), Some(139));
}

#[tokio::test]
async fn the_time_of_all_descendants_is_counted() {
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let attempt = Attempt::of_script(&format!("sh -c '{busy}'; ({busy}) & wait"));

    let ended = attempt.start().await.exited().await.unwrap();

    assert!(ended.cpu >= Duration::from_millis(20), "{ended:?}");
    assert!(ended.elapsed >= Duration::from_millis(10), "{ended:?}");
}

#[tokio::test]
async fn a_task_sees_exactly_the_environment_given() {
    let mut attempt = Attempt::of_command(&["/usr/bin/env", "-0"]);
    attempt.launch.env.insert("EMPTY".to_owned(), String::new());
    attempt.launch.env.insert("LINES".to_owned(), "a\nb=c".to_owned());

    attempt.start().await.exited().await.unwrap();

    let piece = output::read(&attempt.dir(), LogStream::Stdout, 0, 10_000).unwrap();
    let text = String::from_utf8(piece.data).unwrap();
    let seen: BTreeMap<String, String> = text
        .split_terminator('\0')
        .map(|entry| entry.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(seen, attempt.launch.env);
}

#[tokio::test]
async fn a_task_has_no_input_and_no_descriptor_of_ours() {
    let attempt = Attempt::of_script("readlink /proc/self/fd/0; cd /proc/$$/fd; echo *");

    attempt.start().await.exited().await.unwrap();

    let piece = output::read(&attempt.dir(), LogStream::Stdout, 0, 10_000).unwrap();
    let text = String::from_utf8(piece.data).unwrap();
    let (input, descriptors) = text.split_once('\n').unwrap();
    assert_eq!(input, "/dev/null");
    // The shell's own look at the directory is the fourth.
    let expected = |name: &str| ["0", "1", "2", "3"].contains(&name) || is_inherited_by_us(name);
    assert!(descriptors.split_whitespace().all(expected), "{text}");
}

#[tokio::test]
async fn a_task_leads_its_group_in_its_directory() {
    let attempt = Attempt::of_script("cut -d' ' -f5 /proc/$$/stat > group; echo $$ > pid");

    attempt.start().await.exited().await.unwrap();

    let read = |name| fs::read_to_string(attempt.work(name)).unwrap();
    assert_eq!(read("group"), read("pid"));
}

#[tokio::test]
async fn a_command_is_looked_up_in_the_path_given() {
    let mut attempt = Attempt::of_command(&["greet"]);
    let script = attempt.work("greet");
    fs::write(&script, "#!/bin/sh\necho \"$0\" > greeted; exit 7\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("/nowhere:{}", attempt.launch.work_dir.display());
    attempt.launch.env.insert("PATH".to_owned(), path);

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Code(7));
    assert!(attempt.work("greeted").exists());
}

#[tokio::test]
async fn a_relative_command_starts_at_the_working_directory() {
    let attempt = Attempt::of_command(&["./greet"]);
    let script = attempt.work("greet");
    fs::write(&script, "#!/bin/sh\nexit 8\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!(ended.exit, Exit::Code(8));
}

#[tokio::test]
async fn a_missing_command_is_told_from_an_unusable_one() {
    let missing = Attempt::of_command(&["no-such-command"]);
    let plain = Attempt::of_command(&["./plain"]);
    fs::write(plain.work("plain"), "text").unwrap();
    let orphaned = Attempt::of_command(&["./script"]);
    fs::write(orphaned.work("script"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(orphaned.work("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut homeless = Attempt::of_command(&["true"]);
    homeless.launch.work_dir = homeless.work("gone");

    let expected = [
        (missing, SpawnFailure::NotFound, Some(127)),
        (plain, SpawnFailure::NotExecutable, Some(126)),
        (orphaned, SpawnFailure::NotExecutable, Some(126)),
        (homeless, SpawnFailure::System, None),
    ];

    for (attempt, failure, code) in expected {
        let ended = attempt.start().await.exited().await.unwrap();
        assert_eq!(ended.exit.shell_code(), code, "{ended:?}");
        let Exit::SpawnFailed { failure: found, .. } = &ended.exit else { panic!("{ended:?}") };
        assert_eq!(*found, failure, "{ended:?}");
        assert!(matches!(attempt.find().await, Found::Ended(again) if again == ended));
    }
}

#[tokio::test]
async fn a_directory_is_used_for_one_attempt() {
    let attempt = Attempt::of_script("echo x >> runs");
    attempt.start().await.exited().await.unwrap();

    let again = start(&supervisor(), &attempt.dir(), &attempt.launch).await;

    assert!(matches!(again, Err(StartError::StartedBefore { .. })), "{again:?}");
    assert_eq!(fs::read_to_string(attempt.work("runs")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_supervisor_that_gives_up_is_reported() {
    let attempt = Attempt::of_script("touch ran");
    let program = SupervisorProgram { path: "/bin/false".into(), args: Vec::new() };

    let refused = start(&program, &attempt.dir(), &attempt.launch).await;

    assert!(matches!(refused, Err(StartError::Refused { .. })), "{refused:?}");
    assert!(matches!(attempt.find().await, Found::NeverStarted));
    assert!(!attempt.work("ran").exists());
}

/// Says whether whoever started the tests left this descriptor open for everyone.
fn is_inherited_by_us(descriptor: &str) -> bool {
    let Ok(state) = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")) else {
        return false;
    };
    let flags = state.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 == 0
}
