//! Three-phase commit with quorums (Skeen 1982, "A Quorum-Based Commit Protocol") and epochs.
//!
//! Before a decision a quorum of sites has recorded the predecision. The first one follows
//! everybody's Yes; before any other its leader has heard a quorum of the same kind. A commit
//! quorum and an abort quorum always meet, so a leader learns of whatever may have been decided.
//! The epochs are those of E3PC (Keidar, Dolev 1995), here owned by one site each as in Paxos:
//! the latest predecision counts, so a quorum that comes together after any partitions ends.

use std::fmt;

use votum_machine::{Machine, Moment, Reaction};

use crate::{
    cast::{COORDINATOR, Place, Places},
    word::{Decision, Epoch, Event, Letter, Predecision, Site, Word},
};

/// One site of quorum 3PC.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct QuorumSite {
    me: Place,
    rules: Rules,
    standing: Standing,
    lead: Lead,
}

/// How many sites there are and how many make a quorum. Safe if `commit + abort > sites`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    pub(crate) sites: usize,
    pub(crate) commit: usize,
    pub(crate) abort: usize,
    pub(crate) bug: Option<Bug>,
}

/// A mistake that the exploration has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// A predecision of an epoch that is over is recorded and acknowledged.
    OldEpochObeyed,
    /// The promise to obey no older epoch is not forced: a crash forgets it.
    PromiseNotForced,
    /// As in 1982, without epochs: who has pre-committed never pre-aborts, nor the other way.
    SidesAreKept,
}

/// What outlives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// Has not voted, and may abort alone.
    Working,
    /// Has voted Yes, and obeys no epoch older than the promised one.
    Ready {
        promised: Epoch,
        last: Option<Predecision>,
    },
    Decided(Decision),
}

/// What a leader waits for, in the epoch that it has promised itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lead {
    Nothing,
    Votes { yes: Places },
    Reports { from: Places, last: Option<Predecision> },
    Acks { from: Places, decision: Decision },
}

impl Rules {
    /// Makes more than half of the sites a quorum of both kinds.
    pub(crate) fn majority(sites: usize) -> Self {
        Self { sites, commit: sites / 2 + 1, abort: sites / 2 + 1, bug: None }
    }

    /// Says whether these sites are enough for a decision.
    pub(crate) fn suffice(&self, sites: Places, decision: Decision) -> bool {
        match decision {
            Decision::Commit => sites.count() >= self.commit,
            Decision::Abort => sites.count() >= self.abort,
        }
    }
}

impl QuorumSite {
    /// Says whether it may decide nothing alone, whatever its timeouts say.
    pub(crate) fn is_stuck(&self) -> bool {
        match self.standing {
            Standing::Ready { last, .. } => last.is_some() || self.me != COORDINATOR,
            Standing::Working | Standing::Decided(_) => false,
        }
    }

    /// Says whether it leads a termination that too few have answered.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.lead, Lead::Reports { .. })
    }

    fn received(&mut self, from: Place, word: Word) -> Vec<Letter> {
        match (self.standing, word) {
            (Standing::Decided(decision), Word::Prepare | Word::Ask(_) | Word::Predecide(_)) => {
                vec![self.to(from, Word::Decide(decision))]
            }
            (
                Standing::Decided(_),
                Word::Yes | Word::No | Word::Ack(_) | Word::Decide(_) | Word::Report { .. },
            ) => Vec::new(),
            (Standing::Working | Standing::Ready { .. }, Word::Decide(decision)) => {
                self.standing = Standing::Decided(decision);
                self.lead = Lead::Nothing;
                Vec::new()
            }
            (Standing::Working, Word::Prepare) => {
                self.standing = Standing::Ready { promised: Epoch(0), last: None };
                vec![self.to(from, Word::Yes)]
            }
            // It has not voted, so nobody can have pre-committed, and nobody ever will.
            (
                Standing::Working,
                Word::Yes
                | Word::No
                | Word::Ack(_)
                | Word::Ask(_)
                | Word::Predecide(_)
                | Word::Report { .. },
            ) => self.decide(Decision::Abort),
            (Standing::Ready { promised, last }, word) => self.led(from, word, promised, last),
        }
    }

    /// Receives something while in doubt.
    fn led(
        &mut self,
        from: Place,
        word: Word,
        promised: Epoch,
        last: Option<Predecision>,
    ) -> Vec<Letter> {
        match word {
            Word::Prepare => vec![self.to(from, Word::Yes)],
            Word::Yes => {
                if let Lead::Votes { yes } = &mut self.lead {
                    *yes = yes.with(from);
                }
                self.advance(promised)
            }
            // Only the coordinator is told No, and it has not pre-committed: it never will.
            Word::No => self.decide(Decision::Abort),
            Word::Ask(epoch) if epoch < promised => Vec::new(),
            Word::Ask(epoch) => {
                self.promise(epoch, promised, last);
                vec![self.to(from, Word::Report { epoch, last })]
            }
            Word::Predecide(told) if !self.accepts(told, promised, last) => Vec::new(),
            Word::Predecide(told) => {
                self.promise(told.epoch, promised, Some(told));
                vec![self.to(from, Word::Ack(told.epoch))]
            }
            Word::Report { epoch, last: theirs } => {
                if let Lead::Reports { from: reported, last } = &mut self.lead
                    && epoch == promised
                {
                    *reported = reported.with(from);
                    *last = theirs.max(*last);
                }
                self.advance(promised)
            }
            Word::Ack(epoch) => {
                if let Lead::Acks { from: acked, .. } = &mut self.lead
                    && epoch == promised
                {
                    *acked = acked.with(from);
                }
                self.advance(promised)
            }
            Word::Decide(decision) => self.decide(decision),
        }
    }

    fn accepts(&self, told: Predecision, promised: Epoch, last: Option<Predecision>) -> bool {
        match self.rules.bug {
            Some(Bug::OldEpochObeyed) => true,
            Some(Bug::SidesAreKept) if last.is_some_and(|last| last.decision != told.decision) => {
                false
            }
            Some(Bug::SidesAreKept | Bug::PromiseNotForced) | None => told.epoch >= promised,
        }
    }

    /// Obeys an epoch. Who led an older one leads no longer.
    fn promise(&mut self, epoch: Epoch, promised: Epoch, last: Option<Predecision>) {
        if epoch != promised {
            self.lead = Lead::Nothing;
        }
        self.standing = Standing::Ready { promised: epoch.max(promised), last };
    }

    fn silent(&mut self) -> Vec<Letter> {
        match self.standing {
            Standing::Decided(decision) => self.to_all(Word::Decide(decision)),
            Standing::Working => self.decide(Decision::Abort),
            // The coordinator alone pre-commits first. If it has not, it never will.
            Standing::Ready { last: None, .. } if self.me == COORDINATOR => {
                self.decide(Decision::Abort)
            }
            Standing::Ready { promised, last } => {
                let epoch = self.own_epoch_after(promised);
                self.standing = Standing::Ready { promised: epoch, last };
                self.lead = Lead::Reports { from: Places::only(self.me), last };
                let asked = self.to_all(Word::Ask(epoch));
                let alone = self.advance(epoch);
                if alone.is_empty() { asked } else { alone }
            }
        }
    }

    /// Goes on as far as those that were heard suffice.
    fn advance(&mut self, epoch: Epoch) -> Vec<Letter> {
        match self.lead {
            Lead::Votes { yes } if yes == Places::first(self.rules.sites) => {
                self.predecide(Predecision { epoch, decision: Decision::Commit })
            }
            Lead::Reports { from, last } => {
                let decision = last.map_or(Decision::Abort, |last| last.decision);
                if !self.rules.suffice(from, decision) {
                    return Vec::new();
                }
                self.predecide(Predecision { epoch, decision })
            }
            Lead::Acks { from, decision } if self.rules.suffice(from, decision) => {
                self.decide(decision)
            }
            Lead::Nothing | Lead::Votes { .. } | Lead::Acks { .. } => Vec::new(),
        }
    }

    fn predecide(&mut self, predecision: Predecision) -> Vec<Letter> {
        let (epoch, decision) = (predecision.epoch, predecision.decision);
        let alone = Places::only(self.me);
        if self.rules.suffice(alone, decision) {
            return self.decide(decision);
        }
        self.standing = Standing::Ready { promised: epoch, last: Some(predecision) };
        self.lead = Lead::Acks { from: alone, decision };
        self.to_all(Word::Predecide(predecision))
    }

    fn decide(&mut self, decision: Decision) -> Vec<Letter> {
        self.standing = Standing::Decided(decision);
        self.lead = Lead::Nothing;
        self.to_all(Word::Decide(decision))
    }

    /// Epochs belong to one site each: 1 to the coordinator, 2 to alice, and so on in turns.
    fn own_epoch_after(&self, epoch: Epoch) -> Epoch {
        let sites = self.rules.sites as u8;
        let mine = |number: &u8| (number - 1) % sites == self.me.0;
        Epoch((epoch.0 + 1..).find(mine).expect("in each turn one epoch is its own"))
    }

    fn to(&self, to: Place, word: Word) -> Letter {
        Letter { from: self.me, to, word }
    }

    fn to_all(&self, word: Word) -> Vec<Letter> {
        let others = Places::first(self.rules.sites).without(Places::only(self.me));
        others.iter().map(|to| self.to(to, word)).collect()
    }
}

impl Machine for QuorumSite {
    type Event = Event;
    type Record = Standing;
    type Action = Letter;

    fn step(&mut self, _now: Moment, event: Event) -> Reaction<Standing, Letter> {
        let before = self.standing;
        let letters = match event {
            Event::Begins => {
                self.standing = Standing::Ready { promised: Epoch(0), last: None };
                self.lead = Lead::Votes { yes: Places::only(self.me) };
                self.to_all(Word::Prepare)
            }
            Event::Objects if self.standing == Standing::Working => {
                self.standing = Standing::Decided(Decision::Abort);
                vec![self.to(COORDINATOR, Word::No)]
            }
            Event::Objects => Vec::new(),
            Event::Received { from, word } => self.received(from, word),
            // Whoever it hears, it asks everybody: who is heard decides nothing here.
            Event::Silent { heard: _ } => self.silent(),
        };
        let reaction = Reaction::perform(letters);
        if self.standing == before { reaction } else { reaction.durably(self.standing) }
    }

    fn next_deadline(&self) -> Option<Moment> {
        None // The world says when somebody is silent for too long.
    }
}

impl Site for QuorumSite {
    type Rules = Rules;

    fn new(me: Place, rules: Rules) -> Self {
        Self { me, rules, standing: Standing::Working, lead: Lead::Nothing }
    }

    fn restarted(&self) -> Self {
        let standing = match self.standing {
            Standing::Ready { last, .. } if self.rules.bug == Some(Bug::PromiseNotForced) => {
                let promised = last.map_or(Epoch(0), |last| last.epoch);
                Standing::Ready { promised, last }
            }
            Standing::Working | Standing::Ready { .. } | Standing::Decided(_) => self.standing,
        };
        Self { standing, ..Self::new(self.me, self.rules) }
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn decision(&self) -> Option<Decision> {
        match self.standing {
            Standing::Decided(decision) => Some(decision),
            Standing::Working | Standing::Ready { .. } => None,
        }
    }

    fn in_doubt(&self) -> bool {
        matches!(self.standing, Standing::Ready { .. })
    }

    fn predecided(&self) -> Option<Decision> {
        match self.standing {
            Standing::Ready { last, .. } => last.map(|last| last.decision),
            Standing::Working | Standing::Decided(_) => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Working => f.write_str("Working"),
            Self::Ready { promised, last: None } => write!(f, "Ready, obeys {}", promised.0),
            Self::Ready { promised, last: Some(last) } => {
                write!(f, "{last}, obeys {}", promised.0)
            }
            Self::Decided(decision) => write!(f, "Decided {decision}"),
        }
    }
}
