//! What a part of the sites reaches when nothing fails within it and nobody else is heard.

use std::collections::VecDeque;

use crate::{
    cast::{Place, Places},
    quorum::{QuorumSite, Rules},
    trial::{History, agree},
    word::{Decision, Event, Letter, Site},
};

/// What a part may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It contradicts itself, or somebody outside.
    Disagrees,
    /// It could decide either way, and does not.
    Blocks,
    /// It can decide neither way, knows nothing, and decides.
    Presumes,
}

/// Looks for a fault in each part of the sites, cut off from the rest at this moment.
pub(crate) fn faults(history: &History<QuorumSite>, rules: Rules) -> impl Iterator<Item = Fault> {
    Places::parts(rules.sites).filter_map(move |part| {
        let healed = heal(&history.sites, part);
        let decided = |place: Place| healed[usize::from(place.0)].decision().is_some();
        let strong = |decision| rules.suffice(part, decision);
        let helpless = !strong(Decision::Commit)
            && !strong(Decision::Abort)
            && part.iter().all(|place| history.sites[usize::from(place.0)].is_stuck());
        if !agree(&healed) {
            Some(Fault::Disagrees)
        } else if strong(Decision::Commit) && strong(Decision::Abort) && !part.iter().all(decided) {
            Some(Fault::Blocks)
        } else if helpless && part.iter().any(decided) {
            Some(Fault::Presumes)
        } else {
            None
        }
    })
}

/// Lets the lowest site of a part time out until all have decided, or long enough.
fn heal(sites: &[QuorumSite], part: Places) -> Vec<QuorumSite> {
    let mut sites = sites.to_vec();
    for _ in 0..TIMEOUTS_MAX {
        let lowest = part.lowest().expect("a part has a site");
        let (sent, _) = sites[usize::from(lowest.0)].tell(Event::Silent { heard: part });
        let mut letters: VecDeque<Letter> = sent.into();
        while let Some(letter) = letters.pop_front() {
            if part.contains(letter.to) {
                let event = Event::Received { from: letter.from, word: letter.word };
                letters.extend(sites[usize::from(letter.to.0)].tell(event).0);
            }
        }
        if part.iter().all(|place| sites[usize::from(place.0)].decision().is_some()) {
            break;
        }
    }
    sites
}

/// Each timeout of a site takes the next epoch of its own, which soon is the highest of all.
const TIMEOUTS_MAX: usize = 6;
