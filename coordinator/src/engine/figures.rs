//! The numbers that the engine shows when somebody looks.

use votum_commit::{Stage, Vote};
use votum_ids::{JobId, TaskId};
use votum_machine::{Moment, WallTime};

use super::Engine;
use crate::figures::Figures;

impl Engine {
    /// Counts what stands at this moment; costs a walk over the open jobs.
    pub(super) fn figures(&mut self, now: Moment) -> Figures {
        let doubts: Vec<WallTime> = self.jobs.keys().filter_map(|job| self.doubt(job)).collect();
        Figures {
            cluster: self.cluster(),
            tasks: self.scheduler.task_figures(),
            in_doubt: doubts.len() as u64,
            oldest_in_doubt: doubts.into_iter().min(),
            cases: self.cases(now).into_iter().map(|case| case.kind).collect(),
        }
    }

    /// Says what kind of hook this is, for those who count.
    pub(crate) fn hook_kind(&self, job: &JobId, hook: &TaskId) -> &'static str {
        let hooks = self.settlement.hooks(job);
        let found = hooks.iter().find(|view| view.hook == *hook);
        found.map_or("unknown", |view| view.kind.word())
    }

    /// Returns since when somebody may be in doubt about a job who is waited for.
    fn doubt(&self, job: &JobId) -> Option<WallTime> {
        let standing = self.commit.phase(job)?;
        let somebody = match &standing.stage {
            Stage::Preparing { votes, .. } => {
                votes.values().any(|vote| matches!(vote, Some(Vote::Yes)))
            }
            Stage::Delivering { unacked, .. } => !unacked.is_empty(),
            Stage::Working | Stage::Owing { .. } | Stage::Aborting { .. } | Stage::Quarantined => {
                false
            }
        };
        let opened = self.jobs.get(job).and_then(|open| open.prepared);
        somebody.then(|| opened.unwrap_or_else(|| self.anchor.at(standing.since)))
    }
}
