//! Clients that cost: idle connections, readers that do not read, and what they leave to others.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use tonic::{Streaming, transport::Endpoint};
use votum_ids::JobId;
use votum_proto::v1::{TailLogsRequest, TailLogsResponse, job_service_client::JobServiceClient};
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, programs, within};
use votum_wire::{JobState, names::job_name};

use crate::patient;

#[test]
fn a_thousand_idle_connections_keep_nobody_waiting() {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let file = cluster.home().join("coordinator.toml");
    fs::write(&file, "[limits]\nconnections_per_address = 300\n").unwrap();
    cluster.coordinator().add_argument(&format!("--config={}", file.display()));
    cluster.start_all();
    let address = cluster.address().to_owned();
    let mut idle: Vec<TcpStream> = (0..1000)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(&address).ok()?;
            // Half of a greeting: more than nothing, less than a connection.
            stream.write_all(b"PRI * HTTP/2.0\r\n").ok()?;
            Some(stream)
        })
        .collect();
    assert!(idle.len() > 900, "{} connected", idle.len());
    let task = TaskDraft::new("greet").on("s1").writes_and_publishes("rows", "rows.txt", 0o644);
    let job = cluster.submit(&JobDraft::new("crowded").task(task).spec());
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Committed, "{view:#?}");
    // The most silent have made room; those of the workers and the client were not among them.
    let over = within(LIMIT, || {
        let ended = idle.iter_mut().map(has_ended).filter(|ended| *ended).count();
        (ended >= 600).then_some(())
    });
    assert!(over.is_some(), "the idle connections are all kept");
    for worker in ["s1", "s2", "s3"] {
        let log = cluster.worker(worker).log();
        assert!(!log.contains("is lost"), "{worker}: {log}");
    }
}

#[test]
fn readers_that_read_nothing_keep_nobody_waiting() {
    let cluster = patient();
    let loud = TaskDraft::new("loud").on("s1").runs("yes filler | head -c 8000000");
    let loud = cluster.submit(&JobDraft::new("loud").task(loud).spec());
    cluster.ended(&loud);
    let deaf: Vec<_> = (0..40).map(|_| deaf_reader(&cluster, &loud)).collect();
    let task = TaskDraft::new("greet").on("s1").writes_and_publishes("rows", "rows.txt", 0o644);
    let job = cluster.submit(&JobDraft::new("served").task(task).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    assert_eq!(deaf.len(), 40);
}

/// Asks for logs and never reads them.
fn deaf_reader(cluster: &Cluster, job: &JobId) -> Streaming<TailLogsResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{}", cluster.address())).unwrap();
    cluster.block_on(async {
        let mut jobs = JobServiceClient::new(endpoint.connect().await.unwrap());
        let request = TailLogsRequest { name: job_name(job), ..TailLogsRequest::default() };
        jobs.tail_logs(request).await.unwrap().into_inner()
    })
}

/// Says whether the other end has gone; nobody answers half a greeting.
fn has_ended(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
