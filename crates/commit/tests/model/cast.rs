//! Who plays in the model, and what a job looks like there.

use std::{sync::LazyLock, time::Duration};

use votum_commit::{
    Cause, CoordinatorEvent, Forced, Installation, LogPosition, LogState, Pledge, Share, Start,
};
use votum_ids::{
    ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName, Target,
    TargetKind, TaskId, WorkerId, WorkerUid,
};
use votum_machine::Moment;

/// At most three workers, each with at most three installations.
pub(crate) const ROLES: [&str; 3] = ["alice", "bob", "carol"];

/// When everything happens at a worker but ticks that look ahead.
///
/// A worker that has restarted is then no different from one that has not.
pub(crate) const NOON: Moment = Moment::START;

/// When everything is due.
///
/// The coordinator lives at this moment: every deadline that it sets is the
/// end of time itself, so states differ by what happened, never by when.
pub(crate) const END_OF_TIME: Moment = Moment::since_start(Duration::MAX);

/// The one job.
pub(crate) fn job() -> JobId {
    static JOB: LazyLock<JobId> = LazyLock::new(|| JobId::new("sales").expect("it is a name"));
    JOB.clone()
}

/// Names a worker.
pub(crate) fn worker_id(worker: usize) -> WorkerId {
    WorkerId::new(ROLES[worker]).expect("roles are names")
}

/// Returns the number of a worker.
pub(crate) fn role(name: &str) -> usize {
    ROLES.iter().position(|role| *role == name).expect("everybody has a role")
}

/// Names one installation of a worker.
pub(crate) fn uid(worker: usize, installation: u8) -> WorkerUid {
    static UIDS: LazyLock<Vec<WorkerUid>> = LazyLock::new(|| {
        let text = |number| format!("00000000-0000-0000-0000-{number:012x}");
        let parse = |number| text(number).parse().expect("it has the form of a UUID");
        (0..ROLES.len() * INSTALLATIONS).map(parse).collect()
    });
    UIDS[worker * INSTALLATIONS + usize::from(installation)]
}

/// Returns one installation of a worker.
pub(crate) fn installation(worker: usize, installation: u8) -> Installation {
    Installation { worker: worker_id(worker), uid: uid(worker, installation) }
}

/// Returns the part of an installation in a round.
pub(crate) fn share(worker: usize, number: u8, updates: bool) -> Share {
    let target = updates.then(|| Target {
        path: format!("{}/rows", ROLES[worker]),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    });
    let pledge = Pledge {
        task: TaskId::new(ROLES[worker]).expect("roles are names"),
        output: OutputName::new("rows").expect("it is a name"),
        token: FencingToken { epoch: Epoch(1), counter: u64::from(number) },
        digest: Digest([7; 32]),
        replaceable: false,
        target,
    };
    let holder = installation(worker, number);
    Share { holder, address: format!("{}:7878", ROLES[worker]), pledges: vec![pledge] }
}

/// Returns the one position that every message carries: staleness is not what is modelled.
pub(crate) fn position() -> LogPosition {
    static POSITION: LazyLock<LogPosition> = LazyLock::new(|| {
        let text = "00000000-0000-0000-0000-000000000001";
        LogPosition {
            cluster: text.parse::<ClusterId>().expect("it has the form of a UUID"),
            epoch: Epoch(0),
            start: text.parse::<Incarnation>().expect("it has the form of a UUID"),
            lsn: 0,
        }
    });
    *POSITION
}

/// Returns what a start of the coordinator knows.
pub(crate) fn start(epoch: u8, log: LogState) -> Start {
    let held = position();
    let (cluster, incarnation) = (held.cluster, held.start);
    Start { cluster, epoch: Epoch(u64::from(epoch)), incarnation, held, log }
}

/// Asks for the abort of the job.
pub(crate) fn cancel() -> CoordinatorEvent {
    let word = || "CANCELLED".to_owned();
    CoordinatorEvent::AbortAsked {
        job: job(),
        cause: Cause { reason: word(), message: word(), by: word() },
    }
}

/// More than any worker ever has.
const INSTALLATIONS: usize = 8;

/// An operator gives an installation up.
pub(crate) fn give_up(holder: Installation) -> CoordinatorEvent {
    let (by, reason) = ("ana".to_owned(), "its disk is gone".to_owned());
    let forced = Forced { by, reason, evidence: Vec::new() };
    CoordinatorEvent::GiveUpAsked { job: job(), holder, forced }
}
