//! Plain three-phase commit with its timeouts (Skeen 1981, "Nonblocking Commit Protocols").
//!
//! Whoever hears nobody of a lower number leads the termination and concludes from
//! those it hears: one that has pre-committed means commit, none means abort. That
//! is right as long as whoever is not heard is dead.

use std::fmt;

use votum_machine::{Machine, Moment, Reaction};

use crate::{
    cast::{COORDINATOR, Place, Places},
    word::{Decision, Epoch, Event, Letter, Predecision, Site, Word},
};

/// One site of plain 3PC.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NaiveSite {
    me: Place,
    sites: usize,
    standing: Standing,
    /// Whom it obeys: leaders have the epoch of their number, and a later one replaces an earlier.
    obeys: Epoch,
    lead: Lead,
}

/// The states q, w, p and c or a of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// Has not voted, and may abort alone.
    Working,
    /// Has voted Yes.
    Ready,
    /// Knows that all have voted Yes.
    Precommitted,
    Decided(Decision),
}

/// What a leader waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lead {
    Nothing,
    Votes { awaited: Places },
    Reports { heard: Places, awaited: Places, precommitted: bool },
    Acks { heard: Places, awaited: Places },
}

impl NaiveSite {
    fn received(&mut self, from: Place, word: Word) -> Vec<Letter> {
        if let Standing::Decided(decision) = self.standing {
            return match word {
                Word::Prepare | Word::Ask(_) | Word::Predecide(_) => {
                    vec![self.to(from, Word::Decide(decision))]
                }
                Word::Yes | Word::No | Word::Ack(_) | Word::Decide(_) | Word::Report { .. } => {
                    Vec::new()
                }
            };
        }
        match word {
            Word::Prepare => {
                self.standing = Standing::Ready;
                vec![self.to(from, Word::Yes)]
            }
            Word::Yes => self.answered(from, |lead| matches!(lead, Lead::Votes { .. })),
            Word::No => self.decide(Decision::Abort),
            Word::Predecide(_) | Word::Ask(_) => self.led(from, word),
            Word::Ack(epoch) => {
                let current = epoch == self.obeys;
                self.answered(from, |lead| current && matches!(lead, Lead::Acks { .. }))
            }
            Word::Report { epoch, last } => {
                if let Lead::Reports { precommitted, .. } = &mut self.lead
                    && epoch == self.obeys
                {
                    *precommitted |= last.is_some();
                }
                let current = epoch == self.obeys;
                self.answered(from, |lead| current && matches!(lead, Lead::Reports { .. }))
            }
            Word::Decide(decision) => {
                self.standing = Standing::Decided(decision);
                self.lead = Lead::Nothing;
                Vec::new()
            }
        }
    }

    /// Follows a leader, unless a later one was followed before.
    fn led(&mut self, from: Place, word: Word) -> Vec<Letter> {
        let epoch = Epoch(from.0);
        if epoch < self.obeys {
            return Vec::new();
        }
        if self.standing == Standing::Working {
            // It has not voted, so nobody can have committed, and nobody ever will.
            return self.decide(Decision::Abort);
        }
        self.obeys = epoch;
        self.lead = Lead::Nothing;
        if let Word::Predecide(_) = word {
            self.standing = Standing::Precommitted;
            return vec![self.to(from, Word::Ack(epoch))];
        }
        let last = (self.standing == Standing::Precommitted)
            .then_some(Predecision { epoch: COMMIT_IS_ALL_THERE_IS, decision: Decision::Commit });
        vec![self.to(from, Word::Report { epoch, last })]
    }

    /// Crosses off somebody who was waited for.
    fn answered(&mut self, from: Place, expected: impl Fn(&Lead) -> bool) -> Vec<Letter> {
        if !expected(&self.lead) {
            return Vec::new();
        }
        match &mut self.lead {
            Lead::Nothing => {}
            Lead::Votes { awaited }
            | Lead::Reports { awaited, .. }
            | Lead::Acks { awaited, .. } => {
                *awaited = awaited.without(Places::only(from));
            }
        }
        self.advance()
    }

    fn silent(&mut self, heard: Places) -> Vec<Letter> {
        let lost = |awaited: Places| !awaited.without(heard).is_empty();
        match self.standing {
            Standing::Decided(decision) => return self.to_all(heard, Word::Decide(decision)),
            Standing::Working => return self.decide(Decision::Abort),
            Standing::Ready | Standing::Precommitted => {}
        }
        match &mut self.lead {
            Lead::Votes { awaited } if lost(*awaited) => return self.decide(Decision::Abort),
            Lead::Votes { .. } => {}
            Lead::Reports { heard: counted, awaited, .. }
            | Lead::Acks { heard: counted, awaited } => {
                *counted = counted.and(heard);
                *awaited = awaited.and(heard);
            }
            Lead::Nothing => {
                self.obeys = Epoch(self.me.0);
                let precommitted = self.standing == Standing::Precommitted;
                let awaited = heard.without(Places::only(self.me));
                self.lead = Lead::Reports { heard, awaited, precommitted };
                if !awaited.is_empty() {
                    return self.to_all(heard, Word::Ask(self.obeys));
                }
            }
        }
        self.advance()
    }

    /// Goes on once nobody is waited for: there is nobody else to ask.
    fn advance(&mut self) -> Vec<Letter> {
        match self.lead {
            Lead::Votes { awaited } if awaited.is_empty() => {
                self.precommit(Places::first(self.sites))
            }
            Lead::Reports { heard, awaited, precommitted } if awaited.is_empty() => {
                if precommitted { self.precommit(heard) } else { self.decide(Decision::Abort) }
            }
            Lead::Acks { awaited, .. } if awaited.is_empty() => self.decide(Decision::Commit),
            Lead::Nothing | Lead::Votes { .. } | Lead::Reports { .. } | Lead::Acks { .. } => {
                Vec::new()
            }
        }
    }

    fn precommit(&mut self, heard: Places) -> Vec<Letter> {
        let awaited = heard.without(Places::only(self.me));
        if awaited.is_empty() {
            return self.decide(Decision::Commit);
        }
        self.standing = Standing::Precommitted;
        self.lead = Lead::Acks { heard, awaited };
        let predecision = Predecision { epoch: self.obeys, decision: Decision::Commit };
        self.to_all(heard, Word::Predecide(predecision))
    }

    fn decide(&mut self, decision: Decision) -> Vec<Letter> {
        self.standing = Standing::Decided(decision);
        self.lead = Lead::Nothing;
        self.to_all(Places::first(self.sites), Word::Decide(decision))
    }

    fn to(&self, to: Place, word: Word) -> Letter {
        Letter { from: self.me, to, word }
    }

    fn to_all(&self, heard: Places, word: Word) -> Vec<Letter> {
        heard.without(Places::only(self.me)).iter().map(|to| self.to(to, word)).collect()
    }
}

impl Machine for NaiveSite {
    type Event = Event;
    type Record = Standing;
    type Action = Letter;

    fn step(&mut self, _now: Moment, event: Event) -> Reaction<Standing, Letter> {
        let before = self.standing;
        let letters = match event {
            Event::Begins => {
                self.standing = Standing::Ready;
                let others = Places::first(self.sites).without(Places::only(self.me));
                self.lead = Lead::Votes { awaited: others };
                self.to_all(others, Word::Prepare)
            }
            Event::Objects if self.standing == Standing::Working => {
                self.standing = Standing::Decided(Decision::Abort);
                vec![self.to(COORDINATOR, Word::No)]
            }
            Event::Objects => Vec::new(),
            Event::Received { from, word } => self.received(from, word),
            Event::Silent { heard } => self.silent(heard),
        };
        let reaction = Reaction::perform(letters);
        if self.standing == before { reaction } else { reaction.durably(self.standing) }
    }

    fn next_deadline(&self) -> Option<Moment> {
        None // The world says when somebody is silent for too long.
    }
}

impl Site for NaiveSite {
    type Rules = usize;

    fn new(me: Place, sites: usize) -> Self {
        let (standing, lead) = (Standing::Working, Lead::Nothing);
        Self { me, sites, standing, obeys: Epoch(COORDINATOR.0), lead }
    }

    fn restarted(&self) -> Self {
        Self { standing: self.standing, ..Self::new(self.me, self.sites) }
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn decision(&self) -> Option<Decision> {
        match self.standing {
            Standing::Decided(decision) => Some(decision),
            Standing::Working | Standing::Ready | Standing::Precommitted => None,
        }
    }

    fn in_doubt(&self) -> bool {
        matches!(self.standing, Standing::Ready | Standing::Precommitted)
    }

    fn predecided(&self) -> Option<Decision> {
        (self.standing == Standing::Precommitted).then_some(Decision::Commit)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Working => f.write_str("Working"),
            Self::Ready => f.write_str("Ready"),
            Self::Precommitted => f.write_str("Precommitted"),
            Self::Decided(decision) => write!(f, "Decided {decision}"),
        }
    }
}

/// Plain 3PC does not remember who pre-committed it.
const COMMIT_IS_ALL_THERE_IS: Epoch = Epoch(0);
