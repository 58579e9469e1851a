//! Certificates that are replaced while everybody works: a SIGHUP reads them again, and no session ends.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use votum_client::ClientError;
use votum_ids::JobId;
use votum_proto::worker::v1::{GetArtifactRequest, artifact_service_client::ArtifactServiceClient};
use votum_tests::{Cluster, JobDraft, Pki, TaskDraft, Timing, access, eventually, programs};
use votum_tls::{Dialer, Far, TlsFiles};
use votum_wire::{JobState, view::WorkerState};

use crate::{open_gate, wait_for_file};

#[test]
fn a_replaced_certificate_is_shown_and_sessions_go_on() {
    let (pki, next) = (Pki::made(), Pki::made());
    let (mut cluster, job) = at_work(&pki);
    // What it trusts is read before the files change.
    let late = cluster.client_with(&access(pki.issue("viewer", "late")));
    replace(&pki, &next, "coordinator", "coordinator");
    let newcomer = cluster.client_with(&access(next.issue("operator", "nora")));
    let before = cluster.block_on(newcomer.workers());
    assert!(matches!(before, Err(ClientError::Unavailable { .. })), "not asked to: {before:?}");
    cluster.coordinator().hang_up();
    eventually("the other authority's certificate is shown", LIMIT, || {
        cluster.block_on(newcomer.workers()).ok()
    });
    let refused = cluster.block_on(late.workers());
    assert!(matches!(refused, Err(ClientError::Unavailable { .. })), "{refused:?}");

    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let log = cluster.coordinator().log();
    assert!(log.contains("certificates are read again"), "{log}");
    assert_eq!(log.matches("session opened").count(), 3, "{log}");
}

#[test]
fn a_worker_shows_its_replaced_certificate_to_peers() {
    let (pki, next) = (Pki::made(), Pki::made());
    let (mut cluster, job) = at_work(&pki);
    let address = address_of(&cluster, "s1");
    replace(&pki, &next, "worker", "s1");
    let peer = reach(&cluster, next.issue("worker", "s7"), &address, "s1");
    assert!(!reaches(&cluster, &peer), "not asked to");
    cluster.worker("s1").hang_up();
    eventually("it is trusted by the other authority's alone", LIMIT, || {
        reaches(&cluster, &peer).then_some(())
    });

    open_gate(&cluster, "gate");
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    let log = cluster.coordinator().log();
    assert_eq!(log.matches("session opened").count(), 3, "{log}");
}

#[test]
fn a_certificate_of_no_use_changes_nothing_and_is_told() {
    let (pki, next) = (Pki::made(), Pki::made());
    let mut cluster = Cluster::prepared_with(&programs!(), Timing::PATIENT, &pki);
    cluster.start_all();
    let [cert, key] = files_of(&pki, "coordinator");
    let whole = [fs::read(&cert).unwrap(), fs::read(&key).unwrap()];
    let other = next.issue("coordinator", "coordinator");
    let of_other_key = fs::read(other.cert.unwrap()).unwrap();
    let cut_off = whole[0][..whole[0].len() / 2].to_vec();
    for (number, broken) in [b"no certificate".to_vec(), of_other_key, cut_off].iter().enumerate() {
        fs::write(&cert, broken).unwrap();
        cluster.coordinator().hang_up();
        eventually("it says that it cannot", LIMIT, || {
            let log = cluster.coordinator().log();
            (log.matches(REFUSED).count() > number).then_some(())
        });
        let client = cluster.client_with(&access(pki.issue("viewer", &format!("v{number}"))));
        cluster.block_on(client.workers()).unwrap();
    }
    let log = cluster.coordinator().log();
    assert!(log.contains("coordinator.crt"), "it names the file: {log}");

    fs::write(&cert, &whole[0]).unwrap();
    cluster.coordinator().hang_up();
    eventually("it is content again", LIMIT, || {
        cluster.coordinator().log().contains("certificates are read again").then_some(())
    });

    fs::remove_file(pki.trusted_alone().ca.unwrap()).unwrap();
    cluster.worker("s1").hang_up();
    eventually("a worker says so as well", LIMIT, || {
        cluster.worker("s1").log().contains("the last ones stay").then_some(())
    });
    let job = cluster.submit(&JobDraft::trio("after", "rows.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
}

#[test]
fn a_certificate_that_is_taken_back_ends_its_connections() {
    let pki = Pki::made();
    let mut cluster = Cluster::prepared_with(&programs!(), Timing::PATIENT, &pki);
    let list = cluster.home().join("refused");
    fs::write(&list, "# nobody yet\n").unwrap();
    for daemon in ["coordinator", "s2"] {
        cluster.daemon(daemon).add_argument(&format!("--tls-refused={}", list.display()));
    }
    cluster.start_all();
    let sue = cluster.client_with(&access(pki.issue("submitter", "sue")));
    cluster.block_on(sue.workers()).unwrap();
    let peer = reach(&cluster, pki.issue("worker", "s7"), &address_of(&cluster, "s2"), "s2");
    assert!(reaches(&cluster, &peer));

    let lost = ["s1", "sue", "s7"].map(|name| fingerprint(&pki, name));
    fs::write(&list, lost.join("\n")).unwrap();
    cluster.coordinator().hang_up();
    cluster.worker("s2").hang_up();
    eventually("the session of s1 ends", LIMIT, || {
        (cluster.shown("s1")?.state == WorkerState::Absent).then_some(())
    });
    eventually("sue is refused", LIMIT, || cluster.block_on(sue.workers()).err());
    eventually("a peer is refused by s2", LIMIT, || (!reaches(&cluster, &peer)).then_some(()));
    let task = TaskDraft::new("greet").on("s3").writes_and_publishes("rows", "rows.txt", 0o644);
    let job = cluster.submit(&JobDraft::new("others").task(task).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);

    fs::write(&list, "s1 and sue\n").unwrap();
    cluster.coordinator().hang_up();
    eventually("a list of no use is told", LIMIT, || {
        cluster.coordinator().log().contains("refused certificates cannot be read").then_some(())
    });
    assert!(cluster.block_on(sue.workers()).is_err());
    assert!(cluster.coordinator().log().contains("its certificate is refused"));

    fs::write(&list, "").unwrap();
    cluster.coordinator().hang_up();
    eventually("what was given back is taken", LIMIT, || {
        cluster.block_on(sue.workers()).ok()?;
        (cluster.shown("s1")?.state == WorkerState::Ready).then_some(())
    });
}

/// Starts a cluster with certificates, and a job whose last task waits for a gate.
fn at_work(pki: &Pki) -> (Cluster, JobId) {
    let mut cluster = Cluster::prepared_with(&programs!(), Timing::PATIENT, pki);
    cluster.start_all();
    let gate = wait_for_file(&cluster, "gate");
    let job =
        cluster.submit(&JobDraft::trio_with("over", "rows.txt", &cluster.runs(), &gate).spec());
    eventually("t3 runs", LIMIT, || (cluster.runs_of(&job, "t3") == 1).then_some(()));
    (cluster, job)
}

/// Puts another authority's certificate where a daemon has its own; both authorities are trusted.
fn replace(pki: &Pki, next: &Pki, role: &str, name: &str) {
    let fresh = next.issue(role, name);
    let [cert, key] = files_of(pki, name);
    fs::copy(fresh.cert.unwrap(), cert).unwrap();
    fs::copy(fresh.key.unwrap(), key).unwrap();
    let trusted = pki.trusted_alone().ca.unwrap();
    let both = [&trusted, &fresh.ca.unwrap()].map(|ca| fs::read(ca).unwrap());
    fs::write(trusted, both.concat()).unwrap();
}

/// Returns where the certificate and the key of a daemon lie.
fn files_of(pki: &Pki, name: &str) -> [PathBuf; 2] {
    let folder = pki.trusted_alone().ca.unwrap();
    let folder: &Path = folder.parent().unwrap();
    ["crt", "key"].map(|ending| folder.join(format!("{name}.{ending}")))
}

/// Returns what names a certificate among the refused ones.
fn fingerprint(pki: &Pki, name: &str) -> String {
    let [cert, _key] = files_of(pki, name);
    let certificate = CertificateDer::from_pem_file(cert).unwrap();
    let bytes = digest(&SHA256, &certificate);
    bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn address_of(cluster: &Cluster, worker: &str) -> String {
    cluster.shown(worker).unwrap().artifact_address
}

fn reach(cluster: &Cluster, files: TlsFiles, address: &str, worker: &str) -> Channel {
    let dialer = Dialer::load(files).unwrap();
    let endpoint = Endpoint::from_shared(dialer.url(address)).unwrap();
    let _entered = cluster.entered();
    dialer.connect_lazy(&endpoint, Far::Worker(worker))
}

/// Says whether a peer gets as far as an answer, which is that it asks for nothing.
fn reaches(cluster: &Cluster, peer: &Channel) -> bool {
    let mut artifacts = ArtifactServiceClient::new(peer.clone());
    let asked = async move { artifacts.get_artifact(GetArtifactRequest::default()).await };
    cluster.block_on(asked).unwrap_err().code() == Code::InvalidArgument
}

const REFUSED: &str = "certificates cannot be read again, what was read before stays";
const LIMIT: Duration = Duration::from_mins(1);
