//! The search: breadth first, so that the first break found is a shortest one.

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use crate::{chief::Cluster, rules::Broken, site::End, turn::Turn};

/// Explores everything within the bounds and returns the number of states.
pub(crate) fn explore(cluster: Cluster) -> usize {
    match search(cluster) {
        Ok(states) => states,
        Err(broken) => panic!("{broken}"),
    }
}

/// Returns the first break of a promise.
pub(crate) fn find(cluster: Cluster) -> Option<Broken> {
    search(cluster).err()
}

fn search(start: Cluster) -> Result<usize, Broken> {
    let mut seen = HashSet::from([fingerprint(&start)]);
    let mut healed = [HashSet::new(), HashSet::new()];
    // Where each state came from, to tell the way to a break.
    let mut ways: Vec<Option<(usize, Turn)>> = vec![None];
    let mut open = VecDeque::from([(0, start)]);
    while let Some((at, cluster)) = open.pop_front() {
        assert!(ways.len() < STATES_MAX, "the bounds are too wide");
        for (how, healed) in [End::Done, End::Failed].into_iter().zip(&mut healed) {
            cluster.clone().heal(how, healed).map_err(|broken| told(broken, &ways, at, None))?;
        }
        for turn in cluster.turns() {
            let mut next = cluster.clone();
            let taken = next.take(&turn);
            taken.map_err(|broken| told(broken, &ways, at, Some(&turn)))?;
            if seen.insert(fingerprint(&next)) {
                ways.push(Some((at, turn)));
                open.push_back((ways.len() - 1, next));
            }
        }
    }
    Ok(seen.len())
}

fn told(
    broken: Broken,
    ways: &[Option<(usize, Turn)>],
    mut at: usize,
    last: Option<&Turn>,
) -> Broken {
    let mut turns: Vec<String> = last.map(|turn| format!("{turn:?}")).into_iter().collect();
    while let Some((before, turn)) = &ways[at] {
        turns.push(format!("{turn:?}"));
        at = *before;
    }
    turns.reverse();
    let story = format!("{}, after\n  {}", broken.story, turns.join("\n  "));
    Broken { promise: broken.promise, story }
}

/// No space of the tests is larger.
const STATES_MAX: usize = 300_000;

/// Returns what stands for a state.
pub(crate) fn fingerprint(cluster: &Cluster) -> u64 {
    let mut hasher = DefaultHasher::new();
    cluster.hash(&mut hasher);
    hasher.finish()
}
