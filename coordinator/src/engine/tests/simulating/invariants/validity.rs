//! A commit has every vote of its own round.

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{CoordinatorRecord, Decision, Installation, Message};
use votum_ids::TxnId;
use votum_wire::FromCoordinator;

use super::{Held, Invariant, hold};
use crate::{
    engine::tests::simulating::{fact::Fact, known::Known},
    record::Record,
};

/// Remembers who was asked.
#[derive(Default)]
pub(super) struct Validity {
    asked: BTreeMap<TxnId, BTreeSet<Installation>>,
}

impl Invariant for Validity {
    fn name(&self) -> &'static str {
        "validity"
    }

    fn rule(&self) -> &'static str {
        "C2: COMMIT only if every participant of one and the same round voted YES or READ-ONLY"
    }

    fn source(&self) -> &'static str {
        "Gray, Lamport 2006, TCConsistent; Bernstein, Hadzilacos, Goodman 1987, AC3"
    }

    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held {
        match fact {
            Fact::Sent {
                frame: FromCoordinator::Commit(Message::Prepare { txn, holder, peers, .. }),
                ..
            } => {
                let asked = self.asked.entry(txn.clone()).or_default();
                asked.insert(holder.clone());
                asked.extend(peers.iter().map(|peer| peer.installation.clone()));
                Ok(())
            }
            Fact::Logged(Record::Job(record)) => {
                let Some(CoordinatorRecord::CommitDecided { txn, shares }) = &record.commit else {
                    return Ok(());
                };
                let asked = self.asked.get(txn).into_iter().flatten();
                let named = shares.iter().map(|share| &share.holder);
                for one in asked.chain(named) {
                    let voted = (one.clone(), txn.clone());
                    let agrees = known.prepared.contains_key(&voted)
                        || known.read_only.contains(&voted)
                        || known.has_forced(one, Decision::Commit);
                    hold(agrees, || {
                        format!("{txn} commits, and {} has promised nothing in it", one.worker)
                    })?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
