//! The log lines of both daemons for programs: JSON, with keys that do not change, and without secrets.

use std::{fs, time::Duration};

use serde_json::Value;
use votum_client::{Access, Token};
use votum_ids::SecretName;
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, eventually, programs};
use votum_wire::JobState;

#[test]
fn every_line_of_both_daemons_is_json_with_its_ids() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    for daemon in DAEMONS {
        cluster.daemon(daemon).add_argument("--log-format=json");
    }
    cluster.start_all();
    let good = cluster.submit(&JobDraft::trio("good", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&good).state, JobState::Committed);
    let bad = JobDraft::trio_with("bad", "rows.txt", &cluster.runs(), "echo why >&2; exit 3");
    let bad = cluster.submit(&bad.spec());
    assert_eq!(cluster.ended(&bad).state, JobState::Aborted);
    cluster.worker("s1").kill();
    cluster.worker("s1").start();
    cluster.wait_until_ready();
    for daemon in DAEMONS {
        cluster.daemon(daemon).hang_up();
        assert!(cluster.daemon(daemon).terminate(LIMIT).success(), "{daemon}");
    }

    let (good, bad) = (good.to_string(), bad.to_string());
    let told = lines(&mut cluster, "coordinator");
    for (job, message, key, value) in [
        (&good, "received", "job", good.as_str()),
        (&good, "decided", "decision", "COMMIT"),
        (&good, "over", "outcome", "COMMITTED"),
        (&bad, "an attempt failed", "reason", "EXIT_CODE"),
        (&bad, "an attempt failed", "task", "t3"),
        (&bad, "an attempt failed", "worker", "s3"),
        (&bad, "aborts", "cause", "EXIT_CODE"),
        (&bad, "over", "outcome", "ABORTED"),
    ] {
        let found = told.iter().find(|line| line["message"] == message && line["job"] == **job);
        assert_eq!(found.unwrap_or_else(|| panic!("{message} of {job}"))[key], value, "{message}");
    }
    assert!(told.iter().any(|line| line["message"] == "session opened" && line["worker"] == "s1"));
    let told = lines(&mut cluster, "s3");
    assert!(told.iter().all(|line| line["worker"] == "s3"), "{told:#?}");
    for (message, task) in [("running", Some("t3")), ("published", Some("t3"))] {
        let found = told.iter().find(|line| line["message"] == message && line["job"] == good);
        let found = found.unwrap_or_else(|| panic!("{message}: {told:#?}"));
        assert_eq!(found["task"].as_str(), task);
        assert!(found["attempt"].as_str().unwrap().starts_with(&good), "{found}");
    }
    for daemon in ["s1", "s2"] {
        assert!(!lines(&mut cluster, daemon).is_empty());
    }
}

#[test]
fn no_line_holds_a_secret_at_any_level() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let (tokens, own, sources) =
        (cluster.home().join("tokens"), cluster.home().join("s1.token"), cluster.home().join("s"));
    let line = |name: &str, token: &str, role: &str| {
        format!("{name}:{}:{role}\n", blake3::hash(token.as_bytes()).to_hex())
    };
    let known = [line("olga", OPERATOR, "operator"), line("s1", WORKER, "worker")].concat();
    fs::write(&tokens, known).unwrap();
    fs::write(&own, WORKER).unwrap();
    fs::create_dir(&sources).unwrap();
    fs::write(sources.join("orders-db"), CANARY).unwrap();
    cluster.coordinator().add_argument(&format!("--tokens={}", tokens.display()));
    cluster.worker("s1").add_argument(&format!("--token-file={}", own.display()));
    cluster.worker("s1").add_argument(&format!("--secrets-dir={}", sources.display()));
    for daemon in ["coordinator", "s1"] {
        cluster.daemon(daemon).add_argument("--log-format=json");
        cluster.daemon(daemon).add_argument("--log=trace");
        cluster.daemon(daemon).start();
    }
    let with = |token: &str| {
        cluster.client_with(&Access { token: Token::new(token), ..Access::default() })
    };
    let (olga, stranger) = (with(OPERATOR), with(STRANGER));
    let task = TaskDraft::new("load").on("s1").leaves("seen", "seen").publishes("seen.txt");
    let task = task.runs("cp \"$VOTUM_SECRETS_DIR/orders-db\" \"$VOTUM_OUTPUT_SEEN\"");
    let mut spec = JobDraft::new("loads").task(task).spec();
    for task in spec.tasks.values_mut() {
        task.secrets = [SecretName::new("orders-db").unwrap()].into();
    }
    let request = votum_wire::request::SubmitJob {
        spec,
        job: None,
        request: Some(votum_tests::request()),
        validate_only: false,
    };
    let job = eventually("the coordinator answers", LIMIT, || {
        cluster.block_on(olga.submit(&request)).ok()?.job
    });
    cluster.block_on(stranger.workers()).unwrap_err();
    eventually("the job commits", LIMIT, || {
        let view = cluster.block_on(olga.job(&job.job)).ok()?;
        (view.state == JobState::Committed).then_some(())
    });

    for daemon in ["coordinator", "s1"] {
        let told = lines(&mut cluster, daemon);
        assert!(told.iter().any(|line| line["level"] == "TRACE"), "{daemon}");
        let log = cluster.daemon(daemon).log();
        for secret in [CANARY, OPERATOR, WORKER, STRANGER] {
            assert!(!log.contains(secret), "{daemon} tells {secret}");
        }
    }
}

#[test]
fn a_daemon_that_cannot_start_says_so_in_json() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let missing = cluster.home().join("nowhere/file");
    for (daemon, option, why) in
        [("coordinator", "--tokens", "nowhere/file"), ("s1", "--tls-ca", "[tls] needs all of")]
    {
        cluster.daemon(daemon).add_argument("--log-format=json");
        cluster.daemon(daemon).add_argument(&format!("{option}={}", missing.display()));
        cluster.daemon(daemon).start();
        let ended = cluster.daemon(daemon).wait_for_exit(LIMIT);
        assert!(!ended.success(), "{daemon}");
        let told = lines(&mut cluster, daemon);
        let last = told.last().unwrap();
        assert_eq!(last["level"], "ERROR", "{last}");
        assert!(last["error"].as_str().unwrap().contains(why), "{last}");
    }
}

/// Reads every line of a daemon's log, and checks what every line has.
#[track_caller]
fn lines(cluster: &mut Cluster, daemon: &str) -> Vec<Value> {
    let log = cluster.daemon(daemon).log();
    let mut told = Vec::new();
    for line in log.lines() {
        let found: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{daemon}: {error}: {line}"));
        let text = |key: &str| found[key].as_str().unwrap_or_else(|| panic!("{key}: {line}"));
        let timestamp = text("timestamp");
        assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{line}");
        assert!(LEVELS.contains(&text("level")), "{line}");
        assert!(!text("target").is_empty(), "{line}");
        let _message = text("message");
        assert!(line.starts_with("{\"timestamp\":"), "{line}");
        told.push(found);
    }
    told
}

const DAEMONS: [&str; 4] = ["coordinator", "s1", "s2", "s3"];
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const CANARY: &str = "dsn-with-a-password-5f1c";
const OPERATOR: &str = "votum_of-the-operator-81d2";
const WORKER: &str = "votum_of-the-worker-90ab";
const STRANGER: &str = "votum_of-nobody-77aa";
const LIMIT: Duration = Duration::from_mins(1);
