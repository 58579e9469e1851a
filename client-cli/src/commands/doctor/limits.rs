//! How near the daemons are to what they, their systems and their disks allow.

use votum_wire::{ClusterView, LimitKind, LimitUse, WorkerView};

use super::findings::{Findings, Grade};
use crate::display::amount;

/// Whose limits they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose<'a> {
    Coordinator,
    Worker(&'a str),
}

impl Whose<'_> {
    fn name(self) -> String {
        match self {
            Self::Coordinator => "coordinator".to_owned(),
            Self::Worker(name) => name.to_owned(),
        }
    }
}

/// Looks at the coordinator's.
pub(super) fn of_coordinator(view: &ClusterView, findings: &mut Findings) {
    look(Whose::Coordinator, &view.limits, findings);
}

/// Looks at a worker's, unless it has said nothing.
pub(super) fn of_worker(view: &WorkerView, findings: &mut Findings) {
    look(Whose::Worker(view.worker.as_str()), &view.limits, findings);
}

/// What is far from its end is told on one line, everything else on one of its own.
fn look(whose: Whose<'_>, limits: &[LimitUse], findings: &mut Findings) {
    let graded = limits.iter().map(|limit| (grade(limit), limit));
    let (far, near): (Vec<_>, Vec<_>) = graded.partition(|(grade, _)| *grade == Grade::Ok);
    let far: Vec<String> = far.into_iter().map(|(_, limit)| words(limit)).collect();
    if !far.is_empty() {
        findings.ok("limits", format!("{}: {}", whose.name(), far.join(", ")));
    }
    for (grade, limit) in near {
        let found = format!("{}: {}", whose.name(), words(limit));
        findings.grade("limits", grade, found, advice(whose, limit.kind));
    }
}

fn grade(limit: &LimitUse) -> Grade {
    let left = limit.most.saturating_sub(limit.used);
    let scarce = match limit.kind {
        LimitKind::DiskBytes => left < DISK_BYTES_LEAST,
        LimitKind::OpenFiles => limit.most < OPEN_FILES_LEAST,
        LimitKind::Processes | LimitKind::DiskFiles | LimitKind::OpenJobs => false,
    };
    if left == 0 || limit.percent() >= PERCENT_BAD && limit.kind != LimitKind::DiskBytes {
        Grade::Bad
    } else if scarce || limit.percent() >= PERCENT_LOOK {
        Grade::Look
    } else {
        Grade::Ok
    }
}

/// Such as `41 of 1024 open files`.
pub(super) fn words(limit: &LimitUse) -> String {
    let LimitUse { kind, used, most } = limit;
    let noun = match kind {
        LimitKind::OpenFiles => "open files",
        LimitKind::Processes => "processes and threads",
        LimitKind::DiskFiles => "names on its disk",
        LimitKind::OpenJobs => "open jobs",
        LimitKind::DiskBytes => {
            let left = amount::size(most.saturating_sub(*used));
            return format!("{left} left on its disk, {}% taken", limit.percent());
        }
    };
    format!("{used} of {most} {noun}")
}

fn advice(whose: Whose<'_>, kind: LimitKind) -> String {
    match (kind, whose) {
        (LimitKind::OpenFiles, _) => {
            "raise LimitNOFILE of its unit (or `ulimit -n` before it starts), and start it again"
        }
        (LimitKind::Processes, _) => {
            "end what is not needed there, or raise TasksMax of its unit or kernel.pid_max"
        }
        (LimitKind::DiskBytes, Whose::Coordinator) => {
            "make room where its journal lies: a coordinator that cannot write stops"
        }
        (LimitKind::DiskBytes, Whose::Worker(_)) => {
            "make room where it stages: beyond the reserve attempts fail and votes are NO"
        }
        (LimitKind::DiskFiles, _) => "remove files there, or give it a filesystem with more inodes",
        (LimitKind::OpenJobs, _) => {
            "further jobs are refused at the end: cancel what is not wanted, or raise jobs.max_open"
        }
    }
    .to_owned()
}

/// From here on somebody should look.
const PERCENT_LOOK: u64 = 80;
/// From here on it may end at any moment. A disk is full when it is.
const PERCENT_BAD: u64 = 95;
/// Below this a task of any size may fail for lack of space.
const DISK_BYTES_LEAST: u64 = 1 << 30;
/// Connections, peers and attempts take some each.
const OPEN_FILES_LEAST: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(kind: LimitKind, used: u64, most: u64) -> LimitUse {
        LimitUse { kind, used, most }
    }

    #[test]
    fn what_is_far_from_its_end_is_told_on_one_line() {
        let mut findings = Findings::default();
        let limits =
            [limit(LimitKind::OpenJobs, 3, 10_000), limit(LimitKind::OpenFiles, 41, 65_536)];
        look(Whose::Coordinator, &limits, &mut findings);
        let [finding] = findings.all() else { panic!("{findings:?}") };
        assert_eq!(finding.found, "coordinator: 3 of 10000 open jobs, 41 of 65536 open files");
        assert_eq!((finding.grade, &finding.advice), (Grade::Ok, &None));
    }

    #[test]
    fn what_is_near_its_end_comes_with_what_to_do() {
        let mut findings = Findings::default();
        let limits = [
            limit(LimitKind::OpenJobs, 8_000, 10_000),
            limit(LimitKind::Processes, 95, 100),
            limit(LimitKind::DiskBytes, 99 << 30, 100 << 30),
            limit(LimitKind::DiskBytes, 101 << 30, 100 << 30),
            limit(LimitKind::DiskFiles, 1, 100),
        ];
        look(Whose::Worker("s1"), &limits, &mut findings);
        let told: Vec<_> = findings.all().iter().map(|one| (one.grade, &*one.found)).collect();
        assert_eq!(
            told,
            [
                (Grade::Ok, "s1: 1 of 100 names on its disk"),
                (Grade::Look, "s1: 8000 of 10000 open jobs"),
                (Grade::Bad, "s1: 95 of 100 processes and threads"),
                (Grade::Look, "s1: 1.0 GiB left on its disk, 99% taken"),
                (Grade::Bad, "s1: 0 B left on its disk, 101% taken"),
            ]
        );
        assert!(findings.all().iter().skip(1).all(|one| one.advice.is_some()));
    }

    #[test]
    fn a_daemon_that_may_open_few_files_is_worth_a_look() {
        assert_eq!(grade(&limit(LimitKind::OpenFiles, 20, 256)), Grade::Look);
        assert_eq!(grade(&limit(LimitKind::OpenFiles, 20, 1024)), Grade::Ok);
        assert_eq!(grade(&limit(LimitKind::DiskBytes, 0, 1 << 29)), Grade::Look);
    }
}
