//! Workers of other versions, played by the test: what the coordinator makes of their frames.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;
use votum_commit::Installation;
use votum_ids::{Incarnation, WorkerId, WorkerUid};
use votum_proto::worker::v1::{
    AttemptEnded, SessionRequest, SessionResponse, session_request::Frame,
    session_service_client::SessionServiceClient,
};
use votum_tests::{Cluster, Timing, eventually, programs};
use votum_wire::{
    CoordinatorFrame, FromCoordinator, FromWorker, Hello, Problem, Reason, Translate, Versions,
    Vitals,
};

#[test]
fn a_frame_that_only_newer_workers_know_is_skipped() {
    let cluster = coordinator_alone();
    let spoken = Versions::new(OURS, OURS + 1).unwrap();
    cluster.block_on(async {
        let mut session = Session::opened(&cluster, 1, spoken).await;
        session.say(SessionRequest::default()).await;
        session.say(beat(7)).await;
        assert_eq!(session.until_acknowledged().await.unwrap(), 7);
    });
}

#[test]
fn a_frame_that_nobody_knows_ends_its_session() {
    let cluster = coordinator_alone();
    let ended = SessionRequest { frame: Some(Frame::AttemptEnded(AttemptEnded::default())) };
    for (start, unknown, place) in [(1, SessionRequest::default(), "frame"), (3, ended, "attempt")]
    {
        cluster.block_on(async {
            let mut session = Session::opened(&cluster, start, Versions::OURS).await;
            session.say(unknown).await;
            session.say(beat(7)).await;
            let problem = Problem::from_status(&session.until_acknowledged().await.unwrap_err());
            assert_eq!(problem.code, Code::InvalidArgument, "{problem:#?}");
            assert!(problem.message.contains(place), "{problem:#?}");
            // The next one is as welcome as ever.
            Session::opened(&cluster, start + 1, Versions::OURS).await;
        });
    }
}

#[test]
fn a_session_begins_with_hello_and_has_one() {
    let cluster = coordinator_alone();
    cluster.block_on(async {
        let first = Session::begun(&cluster, beat(1)).await.unwrap_err();
        assert_eq!(Problem::from_status(&first).reason, Reason::HelloExpected, "{first}");
        let mut session = Session::opened(&cluster, 1, Versions::OURS).await;
        session.say(FromWorker::Hello(hello(2, Versions::OURS)).to_proto()).await;
        session.say(beat(7)).await;
        let second = session.until_acknowledged().await.unwrap_err();
        assert_eq!(second.code(), Code::FailedPrecondition, "{second}");
        assert_eq!(Problem::from_status(&second).reason, Reason::HelloExpected, "{second}");
        Session::opened(&cluster, 3, Versions::OURS).await;
    });
}

#[test]
fn a_worker_without_a_common_protocol_is_not_admitted() {
    let cluster = coordinator_alone();
    let later = Versions::new(OURS + 1, OURS + 2).unwrap();
    cluster.block_on(async {
        let greeting = FromWorker::Hello(hello(1, later)).to_proto();
        let mut session = Session::begun(&cluster, greeting).await.unwrap();
        let refused = session.next().await.unwrap_err();
        let problem = Problem::from_status(&refused);
        assert_eq!(problem.reason, Reason::ProtocolMismatch, "{problem:#?}");
        assert_eq!(problem.code, Code::FailedPrecondition);
    });
    assert_eq!(cluster.block_on(cluster.client().workers()).unwrap(), []);
}

#[test]
fn a_later_start_takes_the_session_and_another_installation_does_not() {
    let cluster = coordinator_alone();
    cluster.block_on(async {
        let mut first = Session::opened(&cluster, 1, Versions::OURS).await;
        let mut other = hello(2, Versions::OURS);
        other.installation.uid = WorkerUid(Uuid::from_u128(6));
        let refused =
            Session::begun(&cluster, FromWorker::Hello(other).to_proto()).await.unwrap_err();
        assert_eq!(Problem::from_status(&refused).reason, Reason::WorkerNameTaken, "{refused}");
        first.say(beat(7)).await;
        assert_eq!(first.until_acknowledged().await.unwrap(), 7, "it is not disturbed");

        let mut second = Session::opened(&cluster, 2, Versions::OURS).await;
        first.say(beat(8)).await;
        assert!(
            timeout(LIMIT, first.incoming.message())
                .await
                .is_ok_and(|end| !matches!(end, Ok(Some(_)))),
            "it is over"
        );
        second.say(beat(9)).await;
        assert_eq!(second.until_acknowledged().await.unwrap(), 9);
    });
}

/// A worker's half of a session.
#[derive(Debug)]
struct Session {
    outgoing: mpsc::Sender<SessionRequest>,
    incoming: Streaming<SessionResponse>,
}

impl Session {
    /// Introduces a start of a worker's daemon, and waits until it is admitted.
    async fn opened(cluster: &Cluster, start: u128, protocols: Versions) -> Self {
        let greeting = FromWorker::Hello(hello(start, protocols)).to_proto();
        let mut session = Self::begun(cluster, greeting).await.unwrap();
        let frame = session.next().await.unwrap();
        assert!(matches!(frame, FromCoordinator::Welcome { .. }), "{frame:?}");
        session.say(FromWorker::InventoryEnded.to_proto()).await;
        session
    }

    /// Opens a session with this frame.
    async fn begun(cluster: &Cluster, first: SessionRequest) -> Result<Self, Status> {
        let mut client =
            SessionServiceClient::connect(format!("http://{}", cluster.address())).await.unwrap();
        let (outgoing, frames) = mpsc::channel(8);
        outgoing.send(first).await.unwrap();
        let opened = client.session(ReceiverStream::new(frames)).await?;
        Ok(Self { outgoing, incoming: opened.into_inner() })
    }

    async fn say(&self, frame: SessionRequest) {
        // Whether it still listens is asked elsewhere.
        let _ = self.outgoing.send(frame).await;
    }

    /// Returns which sign of life is acknowledged first, or why the session ends before.
    async fn until_acknowledged(&mut self) -> Result<u64, Status> {
        loop {
            if let FromCoordinator::HeartbeatAcknowledged { number } = self.next().await? {
                return Ok(number);
            }
        }
    }

    async fn next(&mut self) -> Result<FromCoordinator, Status> {
        let frame = timeout(LIMIT, self.incoming.message()).await.expect("it answers")?;
        let frame = frame.expect("it ends a session with a reason");
        Ok(CoordinatorFrame::from_proto(frame).unwrap().body)
    }
}

fn coordinator_alone() -> Cluster {
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    cluster.coordinator().start();
    eventually("the coordinator answers", LIMIT, || {
        cluster.block_on(cluster.client().workers()).ok().map(|_| ())
    });
    cluster
}

fn hello(start: u128, protocols: Versions) -> Hello {
    Hello {
        installation: Installation {
            worker: WorkerId::new("stranger").unwrap(),
            uid: WorkerUid(Uuid::from_u128(5)),
        },
        incarnation: Incarnation(Uuid::from_u128(start)),
        version: "9.0.0".to_owned(),
        labels: BTreeMap::new(),
        slots: 1,
        artifact_address: "127.0.0.1:1".to_owned(),
        publish_roots: Vec::new(),
        seen: None,
        protocols,
    }
}

fn beat(number: u64) -> SessionRequest {
    FromWorker::Heartbeat { free_bytes: 1 << 30, number, vitals: Vitals::default() }.to_proto()
}

const OURS: u32 = Versions::OURS.newest();
/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
