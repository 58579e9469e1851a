//! Where a person asks this worker for its promises, and ends one of its doubts by force (H1, H2).

use std::collections::BTreeSet;

use votum_commit::{Evidence, Forced, Heuristic, ParticipantEvent, Peer, Pledge};
use votum_ids::{JobId, TxnId};
use votum_machine::{Moment, WallTime};
use votum_wire::EVIDENCE_MAX;

use crate::{
    action::Action,
    control::AskId,
    engine::{Engine, Reaction},
    forcing::{CannotForce, LocalAnswer, LocalQuestion, LocalStage, LocalTxn, word},
};

impl Engine {
    /// Answers a person on this machine; what he forces is durable before the answer (C12).
    pub(super) fn answer_local(
        &mut self,
        now: Moment,
        ask: AskId,
        question: LocalQuestion,
    ) -> Reaction {
        let (reaction, answer) = match question {
            LocalQuestion::ListTxns => (Reaction::none(), LocalAnswer::Txns(self.local_txns(now))),
            LocalQuestion::Force { job, outcome, by, reason, at } => {
                match self.may_force(&job, &reason) {
                    Err(refusal) => (Reaction::none(), LocalAnswer::Refused(refusal)),
                    Ok(txn) => {
                        let evidence = self.evidence(now, &txn, at);
                        let forced = Forced { by, reason, evidence };
                        let event =
                            ParticipantEvent::ForceAsked { job: job.clone(), outcome, forced, at };
                        let reaction = self.participate(now, event);
                        let forced = self.local_txn(now, &job).expect("it was forced just above");
                        (reaction, LocalAnswer::Forced(forced))
                    }
                }
            }
        };
        reaction.then(Action::AnswerLocal { ask, answer })
    }

    /// Returns the round that is in doubt, or says why nothing is to be forced.
    fn may_force(&self, job: &JobId, reason: &str) -> Result<TxnId, CannotForce> {
        if reason.trim().is_empty() {
            return Err(CannotForce::NoReason);
        }
        if let Some(problem) = self.quarantined.get(job) {
            let (job, problem) = (job.clone(), problem.clone());
            return Err(CannotForce::Quarantined { job, problem });
        }
        if let Some(txn) = self.participants.doubt(job) {
            return Ok(txn.clone());
        }
        let job = job.clone();
        if self.participants.is_decided(&job) {
            return Err(CannotForce::Decided { job });
        }
        match self.participants.forced().find(|forced| forced.txn.job == job) {
            Some(Heuristic { forced, outcome, .. }) => Err(CannotForce::Forced {
                job,
                by: forced.by.clone(),
                outcome: word(*outcome).to_owned(),
            }),
            None => Err(CannotForce::NotInDoubt { job }),
        }
    }

    fn local_txns(&self, now: Moment) -> Vec<LocalTxn> {
        let doubts = self.participants.in_doubt().map(|txn| &txn.job);
        let forced = self.participants.forced().map(|forced| &forced.txn.job);
        let jobs: BTreeSet<&JobId> = doubts.chain(forced).collect();
        jobs.into_iter().filter_map(|job| self.local_txn(now, job)).collect()
    }

    fn local_txn(&self, now: Moment, job: &JobId) -> Option<LocalTxn> {
        let doubt = self.participants.doubt(job);
        let forced = self.participants.forced().find(|forced| forced.txn.job == *job);
        let txn = doubt.or(forced.map(|forced| &forced.txn))?;
        let (pledges, peers) = self.participants.promised(job).unwrap_or_default();
        let stage = if doubt.is_some() {
            LocalStage::InDoubt
        } else if self.participants.is_decided(job) {
            LocalStage::Decided
        } else {
            LocalStage::Forced
        };
        Some(LocalTxn {
            txn: txn.clone(),
            stage,
            age: self.doubts.age(now, txn),
            outputs: places(pledges).collect(),
            peers: peers.iter().map(|peer| peer.installation.worker.to_string()).collect(),
            forced: forced.cloned(),
            noted: forced.is_some() && self.participants.is_reported(job),
        })
    }

    /// Gathers what is known of a doubt that is about to be ended, oldest first.
    fn evidence(&self, now: Moment, txn: &TxnId, at: WallTime) -> Vec<Evidence> {
        let age = self.doubts.age(now, txn).unwrap_or_default();
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let (pledges, peers) = self.participants.promised(&txn.job).unwrap_or_default();
        let promised = format!(
            "{} voted YES in round {}.{}: it promised durably to obey the decision",
            self.me.worker, txn.epoch, txn.counter
        );
        let link = if self.session.is_some() {
            "the coordinator could be reached, and had not told the decision"
        } else {
            "the coordinator could not be reached"
        };
        let peers: Vec<&str> =
            peers.iter().map(|Peer { installation, .. }| installation.worker.as_str()).collect();
        let others = if peers.is_empty() {
            "nobody else had part in the round".to_owned()
        } else {
            format!("no other participant had told the decision: {}", peers.join(", "))
        };
        let said = [link.to_owned(), others];
        let places = places(pledges).map(|place| format!("promised: {place}"));
        let known = said.into_iter().chain(places).map(|text| Evidence { at, text });
        let first = Evidence { at: WallTime(at.0.saturating_sub(millis)), text: promised };
        [first].into_iter().chain(known).take(EVIDENCE_MAX).collect()
    }
}

/// Names outputs and where they become visible.
fn places(pledges: &[Pledge]) -> impl Iterator<Item = String> {
    let published = pledges.iter().filter_map(|pledge| Some((pledge, pledge.target.as_ref()?)));
    published
        .map(|(Pledge { task, output, .. }, target)| format!("{task}.{output} at {}", target.path))
}
