//! What is not durable at a moment, and which parts of it a power cut may keep.

use std::collections::BTreeMap;

use crate::{
    campaign::Plan,
    dice::Dice,
    disk::{BLOCK_BYTES, Change, Fate, Node},
    recording::{Event, Extent, Recording, Synced},
};

/// Since when each change is durable, and what it builds on.
#[derive(Debug)]
pub(crate) struct Durability {
    /// The index of the sync event, by the index of the change event.
    since: BTreeMap<usize, usize>,
    /// The changes of names that a change of names follows on.
    builds_on: BTreeMap<usize, Vec<usize>>,
}

impl Durability {
    /// Follows a recording, without those syncs of which `is_missing` says yes.
    pub(crate) fn of(recording: &Recording, is_missing: &dyn Fn(&Synced) -> bool) -> Self {
        let mut durability =
            Self { since: BTreeMap::new(), builds_on: names_built_on(&recording.events) };
        for (at, event) in recording.events.iter().enumerate() {
            let Event::Sync(synced) = event else { continue };
            if is_missing(synced) {
                continue;
            }
            for (index, event) in recording.events[..synced.covers].iter().enumerate() {
                if let Event::Change(change) = event
                    && is_covered(change, synced)
                {
                    durability.settle(index, at);
                }
            }
        }
        durability
    }

    fn settle(&mut self, change: usize, at: usize) {
        if self.since.contains_key(&change) {
            return;
        }
        self.since.insert(change, at);
        for earlier in self.builds_on.get(&change).cloned().unwrap_or_default() {
            self.settle(earlier, at);
        }
    }

    /// Says whether a change is durable just before an event.
    pub(crate) fn is_durable(&self, change: usize, before: usize) -> bool {
        self.since.get(&change).is_some_and(|since| *since < before)
    }

    /// Loses whatever builds on something lost.
    pub(crate) fn make_possible(&self, pending: &[usize], fates: &mut [Fate]) {
        for (at, change) in pending.iter().enumerate() {
            let lost = |earlier: &usize| {
                let at = pending.binary_search(earlier);
                at.is_ok_and(|at| fates[at] == Fate::Lost)
            };
            if self.builds_on.get(change).is_some_and(|earlier| earlier.iter().any(lost)) {
                fates[at] = Fate::Lost;
            }
        }
    }
}

fn names_built_on(events: &[Event]) -> BTreeMap<usize, Vec<usize>> {
    let mut last: BTreeMap<(Node, &str), usize> = BTreeMap::new();
    let mut built = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let Event::Change(Change::Names(names)) = event else { continue };
        let earlier: Vec<usize> = names
            .iter()
            .filter_map(|(folder, name, _)| last.insert((*folder, name), index))
            .collect();
        built.insert(index, earlier);
    }
    built
}

fn is_covered(change: &Change, synced: &Synced) -> bool {
    match change {
        Change::Names(names) => names.iter().any(|(folder, _, _)| *folder == synced.node),
        Change::Write { file, .. } | Change::Length { file, .. } => *file == synced.node,
        Change::Mode { node, .. } => *node == synced.node && synced.extent == Extent::Whole,
    }
}

/// Lists which parts of what is pending a power cut keeps, each once: `victims` are lost first.
pub(crate) fn selections(
    changes: &[&Change],
    victims: &[bool],
    plan: &Plan,
    dice: &mut Dice,
) -> Vec<Vec<Fate>> {
    let count = changes.len();
    let mut found = Vec::new();
    let all = |fate| vec![fate; count];
    if victims.contains(&true) {
        let lost = |victim: &bool| if *victim { Fate::Lost } else { Fate::Kept };
        found.push(victims.iter().map(lost).collect());
    }
    if is_exhausted(changes, plan) {
        for number in 0..combinations(changes) {
            let mut rest = number;
            found.push(changes.iter().map(|change| digit(&options(change), &mut rest)).collect());
        }
        return found;
    }
    found.push(all(Fate::Lost));
    found.push(all(Fate::Kept));
    for at in 0..count {
        for fate in options(changes[at]) {
            // A prefix, with the last of it torn.
            let mut prefix = all(Fate::Lost);
            prefix[..at].fill(Fate::Kept);
            prefix[at] = fate;
            found.push(prefix);
            let mut but_one = all(Fate::Kept);
            but_one[at] = fate;
            found.push(but_one);
        }
        let mut alone = all(Fate::Lost);
        alone[at] = Fate::Kept;
        found.push(alone);
    }
    let is_name = |change: &&Change| matches!(change, Change::Names(_));
    for (names, bytes) in
        [(Fate::Kept, Fate::Lost), (Fate::Kept, Fate::Zeros), (Fate::Lost, Fate::Kept)]
    {
        found.push(changes.iter().map(|c| if is_name(c) { names } else { bytes }).collect());
    }
    for _ in 0..plan.random {
        let bias = dice.below(4);
        found.push(changes.iter().map(|change| drawn(change, bias, dice)).collect());
    }
    // The first are always tried: the victims, nothing and everything.
    for at in ALWAYS..found.len().min(plan.at_most) {
        let left = u64::try_from(found.len() - at).expect("a length fits");
        found.swap(at, at + usize::try_from(dice.below(left)).expect("below a length"));
    }
    found.truncate(plan.at_most);
    found
}

/// Says whether every combination of what a power cut can keep of these changes is tried.
pub(crate) fn is_exhausted(changes: &[&Change], plan: &Plan) -> bool {
    combinations(changes) <= plan.exhaustive
}

fn combinations(changes: &[&Change]) -> usize {
    let all = changes.iter().map(|change| options(change).len());
    all.fold(1, usize::saturating_mul)
}

/// What can become of a change where all combinations are tried.
fn options(change: &Change) -> Vec<Fate> {
    match change {
        Change::Names(_) | Change::Length { .. } | Change::Mode { .. } => {
            vec![Fate::Lost, Fate::Kept]
        }
        Change::Write { bytes, .. } if bytes.len() <= BLOCK_BYTES => {
            vec![Fate::Lost, Fate::Kept, Fate::Zeros]
        }
        Change::Write { bytes, .. } => {
            let blocks = u32::try_from(bytes.len().div_ceil(BLOCK_BYTES).min(64)).unwrap_or(64);
            let first_half = u64::MAX >> (64 - blocks.div_ceil(2));
            let halves = [Fate::Blocks(first_half), Fate::Blocks(!first_half)];
            [Fate::Lost, Fate::Kept, Fate::Zeros].into_iter().chain(halves).collect()
        }
    }
}

fn digit(options: &[Fate], rest: &mut usize) -> Fate {
    let digit = options[*rest % options.len()];
    *rest /= options.len();
    digit
}

/// Draws what becomes of a change; the larger the bias, the more is kept.
fn drawn(change: &Change, bias: u64, dice: &mut Dice) -> Fate {
    let is_lost = dice.below(5) > bias;
    match change {
        Change::Write { .. } if is_lost => match dice.below(3) {
            0 => Fate::Lost,
            1 => Fate::Zeros,
            _ => Fate::Blocks(dice.bits()),
        },
        Change::Names(_) | Change::Length { .. } | Change::Mode { .. } if is_lost => Fate::Lost,
        Change::Names(_) | Change::Length { .. } | Change::Mode { .. } | Change::Write { .. } => {
            Fate::Kept
        }
    }
}

/// So many stay where they are when others are drawn.
const ALWAYS: usize = 3;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_combinations_are_tried_up_to_the_bound_only() {
        let changes: Vec<Change> = (0..6).map(|file| Change::Length { file, length: 1 }).collect();
        let changes: Vec<&Change> = changes.iter().collect();
        let tried = |exhaustive| {
            let plan = Plan { exhaustive, random: 0, at_most: usize::MAX, seed: 1 };
            let all = selections(&changes, &[false; 6], &plan, &mut Dice::new(1));
            (is_exhausted(&changes, &plan), all.into_iter().collect::<BTreeSet<_>>().len())
        };

        assert_eq!(tried(64), (true, 64));
        // Few are tried beyond it, and they do not count as all.
        let (exhausted, tried) = tried(63);
        assert!(!exhausted && tried < 63, "{tried}");
    }
}
