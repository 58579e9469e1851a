//! One round of votes: who was asked, who answered, and what the answers come to.

use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Duration};

use votum_ids::TxnId;
use votum_machine::Moment;

use crate::{
    Alarm, Cause, CoordinatorAction, Installation, Message, Objection, Peer, Share, Vote,
    patience::Patience,
};

/// A fixed set of participants that is asked once for a promise (C2, C13).
///
/// A round never changes whom or what it names: whatever should be asked
/// differently is asked in another round, and no vote moves from one to the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    pub(crate) txn: TxnId,
    pub(crate) shares: Shares,
    pub(crate) timeout: Duration,
    votes: BTreeMap<Installation, Vote>,
    opened: Moment,
    press: Moment,
    closes: Moment,
}

/// The participants of a round by their installations; never changed once it is open.
pub(crate) type Shares = Arc<BTreeMap<Installation, Share>>;

/// What a round has come to with one more vote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Somebody is still silent, or the vote was a duplicate.
    Open,
    /// Every participant has voted Yes or ReadOnly.
    Complete,
    /// A participant has refused this round; the next one may succeed.
    Refused,
    /// What this participant should publish is no longer there.
    Lost(Installation),
    /// A check failed: no other round would succeed.
    Failed(Cause),
    /// The vote cannot be explained and is not counted.
    Strange(Alarm),
}

impl Round {
    /// Opens a round; nobody has been asked yet.
    pub(crate) fn open(now: Moment, txn: TxnId, shares: Shares, timeout: Duration) -> Self {
        Self {
            txn,
            shares,
            timeout,
            votes: BTreeMap::new(),
            opened: now,
            press: PREPARE_AGAIN.next(now, now),
            closes: now.after(timeout),
        }
    }

    /// Counts a vote of this round; the first of each participant stands.
    pub(crate) fn count(&mut self, by: Installation, vote: Vote) -> Tally {
        if vote == Vote::No(Objection::WrongInstallation) {
            // Whoever answers under the name is by definition not the one that is named.
            return match self.shares.keys().find(|named| named.worker == by.worker) {
                Some(named) => Tally::Lost(named.clone()),
                None => Tally::Strange(Alarm::StrangeVote { txn: self.txn.clone(), by }),
            };
        }
        if !self.shares.contains_key(&by) {
            return Tally::Strange(Alarm::StrangeVote { txn: self.txn.clone(), by });
        }
        match (self.votes.get(&by), vote) {
            // A prepared participant to which a peer has answered Refused has left this
            // round, and says so when it is asked again (C7).
            (None | Some(Vote::Yes), vote @ Vote::No(Objection::Refused)) => {
                self.votes.insert(by, vote);
                Tally::Refused
            }
            (None, vote @ Vote::No(Objection::NotHeld | Objection::WrongInstallation)) => {
                self.votes.insert(by.clone(), vote);
                Tally::Lost(by)
            }
            (None, Vote::No(Objection::Failed { reason, message })) => {
                let cause = Cause {
                    reason: reason.clone(),
                    message: format!("{} voted No: {message}", by.worker),
                    by: by.worker.to_string(),
                };
                self.votes.insert(by, Vote::No(Objection::Failed { reason, message }));
                Tally::Failed(cause)
            }
            (None, vote @ (Vote::Yes | Vote::ReadOnly)) => {
                self.votes.insert(by, vote);
                // Only those who were asked are counted.
                let complete = self.votes.len() == self.shares.len();
                if complete { Tally::Complete } else { Tally::Open }
            }
            (Some(first), vote) if *first == vote => Tally::Open,
            (Some(_), _) => Tally::Strange(Alarm::ContradictoryVote { txn: self.txn.clone(), by }),
        }
    }

    /// Asks everybody who is silent, and leaves them time to answer.
    pub(crate) fn ask(&mut self, now: Moment) -> Vec<CoordinatorAction> {
        self.press = PREPARE_AGAIN.next(self.opened, now);
        self.silent()
            .map(|share| CoordinatorAction::Send {
                to: share.holder.worker.clone(),
                message: Message::Prepare {
                    txn: self.txn.clone(),
                    holder: share.holder.clone(),
                    pledges: share.pledges.clone(),
                    peers: self.peers_of(&share.holder),
                },
            })
            .collect()
    }

    /// Returns when the round next wants a tick.
    pub(crate) fn due(&self) -> Moment {
        self.press.min(self.closes)
    }

    /// Says whether the round has waited for its votes long enough.
    pub(crate) fn has_timed_out(&self, now: Moment) -> bool {
        self.closes <= now
    }

    /// Returns those that have not voted.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &Share> {
        self.shares.values().filter(|share| !self.votes.contains_key(&share.holder))
    }

    /// Returns those that are in doubt, or may be: they voted Yes, or their vote is not known.
    pub(crate) fn maybe_prepared(&self) -> impl Iterator<Item = &Share> {
        self.shares
            .values()
            .filter(|share| matches!(self.votes.get(&share.holder), None | Some(Vote::Yes)))
    }

    /// Returns what commits if this round does: what the Yes voters promised.
    pub(crate) fn promised(&self) -> BTreeMap<Installation, Share> {
        self.shares
            .iter()
            .filter(|(holder, _)| self.votes.get(holder) == Some(&Vote::Yes))
            .map(|(holder, share)| (holder.clone(), share.clone()))
            .collect()
    }

    /// Returns every participant with its vote.
    pub(crate) fn votes(&self) -> BTreeMap<Installation, Option<Vote>> {
        self.shares.keys().map(|holder| (holder.clone(), self.votes.get(holder).cloned())).collect()
    }

    /// Names the peers that a participant may ask: those that follow it in the order of all, as
    /// in a ring, so that what one of them knows reaches everybody from one to the next (C7).
    fn peers_of(&self, holder: &Installation) -> Vec<Peer> {
        let later = self.shares.range((Bound::Excluded(holder), Bound::Unbounded));
        let earlier = self.shares.range(..holder);
        let mut peers: Vec<Peer> = later
            .chain(earlier)
            .take(PEERS_MAX)
            .map(|(_, share)| share)
            .map(|share| Peer {
                installation: share.holder.clone(),
                address: share.address.clone(),
                updates: share.updates(),
            })
            .collect();
        peers.sort();
        peers
    }
}

/// Most peers that a participant is told of: a round would have as many names as the square of
/// its participants otherwise, in its messages and in everybody's log.
pub const PEERS_MAX: usize = 32;

/// A check that reads everything again takes its time; a lost message should not.
const PREPARE_AGAIN: Patience =
    Patience { least: Duration::from_secs(1), most: Duration::from_secs(8) };

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use votum_ids::{Epoch, JobId, WorkerId, WorkerUid};

    use super::*;

    fn installation(number: usize) -> Installation {
        let worker = WorkerId::new(format!("w{number:03}")).unwrap();
        let uid = format!("00000000-0000-0000-0000-{number:012}").parse::<WorkerUid>().unwrap();
        Installation { worker, uid }
    }

    fn round(participants: usize) -> Round {
        let share = |number| {
            let holder = installation(number);
            let address = format!("{}:7071", holder.worker);
            (holder.clone(), Share { holder, address, pledges: Vec::new() })
        };
        let txn = TxnId { job: JobId::new("sales-1").unwrap(), epoch: Epoch(1), counter: 1 };
        let shares = Arc::new((0..participants).map(share).collect());
        Round::open(Moment::START, txn, shares, Duration::from_secs(60))
    }

    fn named(round: &Round, number: usize) -> BTreeSet<Installation> {
        round.peers_of(&installation(number)).into_iter().map(|peer| peer.installation).collect()
    }

    #[test]
    fn a_small_round_names_everybody_else() {
        let round = round(PEERS_MAX + 1);

        for number in 0..=PEERS_MAX {
            let others = (0..=PEERS_MAX).filter(|other| *other != number).map(installation);
            assert_eq!(named(&round, number), others.collect());
        }
    }

    #[test]
    fn what_one_knows_reaches_everybody_in_a_large_round() {
        let participants = 200;
        let round = round(participants);
        let names: Vec<_> = (0..participants).map(|number| named(&round, number)).collect();
        assert!(names.iter().all(|names| names.len() == PEERS_MAX));

        // Everybody who does not know asks, again and again; the coordinator is gone.
        let mut knowing = BTreeSet::from([installation(100)]);
        let mut asked = 0;
        while knowing.len() < participants {
            let learn = |number: &usize| !names[*number].is_disjoint(&knowing);
            let learned: Vec<_> = (0..participants).filter(learn).map(installation).collect();
            knowing.extend(learned);
            asked += 1;
            assert!(asked <= participants / PEERS_MAX + 1, "only {} know", knowing.len());
        }
    }
}
