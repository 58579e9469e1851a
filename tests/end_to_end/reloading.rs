//! Certificates that are replaced while everybody works: a SIGHUP reads them again, and no session ends.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use votum_client::ClientError;
use votum_ids::JobId;
use votum_proto::worker::v1::{GetArtifactRequest, artifact_service_client::ArtifactServiceClient};
use votum_tests::{Cluster, JobDraft, Pki, Timing, access, eventually, programs};
use votum_tls::{Dialer, Far, TlsFiles};
use votum_wire::JobState;

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
    let address = cluster.shown("s1").unwrap().artifact_address;
    replace(&pki, &next, "worker", "s1");
    let peer = reach(&cluster, next.issue("worker", "s7"), &address);
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

fn reach(cluster: &Cluster, files: TlsFiles, address: &str) -> Channel {
    let dialer = Dialer::load(files).unwrap();
    let endpoint = Endpoint::from_shared(dialer.url(address)).unwrap();
    let _entered = cluster.entered();
    dialer.connect_lazy(&endpoint, Far::Worker("s1"))
}

/// Says whether a peer gets as far as an answer, which is that it asks for nothing.
fn reaches(cluster: &Cluster, peer: &Channel) -> bool {
    let mut artifacts = ArtifactServiceClient::new(peer.clone());
    let asked = async move { artifacts.get_artifact(GetArtifactRequest::default()).await };
    cluster.block_on(asked).unwrap_err().code() == Code::InvalidArgument
}

const REFUSED: &str = "certificates cannot be read again, what was read before stays";
const LIMIT: Duration = Duration::from_mins(1);
