//! What the engine counts when somebody looks: plain numbers, none of them remembered.

use votum_machine::WallTime;
use votum_schedule::TaskFigures;
use votum_wire::CaseKind;

use crate::action::Cluster;

/// The cluster in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Jobs, workers, and what is wrong with the log.
    pub cluster: Cluster,
    /// The tasks of open jobs.
    pub tasks: TaskFigures,
    /// Open transactions with a participant in doubt that is waited for.
    pub in_doubt: u64,
    /// When the oldest round of those was opened.
    pub oldest_in_doubt: Option<WallTime>,
    /// The kinds of all open cases.
    pub cases: Vec<CaseKind>,
}

impl Figures {
    /// Counts the open cases of every kind.
    pub(crate) fn cases_by_kind(&self) -> [(&'static str, u64); 5] {
        let count = |kind: CaseKind| self.cases.iter().filter(|one| **one == kind).count() as u64;
        [
            ("effect", count(CaseKind::Effect)),
            ("compensation", count(CaseKind::Compensation)),
            ("lost_participant", count(CaseKind::LostParticipant)),
            ("quarantine", count(CaseKind::Quarantine)),
            ("stale_log", count(CaseKind::StaleLog)),
        ]
    }
}
