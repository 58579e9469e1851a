//! What sites tell each other, and what both variants have in common.

use std::{fmt, hash::Hash};

use votum_machine::{Machine, Moment};

use crate::cast::{Place, Places};

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Decision {
    Commit,
    Abort,
}

/// Orders those who lead. The vote itself is led in epoch 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Epoch(pub(crate) u8);

/// The third phase: which decision is about to be made, and who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Predecision {
    pub(crate) epoch: Epoch,
    pub(crate) decision: Decision,
}

/// What one site tells another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Word {
    Prepare,
    Yes,
    No,
    /// Pre-commit or pre-abort.
    Predecide(Predecision),
    /// The predecision of this epoch is durable.
    Ack(Epoch),
    Decide(Decision),
    /// Whoever leads the termination asks how far the others are.
    Ask(Epoch),
    /// The answer to Ask: the last predecision, if there was one.
    Report {
        epoch: Epoch,
        last: Option<Predecision>,
    },
}

/// A word on its way. This is also the only action of both machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Letter {
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) word: Word,
}

/// What happens to a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// The coordinator starts the vote.
    Begins,
    /// A site that has not voted does not want to.
    Objects,
    Received {
        from: Place,
        word: Word,
    },
    /// The timeout: only these, the site itself among them, are heard, and all of them elect the lowest.
    Silent {
        heard: Places,
    },
}

/// A machine that plays one site. Its record is its whole durable state, and always forced.
pub(crate) trait Site:
    Machine<Event = Event, Record: Copy + fmt::Display, Action = Letter>
    + fmt::Debug
    + Clone
    + Eq
    + Hash
    + Send
    + Sync
    + 'static
{
    /// What is fixed before the vote.
    type Rules: Copy + fmt::Debug + Send + Sync;

    fn new(place: Place, rules: Self::Rules) -> Self;

    /// Returns what a crash leaves of the site.
    fn restarted(&self) -> Self;

    fn standing(&self) -> Self::Record;

    fn decision(&self) -> Option<Decision>;

    /// Says whether it has voted Yes and does not know the decision.
    fn in_doubt(&self) -> bool;

    /// Returns the last predecision of a site in doubt.
    fn predecided(&self) -> Option<Decision>;

    /// Applies an event and returns the letters and whether a record was forced.
    fn tell(&mut self, event: Event) -> (Vec<Letter>, bool) {
        let reaction = self.step(Moment::START, event);
        (reaction.actions, reaction.record.is_some())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit => "Commit",
            Self::Abort => "Abort",
        })
    }
}

impl fmt::Display for Predecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pre{} {}", self.decision.to_string().to_lowercase(), self.epoch.0)
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}  ", self.from, self.to)?;
        match self.word {
            Word::Prepare => f.write_str("Prepare"),
            Word::Yes => f.write_str("Yes"),
            Word::No => f.write_str("No"),
            Word::Predecide(predecision) => predecision.fmt(f),
            Word::Ack(epoch) => write!(f, "Ack {}", epoch.0),
            Word::Decide(decision) => decision.fmt(f),
            Word::Ask(epoch) => write!(f, "Ask {}", epoch.0),
            Word::Report { epoch, last: Some(last) } => write!(f, "Report {}: {last}", epoch.0),
            Word::Report { epoch, last: None } => write!(f, "Report {}: Ready", epoch.0),
        }
    }
}
