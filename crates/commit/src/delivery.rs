//! A commit on its way to those that publish: who owes what, and who takes whose place (C13, C14).
//!
//! Each part of what was promised has one publisher at a time. The one that promised it has
//! the number 0; whoever takes its place has a higher number, given out by a forced record
//! before anybody is told. What is told under a number that was replaced is refused, and its bearer
//! has to hear that it was replaced before the commit may be forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use votum_ids::TxnId;
use votum_machine::Moment;

use crate::{
    CoordinatorAction, CoordinatorRecord, Decision, Forced, Heuristic, Installation, Message,
    Pledge, Share, round::Shares,
};

/// A commit on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Delivery {
    pub(crate) txn: TxnId,
    /// Who promised what, by the decision.
    pub(crate) shares: Shares,
    /// Who has not acknowledged what it promised, and was not replaced.
    pub(crate) unacked: BTreeSet<Installation>,
    /// Who publishes in the place of others, by publisher number.
    takeovers: BTreeMap<u64, Takeover>,
    /// Of whose own promise others are the publishers: it is never told to publish that again.
    replaced: BTreeSet<Installation>,
    /// Who was replaced and has not confirmed it, with the number that it lost.
    untold: BTreeSet<(Installation, u64)>,
    /// Who is waited for no longer, and is not done with everything it owes (C14).
    pub(crate) given_up: BTreeSet<Installation>,
    /// Who was forced to abort what it promised: it never publishes anything of the round.
    barred: BTreeSet<Installation>,
    pub(crate) due: Option<Moment>,
}

/// What somebody publishes in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Takeover {
    share: Share,
    stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stands {
    /// It was asked, and has not acknowledged.
    Owed,
    /// It is visible.
    Done,
    /// Somebody else took its place in turn.
    Replaced,
    /// Whoever was asked never does it, and nobody is waited for.
    Forgone,
}

/// What an acknowledgement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Others are waited for, or it was said before.
    Open,
    /// Nobody is waited for any more.
    Ended,
}

impl Delivery {
    /// Begins with the decision.
    pub(crate) fn begin(now: Moment, txn: TxnId, shares: Shares) -> Self {
        let unacked = shares.keys().cloned().collect();
        Self {
            txn,
            shares,
            unacked,
            takeovers: BTreeMap::new(),
            replaced: BTreeSet::new(),
            untold: BTreeSet::new(),
            given_up: BTreeSet::new(),
            barred: BTreeSet::new(),
            due: Some(now),
        }
    }

    /// Waits no longer for a participant; the next tick ends the delivery if it was the last.
    pub(crate) fn give_up(
        &mut self,
        now: Moment,
        holder: Installation,
        forced: Forced,
    ) -> CoordinatorRecord {
        self.forgo(holder.clone());
        if self.owing().is_empty() {
            self.due = Some(now);
        }
        CoordinatorRecord::GivenUp { txn: self.txn.clone(), holder, forced }
    }

    /// Applies the record that a participant is waited for no longer.
    pub(crate) fn forgo(&mut self, holder: Installation) {
        let barred = self.is_barred(&holder);
        self.given_up.insert(holder.clone());
        if barred {
            // It has said that it never publishes; nothing is left to hear from it.
            self.release(&holder);
        }
    }

    /// Applies the record that a participant that was given up is done with everything it owed, or
    /// that one which was replaced knows it.
    pub(crate) fn part(&mut self, holder: &Installation) {
        self.let_go(holder, Stands::Done);
        self.untold.retain(|(untold, _)| untold != holder);
    }

    /// Applies the record that an installation that was given up never publishes what it owes.
    pub(crate) fn forget(&mut self, holder: &Installation) {
        self.release(holder);
        self.part(holder);
    }

    /// Waits for good no longer for what an installation that was given up owes.
    fn release(&mut self, holder: &Installation) {
        self.let_go(holder, Stands::Forgone);
    }

    /// Strikes everything that an installation which was given up owes.
    fn let_go(&mut self, holder: &Installation, stands: Stands) {
        if self.given_up.remove(holder) {
            self.unacked.remove(holder);
            let taken = self.takeovers.values_mut().filter(|one| one.share.holder == *holder);
            for taken in taken.filter(|one| one.stands == Stands::Owed) {
                taken.stands = stands;
            }
        }
    }

    /// Says whether an installation that was given up has nothing left to do, nor to hear.
    pub(crate) fn is_done(&self, holder: &Installation) -> bool {
        self.owed_by(holder).is_empty() && self.untold().all(|untold| untold != holder)
    }

    /// Says whether somebody was forced to abort, and so never publishes anything of the round.
    pub(crate) fn is_barred(&self, holder: &Installation) -> bool {
        self.barred.contains(holder)
    }

    /// Applies the record of what was forced at a participant: whoever was forced to abort what it
    /// promised in this round never publishes it, and is not waited for.
    pub(crate) fn hear_forced(&mut self, holder: &Installation, heuristic: &Heuristic) {
        if heuristic.txn == self.txn && heuristic.outcome == Decision::Abort {
            self.unacked.remove(holder);
            self.release(holder);
            self.barred.insert(holder.clone());
        }
    }

    /// Applies the record that nobody is waited for any more: everybody else has acknowledged,
    /// whatever is not recorded of it.
    pub(crate) fn finish(&mut self) {
        self.unacked.retain(|holder| self.given_up.contains(holder));
        for taken in self.takeovers.values_mut() {
            let given_up = self.given_up.contains(&taken.share.holder);
            if taken.stands == Stands::Owed && !given_up {
                taken.stands = Stands::Done;
            }
        }
    }

    /// Returns who is to be told something and is not waited for.
    pub(crate) fn left_out(&self) -> BTreeSet<Installation> {
        self.untold().chain(&self.given_up).cloned().collect()
    }

    /// Returns everybody that something visible is waited for from.
    pub(crate) fn owing(&self) -> BTreeSet<Installation> {
        let takers = self.takeovers.values().filter(|one| one.stands == Stands::Owed);
        let owing = self.unacked.iter().chain(takers.map(|one| &one.share.holder));
        owing.filter(|holder| !self.given_up.contains(holder)).cloned().collect()
    }

    /// Returns what an installation owes, by publisher number.
    pub(crate) fn owed_by(&self, holder: &Installation) -> BTreeMap<u64, &Share> {
        let own = self.shares.get(holder).filter(|_| self.unacked.contains(holder));
        let taken = self
            .takeovers
            .iter()
            .filter(|(_, one)| one.stands == Stands::Owed && one.share.holder == *holder);
        own.map(|share| (0, share))
            .into_iter()
            .chain(taken.map(|(number, one)| (*number, &one.share)))
            .collect()
    }

    /// Returns who was replaced and has not confirmed it.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &Installation> {
        self.untold.iter().map(|(holder, _)| holder)
    }

    /// Returns who publishes in the place of another, and what.
    pub(crate) fn takers(&self) -> impl Iterator<Item = &Share> {
        let current = |one: &&Takeover| one.stands != Stands::Replaced;
        self.takeovers.values().filter(current).map(|one| &one.share)
    }

    /// Returns the record that others publish what an installation owes; none if that is not
    /// exactly what they would publish, or nobody is left to do it.
    pub(crate) fn replacement(
        &self,
        from: &Installation,
        to: &[Share],
    ) -> Option<CoordinatorRecord> {
        let owed = self.owed_by(from);
        let published = |share: &Share| -> BTreeSet<Pledge> {
            share.pledges.iter().filter(|pledge| pledge.target.is_some()).cloned().collect()
        };
        let lost: BTreeSet<Pledge> = owed.values().flat_map(|share| published(share)).collect();
        let taken: BTreeSet<Pledge> = to.iter().flat_map(published).collect();
        let apart = to.iter().map(|share| share.pledges.len()).sum::<usize>() == taken.len();
        let able = |holder: &Installation| holder != from && !self.is_barred(holder);
        let others = to.iter().all(|share| able(&share.holder));
        let awaited = !owed.is_empty() && !self.given_up.contains(from);
        (awaited && lost == taken && apart && others).then(|| CoordinatorRecord::Replaced {
            txn: self.txn.clone(),
            from: from.clone(),
            numbers: owed.into_keys().collect(),
            first: self.next_number(),
            to: to.to_vec(),
        })
    }

    /// Applies the record that others publish what an installation owed; says whether it can
    /// follow what came before.
    pub(crate) fn replace(
        &mut self,
        from: &Installation,
        numbers: &[u64],
        first: u64,
        to: &[Share],
    ) -> bool {
        let known = |number: &u64| match number {
            0 => self.shares.contains_key(from),
            number => self.takeovers.get(number).is_some_and(|taken| taken.share.holder == *from),
        };
        if first != self.next_number() || !numbers.iter().all(known) {
            return false;
        }
        for &number in numbers {
            if number == 0 {
                self.unacked.remove(from);
                self.replaced.insert(from.clone());
            } else if let Some(taken) = self.takeovers.get_mut(&number) {
                taken.stands = Stands::Replaced;
            }
            self.untold.insert((from.clone(), number));
        }
        for (number, share) in (first..).zip(to) {
            let takeover = Takeover { share: share.clone(), stands: Stands::Owed };
            self.takeovers.insert(number, takeover);
        }
        true
    }

    fn next_number(&self) -> u64 {
        self.takeovers.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    /// Counts the acknowledgement of what an installation promised.
    pub(crate) fn acknowledge(&mut self, by: &Installation) -> Progress {
        // Only the named installation can take itself off the list (C13).
        if self.unacked.remove(by) { self.progress() } else { Progress::Open }
    }

    /// Counts the acknowledgement of what an installation publishes in the place of another.
    pub(crate) fn take(&mut self, by: &Installation, number: u64) -> Progress {
        match self.takeovers.get_mut(&number) {
            Some(taken) if taken.share.holder == *by && taken.stands == Stands::Owed => {
                taken.stands = Stands::Done;
                self.progress()
            }
            Some(_) | None => Progress::Open,
        }
    }

    /// Counts the word of an installation that it does not hold what it was to publish in the place
    /// of another.
    pub(crate) fn decline(&mut self, number: u64) {
        if let Some(taken) = self.takeovers.get_mut(&number) {
            taken.stands = Stands::Forgone;
        }
    }

    /// Counts the word of an installation that it knows it was replaced; says whether it was the
    /// last one about it.
    pub(crate) fn stand_down(&mut self, by: &Installation, number: u64) -> bool {
        self.untold.remove(&(by.clone(), number)) && self.untold().all(|untold| untold != by)
    }

    /// Says whether anybody is waited for.
    pub(crate) fn progress(&self) -> Progress {
        if self.owing().is_empty() { Progress::Ended } else { Progress::Open }
    }

    /// Says whether anybody is to be told anything.
    pub(crate) fn is_open(&self) -> bool {
        !self.untold.is_empty() || !self.owing().is_empty()
    }

    /// Returns what is to be told to those that were replaced.
    pub(crate) fn words_to_untold(&self) -> Vec<CoordinatorAction> {
        let untold: BTreeSet<&Installation> = self.untold().collect();
        untold.into_iter().flat_map(|holder| self.orders_for(holder)).collect()
    }

    /// Returns everything that is to be told to anybody.
    pub(crate) fn orders(&self) -> Vec<CoordinatorAction> {
        let mut holders = self.owing();
        holders.extend(self.untold().cloned());
        holders.iter().flat_map(|holder| self.orders_for(holder)).collect()
    }

    /// Returns what is to be told to one installation; what it promised itself comes first.
    pub(crate) fn orders_for(&self, holder: &Installation) -> Vec<CoordinatorAction> {
        let own = self.commit_for(holder).filter(|_| self.unacked.contains(holder));
        let taken = self
            .takeovers
            .iter()
            .filter(|(_, taken)| taken.stands == Stands::Owed && taken.share.holder == *holder);
        let taken = taken.map(|(number, taken)| {
            send(
                holder,
                Message::TakeOver {
                    txn: self.txn.clone(),
                    holder: holder.clone(),
                    number: *number,
                    pledges: taken.share.pledges.clone(),
                },
            )
        });
        let lost = self.untold.iter().filter(|(untold, _)| untold == holder);
        let lost = lost.map(|(_, number)| self.loss(holder, *number));
        own.into_iter().chain(taken).chain(lost).collect()
    }

    /// Says whether the installation publishes, or published, anything in the place of another,
    /// or was replaced.
    pub(crate) fn concerns(&self, holder: &Installation) -> bool {
        self.takeovers.values().any(|taken| taken.share.holder == *holder)
            || self.given_up.contains(holder)
            || self.untold().any(|untold| untold == holder)
    }

    /// Returns the word about what an installation promised: that it shall become visible, or that
    /// others publish it.
    pub(crate) fn word_for(&self, holder: &Installation) -> Option<CoordinatorAction> {
        if self.replaced.contains(holder) {
            return Some(self.loss(holder, 0));
        }
        self.commit_for(holder)
    }

    fn loss(&self, holder: &Installation, number: u64) -> CoordinatorAction {
        let (txn, named) = (self.txn.clone(), holder.clone());
        send(holder, Message::Replaced { txn, holder: named, number })
    }

    fn commit_for(&self, holder: &Installation) -> Option<CoordinatorAction> {
        let share = self.shares.get(holder)?;
        Some(send(
            holder,
            Message::Commit {
                txn: self.txn.clone(),
                holder: holder.clone(),
                pledges: share.pledges.clone(),
            },
        ))
    }

    pub(crate) fn add(&mut self, holder: Installation, share: Share) {
        Arc::make_mut(&mut self.shares).insert(holder.clone(), share);
        self.unacked.insert(holder);
    }

    pub(crate) fn record(&self) -> CoordinatorRecord {
        CoordinatorRecord::CommitDecided {
            txn: self.txn.clone(),
            shares: self.shares.values().cloned().collect(),
        }
    }
}

fn send(to: &Installation, message: Message) -> CoordinatorAction {
    CoordinatorAction::Send { to: to.worker.clone(), message }
}
