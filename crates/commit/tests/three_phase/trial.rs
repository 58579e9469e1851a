//! The state space: what can happen to the sites of either variant, within bounds.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::{
    cast::{COORDINATOR, Place, Places},
    word::{Decision, Event, Letter, Site, Word},
};

/// What the network and the clocks may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Letters arrive before a timeout, and a timeout is right: who is not heard is dead, or cut
    /// off. A cut loses what is under way across it. Who crashes stays dead.
    Timely,
    /// Letters are never removed: each may come twice, late, in any order, or never. Timeouts come
    /// at any time. Any number of partitions is no more than that. Who crashes returns.
    Stormy,
}

/// How far histories go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) sites: usize,
    pub(crate) weather: Weather,
    /// This site may object instead of voting Yes.
    pub(crate) objects: Option<Place>,
    /// Crashes, each anywhere: before the record, after it, and after any letter.
    pub(crate) crashes: u8,
    /// How often the sites are cut in two, or joined again.
    pub(crate) cuts: u8,
    /// Timeouts of living sites, which hear others although those are alive and joined.
    pub(crate) mistakes: u8,
    /// Timeouts in all; no bound if none is named.
    pub(crate) timeouts: Option<u8>,
}

/// Nothing fails.
pub(crate) const CALM: Bounds = Bounds {
    sites: 3,
    weather: Weather::Timely,
    objects: None,
    crashes: 0,
    cuts: 0,
    mistakes: 0,
    timeouts: None,
};

/// The model: one vote of sites that all follow the same rules.
#[derive(Debug, Clone)]
pub(crate) struct Trial<S: Site> {
    pub(crate) bounds: Bounds,
    pub(crate) rules: S::Rules,
    pub(crate) claims: fn() -> Vec<Property<Self>>,
    /// Whether letters that can make no difference any more are removed.
    pub(crate) forgets: bool,
}

/// A state: where everybody stands, and what is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct History<S> {
    pub(crate) sites: Vec<S>,
    pub(crate) letters: BTreeSet<Letter>,
    /// Who has ever voted Yes.
    pub(crate) yes: Places,
    pub(crate) dead: Places,
    /// Whom the coordinator cannot reach.
    pub(crate) apart: Places,
    crashes: u8,
    cuts: u8,
    mistakes: u8,
    timeouts: u8,
}

/// One step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something reaches a site, and everything that follows from it is done.
    Whole(Cause),
    /// The same, but the site dies after the record and so many letters.
    Cut { cause: Cause, letters: usize },
    /// A site dies between two steps.
    Crashes { site: Place },
    /// These can reach only each other; nobody is apart if it is empty.
    Parted { apart: Places },
}

/// What reaches a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Begins,
    Objects { site: Place },
    Letter(Letter),
    Silent { site: Place, heard: Places },
}

impl<S: Site> Trial<S> {
    pub(crate) fn new(
        bounds: Bounds,
        rules: S::Rules,
        claims: fn() -> Vec<Property<Self>>,
    ) -> Self {
        Self { bounds, rules, claims, forgets: true }
    }

    /// Returns the state in which nothing has happened.
    pub(crate) fn start(&self) -> History<S> {
        let places = Places::first(self.bounds.sites).iter();
        History {
            sites: places.map(|place| S::new(place, self.rules)).collect(),
            letters: BTreeSet::new(),
            yes: Places::NONE,
            dead: Places::NONE,
            apart: Places::NONE,
            crashes: 0,
            cuts: 0,
            mistakes: 0,
            timeouts: 0,
        }
    }

    /// Returns what can happen next, apart from crashes and cuts.
    pub(crate) fn causes(&self, history: &History<S>) -> Vec<Cause> {
        let mut causes = Vec::new();
        if history.yes.is_empty()
            && history.can_act(COORDINATOR)
            && !history.is_decided(COORDINATOR)
        {
            causes.push(Cause::Begins);
        }
        if let Some(site) = self.bounds.objects
            && history.can_act(site)
            && !history.is_decided(site)
            && !history.yes.contains(site)
        {
            causes.push(Cause::Objects { site });
        }
        let arriving = history.letters.iter().filter(|letter| history.can_act(letter.to));
        causes.extend(arriving.map(|letter| Cause::Letter(*letter)));
        if self.bounds.timeouts.is_none_or(|bound| history.timeouts < bound) {
            self.timeouts(history, &mut causes);
        }
        causes
    }

    fn timeouts(&self, history: &History<S>, causes: &mut Vec<Cause>) {
        let all = Places::first(self.bounds.sites);
        for site in all.without(history.dead).iter() {
            let only = Places::only(site);
            if self.bounds.weather == Weather::Stormy {
                if !history.is_decided(site) {
                    causes.push(Cause::Silent { site, heard: only });
                }
                continue;
            }
            let heard = history.side(site, all).without(history.dead);
            let overdue = |letter: &Letter| letter.to == site || !heard.contains(letter.from);
            let late =
                history.letters.iter().filter(|letter| heard.contains(letter.to)).any(overdue);
            let quiet = heard != all || history.letters.is_empty();
            if heard.iter().all(|place| history.is_decided(place)) {
                continue;
            }
            if heard.lowest() == Some(site) && !late && quiet {
                causes.push(Cause::Silent { site, heard });
            }
            if history.mistakes < self.bounds.mistakes {
                let parts = Places::parts(self.bounds.sites);
                let wrong = parts.filter(|part| part.and(heard) == *part && *part != heard);
                let lowest = wrong.filter(|part| part.lowest() == Some(site));
                causes.extend(lowest.map(|heard| Cause::Silent { site, heard }));
            }
        }
    }

    /// Returns what a turn leads to.
    pub(crate) fn apply(&self, history: &History<S>, turn: Turn) -> History<S> {
        let mut next = history.clone();
        match turn {
            Turn::Whole(cause) => {
                self.follow(&mut next, cause, None);
            }
            Turn::Cut { cause, letters } => {
                let (site, ..) = self.follow(&mut next, cause, Some(letters));
                self.crash(&mut next, site);
            }
            Turn::Crashes { site } => self.crash(&mut next, site),
            Turn::Parted { apart } => self.part(&mut next, apart),
        }
        if self.bounds.weather == Weather::Stormy && self.forgets {
            self.forget(&mut next);
        }
        next
    }

    /// Applies a cause. The site sends so many letters before it dies, or all.
    pub(crate) fn follow(
        &self,
        history: &mut History<S>,
        cause: Cause,
        until: Option<usize>,
    ) -> (Place, Vec<Letter>, bool) {
        let (site, event) = match cause {
            Cause::Begins => (COORDINATOR, Event::Begins),
            Cause::Objects { site } => (site, Event::Objects),
            Cause::Letter(letter) => {
                if self.bounds.weather == Weather::Timely {
                    history.letters.remove(&letter);
                }
                (letter.to, Event::Received { from: letter.from, word: letter.word })
            }
            Cause::Silent { site, heard } => {
                history.timeouts += u8::from(self.bounds.timeouts.is_some());
                let all = Places::first(self.bounds.sites);
                let right = history.side(site, all).without(history.dead) == heard;
                let counts = self.bounds.weather == Weather::Timely && !right;
                history.mistakes += u8::from(counts);
                (site, Event::Silent { heard })
            }
        };
        let (mut letters, recorded) = history.sites[usize::from(site.0)].tell(event);
        letters.truncate(until.unwrap_or(usize::MAX));
        for letter in &letters {
            self.post(history, *letter);
        }
        let doubting = history.sites[usize::from(site.0)].in_doubt();
        if doubting {
            history.yes = history.yes.with(site);
        }
        (site, letters, recorded)
    }

    fn post(&self, history: &mut History<S>, letter: Letter) {
        match self.bounds.weather {
            Weather::Timely => {
                let reached = history.side(letter.from, Places::first(self.bounds.sites));
                if history.can_act(letter.to) && reached.contains(letter.to) {
                    history.letters.insert(letter);
                }
            }
            Weather::Stormy => {
                let anonymous = matches!(letter.word, Word::Decide(_));
                // Nobody looks who tells a decision, so a second copy adds nothing.
                let from = if anonymous { letter.to } else { letter.from };
                history.letters.insert(Letter { from, ..letter });
            }
        }
    }

    fn crash(&self, history: &mut History<S>, site: Place) {
        history.crashes += 1;
        match self.bounds.weather {
            Weather::Timely => {
                history.dead = history.dead.with(site);
                history.letters.retain(|letter| letter.to != site);
            }
            Weather::Stormy => {
                let at = usize::from(site.0);
                history.sites[at] = history.sites[at].restarted();
            }
        }
    }

    fn part(&self, history: &mut History<S>, apart: Places) {
        history.cuts += 1;
        history.apart = apart;
        history.letters.retain(|letter| apart.contains(letter.from) == apart.contains(letter.to));
    }

    /// Removes the letters that can make no difference any more: sites only move forward.
    fn forget(&self, history: &mut History<S>) {
        let moot = |letter: &Letter| {
            let word = letter.word;
            let mut site = history.sites[usize::from(letter.to.0)].clone();
            let (answers, _) = site.tell(Event::Received { from: letter.from, word });
            let ignored = |answer: &Letter| {
                let mut asker = history.sites[usize::from(answer.to.0)].clone();
                let event = Event::Received { from: answer.from, word: answer.word };
                let nothing = asker.tell(event).0.is_empty();
                nothing && asker == history.sites[usize::from(answer.to.0)]
            };
            site == history.sites[usize::from(letter.to.0)] && answers.iter().all(ignored)
        };
        let kept = history.letters.iter().copied().filter(|letter| !moot(letter)).collect();
        history.letters = kept;
    }
}

impl<S: Site> Model for Trial<S> {
    type State = History<S>;
    type Action = Turn;

    fn init_states(&self) -> Vec<History<S>> {
        vec![self.start()]
    }

    fn actions(&self, history: &History<S>, turns: &mut Vec<Turn>) {
        let causes = self.causes(history);
        turns.extend(causes.iter().map(|cause| Turn::Whole(*cause)));
        let all = Places::first(self.bounds.sites);
        if history.crashes < self.bounds.crashes {
            let living = all.without(history.dead);
            turns.extend(living.iter().map(|site| Turn::Crashes { site }));
            // In a storm a letter may never come: the same as one that was not sent.
            if self.bounds.weather == Weather::Timely {
                for cause in causes {
                    let sent = self.follow(&mut history.clone(), cause, None).1.len();
                    turns.extend((0..sent).map(|letters| Turn::Cut { cause, letters }));
                }
            }
        }
        if history.cuts < self.bounds.cuts {
            let parts = Places::parts(self.bounds.sites).chain([Places::NONE]);
            let sensible =
                parts.filter(|apart| !apart.contains(COORDINATOR) && *apart != history.apart);
            turns.extend(sensible.map(|apart| Turn::Parted { apart }));
        }
    }

    fn next_state(&self, history: &History<S>, turn: Turn) -> Option<History<S>> {
        let next = self.apply(history, turn);
        // In a storm, a site that had nothing to forget has not crashed.
        let matters = next.sites != history.sites || next.dead != history.dead;
        (matters || !matches!(turn, Turn::Crashes { .. })).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        (self.claims)()
    }
}

impl<S: Site> History<S> {
    pub(crate) fn can_act(&self, place: Place) -> bool {
        !self.dead.contains(place)
    }

    pub(crate) fn is_decided(&self, place: Place) -> bool {
        self.sites[usize::from(place.0)].decision().is_some()
    }

    /// Returns those whom a site can reach, itself among them.
    pub(crate) fn side(&self, place: Place, all: Places) -> Places {
        if self.apart.contains(place) { self.apart } else { all.without(self.apart) }
    }

    /// Agreement: no two sites finish differently.
    pub(crate) fn agrees(&self) -> bool {
        agree(&self.sites)
    }

    /// Validity: a commit has everybody's Yes.
    pub(crate) fn is_valid(&self) -> bool {
        let all = self.yes == Places::first(self.sites.len());
        all || !self.has(Decision::Commit)
    }

    /// Says whether anybody has decided so.
    pub(crate) fn has(&self, decision: Decision) -> bool {
        self.sites.iter().any(|site| site.decision() == Some(decision))
    }
}

/// Says whether no two sites have decided differently.
pub(crate) fn agree<S: Site>(sites: &[S]) -> bool {
    let mut decisions = sites.iter().filter_map(Site::decision);
    let first = decisions.next();
    decisions.all(|decision| Some(decision) == first)
}
