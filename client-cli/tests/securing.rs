//! Certificates and tokens as the command line makes and shows them.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod cluster;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use self::cluster::{Cluster, code, text, votum};

#[test]
fn an_authority_issues_once_and_keeps_its_key_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("pki");
    let dir = pki.to_str().unwrap();
    assert_eq!(code(&run(&["cert", "issue", "s1", "--role", "worker", "--dir", dir])), Some(1));
    assert_eq!(code(&run(&["cert", "init", dir])), Some(0));
    let issued = run(&["cert", "issue", "s1", "--role", "worker", "--dir", dir]);
    assert_eq!(code(&issued), Some(0), "{}", String::from_utf8_lossy(&issued.stderr));
    assert!(text(&issued).starts_with("[tls]\ncert = "), "{}", text(&issued));
    for key in ["ca.key", "s1.key"] {
        let mode = fs::metadata(pki.join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let again = ["cert", "issue", "s1", "--role", "worker", "--dir", dir];
    for refused in [&["cert", "init", dir][..], &again] {
        let refused = run(refused);
        assert_eq!(code(&refused), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("it is not replaced"));
    }
    for name in ["", "ca", "../s2", "S2"] {
        let refused = run(&["cert", "issue", name, "--role", "worker", "--dir", dir]);
        assert_eq!(code(&refused), Some(2), "{name:?}");
    }
}

#[test]
fn a_token_is_told_once_and_kept_as_a_hash() {
    let drawn = run(&["token", "new", "ci", "--roles", "submitter,viewer", "--json"]);
    let drawn: serde_json::Value = serde_json::from_slice(&drawn.stdout).unwrap();
    let (token, line) = (drawn["token"].as_str().unwrap(), drawn["line"].as_str().unwrap());
    assert!(token.starts_with("votum_") && token.len() == 6 + 64, "{token}");
    assert!(line.starts_with("ci:") && line.ends_with(":submitter,viewer"), "{line}");
    assert!(!line.contains(token));
    assert_eq!(code(&run(&["token", "new", "c:i", "--roles", "viewer"])), Some(2));
    assert_eq!(code(&run(&["token", "new", "ci", "--roles", "admin"])), Some(2));
}

#[test]
fn a_cluster_with_certificates_serves_its_developer_alone() {
    let cluster = Cluster::start_with(Path::new(env!("CARGO_BIN_EXE_votum")), &["--tls"]);
    assert!(cluster.told("coordinator", 2).starts_with("https://"));
    let pki = cluster.folder.path().join("cluster/pki");
    let file = |name: &str| pki.join(name).to_str().unwrap().to_owned();
    let ca = file("ca.crt");
    let shown = |name: &str| {
        let (cert, key) = (file(&format!("{name}.crt")), file(&format!("{name}.key")));
        ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key].map(str::to_owned)
    };
    let as_holder = |name: &str, command: &[&str]| {
        let shown = shown(name);
        cluster.run(&[&shown.each_ref().map(String::as_str)[..], command].concat())
    };
    let job = cluster.job_file(
        "version: 1\nname: hello\ntasks:\n  hello: { worker: s2, run: 'echo hello > $VOTUM_OUTPUT_X', \
         outputs: { x: { path: x, publish: { file: hello/x } } } }\n",
    );
    let ran = as_holder("developer", &["run", &job]);
    assert_eq!(code(&ran), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(cluster.published("s2", "hello/x").exists());
    let shown = text(&as_holder("developer", &["show", "@last", "--json"]));
    assert!(shown.contains("\"developer\""), "{shown}");
    let refused = as_holder("s1", &["list"]);
    assert_eq!(code(&refused), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(code(&cluster.run(&["--timeout", "5s", "--tls-ca", &ca, "list"])), Some(7));
    let untrusted = cluster.run(&["list"]);
    assert_eq!(code(&untrusted), Some(2), "{}", String::from_utf8_lossy(&untrusted.stderr));
    cluster.stop();
}

fn run(arguments: &[&str]) -> Output {
    votum().args(arguments).output().unwrap()
}
