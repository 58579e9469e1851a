//! Open transactions as people are shown them.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use votum_commit::{CoordinatorAction, Installation, Message, Reply, Stage, Vote};
use votum_ids::{JobId, WorkerId};
use votum_machine::Moment;
use votum_wire::{
    ParticipantView, WorkerView,
    txn::{TxnParticipantView, TxnStage, TxnView},
};

use super::Engine;
use crate::{question::WantedTxns, view};

impl Engine {
    /// Shows open transactions, by job; one more than fit on a page if there is one.
    pub(super) fn txns(&self, wanted: &WantedTxns) -> Vec<TxnView> {
        let workers = view::worker::all(self.anchor, &self.scheduler);
        let workers: BTreeMap<WorkerId, WorkerView> =
            workers.into_iter().map(|view| (view.worker.clone(), view)).collect();
        let (jobs, in_doubt, max) = match wanted {
            WantedTxns::Of(job) => return self.txn(job, &workers).into_iter().collect(),
            WantedTxns::After { job: Some(job), in_doubt, max } => {
                (self.jobs.range((Excluded(job.clone()), Unbounded)), *in_doubt, *max)
            }
            WantedTxns::After { job: None, in_doubt, max } => {
                (self.jobs.range::<JobId, _>(..), *in_doubt, *max)
            }
        };
        jobs.filter_map(|(job, _)| self.txn(job, &workers))
            .filter(|txn| !in_doubt || txn.is_in_doubt())
            .take(max)
            .collect()
    }

    /// Notes what a participant says, for people.
    pub(super) fn overhear(&mut self, now: Moment, from: &Installation, reply: &Reply) {
        let at = self.anchor.at(now);
        if let Some(open) = self.jobs.get_mut(&reply.txn().job) {
            open.exchange.hear(at, from, reply);
        }
        self.heard_of_commit(from, reply);
    }

    /// Notes what a participant is told, for people.
    pub(super) fn overhear_action(&mut self, now: Moment, action: &CoordinatorAction) {
        match action {
            CoordinatorAction::Preparing { txn } => {
                if let Some(open) = self.jobs.get_mut(&txn.job) {
                    open.exchange.open(txn.clone());
                }
            }
            CoordinatorAction::Send {
                message: Message::Commit { txn, holder, .. } | Message::TakeOver { txn, holder, .. },
                ..
            } => {
                let at = self.anchor.at(now);
                if let Some(open) = self.jobs.get_mut(&txn.job) {
                    open.exchange.send_commit(at, txn, holder);
                }
            }
            CoordinatorAction::Send { .. }
            | CoordinatorAction::ShareLost { .. }
            | CoordinatorAction::Replaced { .. }
            | CoordinatorAction::Declined { .. }
            | CoordinatorAction::Committing { .. }
            | CoordinatorAction::Aborting { .. }
            | CoordinatorAction::Committed { .. }
            | CoordinatorAction::TooLate { .. }
            | CoordinatorAction::Raise(_) => {}
        }
    }

    fn txn(&self, job: &JobId, workers: &BTreeMap<WorkerId, WorkerView>) -> Option<TxnView> {
        let (open, standing) = (self.jobs.get(job)?, self.commit.phase(job)?);
        let exchange = &open.exchange;
        let mut participants = Vec::new();
        let mut add = |holder: &Installation, vote: Option<Vote>, acknowledged, in_doubt| {
            let talk = exchange.with(holder);
            let worker = workers.get(&holder.worker).filter(|view| view.uid == holder.uid);
            participants.push(TxnParticipantView {
                participant: ParticipantView { worker: holder.worker.clone(), vote, acknowledged },
                uid: holder.uid,
                in_doubt,
                voted: talk.vote.map(|(_, at)| at),
                acknowledged: talk.acknowledged,
                commits_sent: talk.commits_sent,
                commit_sent: talk.commit_sent,
                worker_state: worker.map(|view| view.state),
                last_seen: worker.and_then(|view| view.last_seen),
            });
        };
        let (stage, txn, since) = match standing.stage {
            Stage::Preparing { txn, votes } => {
                for (holder, vote) in votes {
                    let in_doubt = vote == Some(Vote::Yes);
                    add(&holder, vote, false, in_doubt);
                }
                (TxnStage::Preparing, Some(txn), open.prepared)
            }
            Stage::Delivering { txn, unacked, given_up } => {
                for holder in &open.publishers {
                    let waits = unacked.contains(holder) || given_up.contains(holder);
                    let done = !waits && open.missing(holder).is_none();
                    add(holder, Some(Vote::Yes), done, waits);
                }
                (TxnStage::Committing, Some(txn), open.decided)
            }
            Stage::Owing { txn, given_up } => {
                for holder in &open.publishers {
                    let waits = given_up.contains(holder);
                    let done = !waits && open.missing(holder).is_none();
                    add(holder, Some(Vote::Yes), done, waits);
                }
                (TxnStage::Owing, Some(txn), open.ended)
            }
            // What it keeps is no transaction: nobody is asked or told anything.
            Stage::Aborting { .. } if self.keeps(job) => return None,
            Stage::Aborting { .. } => {
                for holder in exchange.installations() {
                    let vote = exchange.with(holder).vote.map(|(vote, _)| vote);
                    add(holder, vote, false, false);
                }
                (TxnStage::Aborting, exchange.txn().cloned(), open.decided)
            }
            Stage::Working | Stage::Quarantined => return None,
        };
        let since = since.unwrap_or_else(|| self.anchor.at(standing.since));
        Some(TxnView { job: job.clone(), txn, stage, since, participants })
    }
}
