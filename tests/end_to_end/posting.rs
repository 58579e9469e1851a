//! Webhooks: what leaves, how often, and to whom.

use std::{collections::BTreeMap, fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use votum_job::{EffectWork, Trigger};
use votum_tests::{Cluster, JobDraft, TaskDraft, Timing, programs};
use votum_wire::{HookState, TrialOutcome};

use crate::{
    receiver::{Receiver, Reply},
    settling::{asked, hook, settled},
};

#[test]
fn a_webhook_is_repeated_with_the_same_key_and_bytes() {
    let mut cluster = Cluster::started(&programs!(), Timing::PATIENT);
    let receiver = Receiver::start(vec![Reply::Status(503), Reply::HangUp, Reply::Status(200)]);
    let headers = BTreeMap::from([("x-team".to_owned(), "sales".to_owned())]);
    let work = EffectWork::Webhook { url: receiver.url(), headers };
    let spec = JobDraft::new("posts")
        .task(TaskDraft::new("t1").writes("rows", "rows.txt").publishes("rows.txt"))
        .effect_of("announce", Trigger::Commit, work, 50)
        .spec();
    let job = cluster.submit(&spec);
    receiver.wait_for(1);
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let view = settled(&cluster, &job);

    let requests = receiver.requests();
    let first = &requests[0];
    assert!(requests.iter().all(|request| request == first), "{requests:#?}");
    assert!(first.contains(&format!("idempotency-key: {}/announce", view.uid)), "{first}");
    assert!(first.contains("x-team: sales"), "{first}");
    assert!(first.contains(&format!("\"job\":\"{job}\"")), "{first}");
    assert!(first.contains("\"decision\":\"commit\""), "{first}");
    let trials = &hook(&view, "announce").trials;
    assert_eq!(trials.last().unwrap().outcome, TrialOutcome::Done, "{trials:#?}");
}

#[test]
fn a_webhook_trusts_whom_the_machine_trusts_and_nobody_else() {
    let (trusted, stranger) = (authority(), authority());
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let bundle = cluster.home().join("authorities.pem");
    fs::write(&bundle, trusted.pem()).unwrap();
    cluster.coordinator().set_variable("SSL_CERT_FILE", bundle.to_str().unwrap());
    cluster.start_all();
    let taken = Receiver::start_tls(vec![Reply::Status(200)], certified_by(&trusted));
    let spoofed = Receiver::start_tls(vec![Reply::Status(200)], certified_by(&stranger));
    let work = |url: String| EffectWork::Webhook { url, headers: BTreeMap::new() };
    let spec = JobDraft::new("secret")
        .task(TaskDraft::new("t1").writes("rows", "rows.txt").publishes("rows.txt"))
        .effect_of("announce", Trigger::Commit, work(taken.url()), 5)
        .effect_of("leak", Trigger::Commit, work(spoofed.url()), 2)
        .spec();
    let job = cluster.submit(&spec);
    let view = cluster.wait_for("both have ended", &job, |view| {
        let over = |state| matches!(state, HookState::Done | HookState::Parked);
        !view.hooks.is_empty() && view.hooks.iter().all(|hook| over(hook.state))
    });
    assert_eq!(hook(&view, "announce").state, HookState::Done, "{view:#?}");
    assert_eq!(taken.requests().len(), 1);
    assert_eq!(spoofed.requests(), Vec::<String>::new(), "nothing is said to a stranger");
    let case = cluster.block_on(cluster.client().case(&asked(&job, "leak"))).unwrap();
    assert!(case.message.contains("certificate"), "{}", case.message);
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Returns how a server on this machine shows a certificate of this authority.
fn certified_by(authority: &Authority) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.into()], key);
    Arc::new(config.unwrap())
}
