//! What the kernel is asked for: a sync before every acknowledgement, and an end when it fails.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

#[allow(dead_code, reason = "the other tests use the rest")]
mod rig;

use std::{fs, os::unix::process::ExitStatusExt, process::Command};

#[test]
fn a_sync_returns_before_each_acknowledgement() {
    if let Some(reason) = rig::missing(&["strace"]) {
        println!("NOT RUN: {reason}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("strace");
    let mut trace = Command::new("strace");
    trace.args(["-f", "-e", "trace=fdatasync,write", "-o"]).arg(&log).arg(rig::writer());
    let status = trace.arg("force").arg(folder.path().join("journal")).arg(ACKS.to_string());
    assert!(status.output().unwrap().status.success());

    let (mut syncs_since, mut acks) = (0, 0);
    for line in fs::read_to_string(&log).unwrap().lines() {
        if line.contains("fdatasync") && line.ends_with("= 0") {
            syncs_since += 1;
        } else if line.contains("write(1, \"ack ") {
            acks += 1;
            assert!(syncs_since > 0, "nothing was synced before acknowledgement {acks}");
            syncs_since = 0;
        }
    }
    assert_eq!(acks, ACKS);
}

#[test]
fn a_failed_sync_ends_the_process_unacknowledged() {
    if let Some(reason) = rig::missing(&["strace"]) {
        println!("NOT RUN: {reason}");
        return;
    }
    for error in ["EIO", "ENOSPC"] {
        let folder = tempfile::tempdir().unwrap();
        let mut trace = Command::new("strace");
        let inject = format!("inject=fdatasync:error={error}:when=10");
        trace.args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject]);
        trace.arg(rig::writer()).arg("force").arg(folder.path()).arg(ACKS.to_string());

        let output = trace.output().unwrap();

        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{message}");
        assert_eq!(output.status.signal().unwrap_or(6), 6, "it ends by SIGABRT: {message}");
        let says = if error == "ENOSPC" { "the disk is full" } else { "a write or sync failed" };
        assert!(message.contains(says), "{message}");
        let acked = rig::last_ack(&String::from_utf8_lossy(&output.stdout)).unwrap_or(0);
        assert!(acked < ACKS);
    }
}

const ACKS: u64 = 40;
