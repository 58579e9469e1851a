//! What can happen next.

use votum_ids::TaskId;
use votum_settle::Resolution;

use crate::{
    chief::Cluster,
    site::{End, Frame},
};

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A deadline passes; the coordinator may die after so many actions.
    Tick(Cut),
    /// A worker is found for a hook.
    Offer(TaskId, usize, Cut),
    /// Nobody will ever take a hook.
    Unplaceable(TaskId),
    /// A frame reaches a worker, and perhaps comes again.
    Deliver(usize, Frame, Again),
    /// A report reaches the coordinator, and perhaps comes again.
    Report(usize, TaskId, u8, End, Again),
    /// A program ends.
    Finish(usize, TaskId, u8, End),
    /// A receiver answers, or is too late.
    Answer(TaskId, u32, End),
    /// A worker opens a session and sends its inventory.
    Join(usize),
    /// A session breaks.
    Leave(usize),
    /// The coordinator gives up a worker that is silent.
    Lose(usize),
    /// The earlier installation of a worker is gone.
    Gone(usize),
    /// A worker dies.
    CrashSite(usize),
    /// A worker loses its data.
    Wipe(usize),
    /// A person decides.
    Resolve(TaskId, Resolution),
    /// All records become durable.
    Sync,
    /// The coordinator dies and starts with so many records.
    Crash(usize),
}

/// Whether a frame comes once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    No,
}

/// How far the coordinator gets with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    /// It dies when its record is durable and so many actions are done.
    After(usize),
}

impl Cluster {
    /// Returns everything that can happen next.
    pub(crate) fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        let cuts = self.cuts();
        if self.is_due() {
            turns.extend(cuts.iter().map(|cut| Turn::Tick(*cut)));
        }
        for hook in &self.wanted {
            for at in 0..self.sites.len() {
                if self.sites[at].connected && self.may_run(hook, at) {
                    turns.extend(cuts.iter().map(|cut| Turn::Offer(hook.clone(), at, *cut)));
                }
            }
            if self.left.strandings > 0 {
                turns.push(Turn::Unplaceable(hook.clone()));
            }
        }
        for at in 0..self.sites.len() {
            self.site_turns(at, &mut turns);
        }
        for (hook, number) in &self.posts {
            turns.extend(End::ALL.map(|end| Turn::Answer(hook.clone(), *number, end)));
        }
        if self.left.resolutions > 0 {
            for hook in self.cases() {
                turns.extend(Resolution::ALL.map(|how| Turn::Resolve(hook.clone(), how)));
            }
        }
        if self.durable < self.log.len() {
            turns.push(Turn::Sync);
        }
        if self.left.chief_crashes > 0 {
            turns.extend((self.durable..=self.log.len()).map(Turn::Crash));
        }
        turns
    }

    fn site_turns(&self, at: usize, turns: &mut Vec<Turn>) {
        let site = &self.sites[at];
        let repeats: &[Again] =
            if self.left.repeats > 0 { &[Again::No, Again::Yes] } else { &[Again::No] };
        for again in repeats.iter().copied() {
            turns.extend(site.inbox.iter().map(|it| Turn::Deliver(at, it.clone(), again)));
            turns.extend(
                site.outbox
                    .iter()
                    .map(|(hook, token, end)| Turn::Report(at, hook.clone(), *token, *end, again)),
            );
        }
        for (hook, token) in site.live() {
            turns.extend(End::ALL.map(|end| Turn::Finish(at, hook.clone(), token, end)));
        }
        if !site.connected {
            turns.push(Turn::Join(at));
        }
        if site.connected && self.left.leaves > 0 {
            turns.push(Turn::Leave(at));
        }
        if self.may_lose(at) {
            turns.push(Turn::Lose(at));
        }
        if self.outlived(at).is_some() {
            turns.push(Turn::Gone(at));
        }
        if self.left.site_crashes > 0 {
            turns.push(Turn::CrashSite(at));
        }
        if self.left.wipes > 0 {
            turns.push(Turn::Wipe(at));
        }
    }
}
