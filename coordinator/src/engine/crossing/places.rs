//! Which jobs make something visible where, found by place.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{JobId, WorkerId};

/// Where something becomes visible: on which worker, and under which absolute path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) worker: WorkerId,
    pub(super) path: String,
}

/// What is claimed, by whom; looked up in the logarithm of all claims, for each folder above.
#[derive(Debug, Default)]
pub(super) struct Places {
    at: BTreeMap<Place, Claims>,
    of: BTreeMap<JobId, (Option<u64>, BTreeSet<Place>)>,
}

/// Who claims one place.
#[derive(Debug, Default)]
struct Claims {
    /// Those that vote or are decided.
    voting: BTreeSet<JobId>,
    /// Those that wait, by the number of their turn.
    waiting: BTreeMap<u64, JobId>,
}

impl Places {
    /// Notes where a job will make something visible instead of what was noted of it before, and
    /// the number of its turn while it waits.
    pub(super) fn claim(&mut self, job: &JobId, turn: Option<u64>, places: BTreeSet<Place>) {
        self.release(job);
        for place in &places {
            let claims = self.at.entry(place.clone()).or_default();
            match turn {
                Some(turn) => drop(claims.waiting.insert(turn, job.clone())),
                None => drop(claims.voting.insert(job.clone())),
            }
        }
        if !places.is_empty() {
            self.of.insert(job.clone(), (turn, places));
        }
    }

    /// Forgets what is noted of a job.
    pub(super) fn release(&mut self, job: &JobId) {
        let Some((turn, places)) = self.of.remove(job) else { return };
        for place in places {
            let Some(claims) = self.at.get_mut(&place) else { continue };
            match turn {
                Some(turn) => drop(claims.waiting.remove(&turn)),
                None => drop(claims.voting.remove(job)),
            }
            if claims.voting.is_empty() && claims.waiting.is_empty() {
                self.at.remove(&place);
            }
        }
    }

    /// Says whether anything is noted of a job.
    pub(super) fn knows(&self, job: &JobId) -> bool {
        self.of.contains_key(job)
    }

    /// Finds where a job meets one that waits for an earlier turn, or another that votes and of
    /// which `impends` says that it may still make something visible there.
    pub(super) fn ahead(
        &self,
        job: &JobId,
        turn: u64,
        impends: impl Fn(&JobId, &Place) -> bool,
    ) -> Option<(JobId, Place)> {
        let own = self.of.get(job).into_iter().flat_map(|(_, places)| places);
        own.flat_map(|place| self.overlapping(place)).find_map(|(place, claims)| {
            let waiting = claims.waiting.range(..turn).map(|(_, other)| other).next_back();
            let mut voting = claims.voting.iter().filter(|other| *other != job);
            let other = waiting.or_else(|| voting.find(|other| impends(other, place)))?;
            Some((other.clone(), place.clone()))
        })
    }

    /// Returns a place, those that it lies in, and those that lie in it. What links do is not
    /// known here.
    fn overlapping(&self, place: &Place) -> impl Iterator<Item = (&Place, &Claims)> {
        let Place { worker, path } = place;
        let above = path.match_indices('/').map(|(end, _)| &path[..end]).chain([path.as_str()]);
        let above = above.map(|path| Place { worker: worker.clone(), path: path.to_owned() });
        let above = above.filter_map(|place| self.at.get_key_value(&place));
        let inside = format!("{path}/");
        let first = Place { worker: worker.clone(), path: inside.clone() };
        let within = self.at.range(first..);
        let within =
            within.take_while(move |(at, _)| at.worker == *worker && at.path.starts_with(&inside));
        above.chain(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_meet_where_one_place_holds_the_other() {
        let names = ["a", "b", "ab", "a/a", "a/b", "ab/a", "a/a/a", "a.b", "b/a"];
        for one in names {
            for (other, worker) in names.iter().flat_map(|name| [(name, "s1"), (name, "s2")]) {
                let mut places = Places::default();
                places.claim(&job("first"), None, [place(worker, other)].into());
                places.claim(&job("second"), Some(0), [place("s1", one)].into());
                let inside =
                    |path: &str, of: &str| format!("{path}/").starts_with(&format!("{of}/"));
                let meet = worker == "s1" && (inside(one, other) || inside(other, one));
                let found = places.ahead(&job("second"), 0, |_, _| true);
                let wanted = meet.then(|| (job("first"), place(worker, other)));
                assert_eq!(found, wanted, "{one} {worker} {other}");
                assert_eq!(places.ahead(&job("second"), 0, |_, _| false), None);
                places.release(&job("first"));
                assert_eq!(places.ahead(&job("second"), 0, |_, _| true), None);
            }
        }
    }

    #[test]
    fn whoever_waits_stands_behind_the_last_before_it() {
        let mut places = Places::default();
        for (turn, name) in [(1, "first"), (2, "second"), (3, "third")] {
            places.claim(&job(name), Some(turn), [place("s1", "x")].into());
        }
        let ahead = |places: &Places, name: &str, turn| {
            places.ahead(&job(name), turn, |_, _| true).map(|(job, _)| job)
        };
        assert_eq!(ahead(&places, "third", 3), Some(job("second")));
        assert_eq!(ahead(&places, "first", 1), None);
        places.release(&job("second"));
        assert_eq!(ahead(&places, "third", 3), Some(job("first")));
        // It votes, and still stands before the others; nobody stands before itself.
        places.claim(&job("first"), None, [place("s1", "x")].into());
        assert_eq!(ahead(&places, "third", 3), Some(job("first")));
        assert_eq!(ahead(&places, "first", 1), None);
        places.release(&job("first"));
        places.release(&job("third"));
        assert!(places.at.is_empty() && places.of.is_empty());
    }

    fn job(name: &str) -> JobId {
        JobId::new(name).unwrap()
    }

    fn place(worker: &str, path: &str) -> Place {
        Place { worker: worker.parse().unwrap(), path: format!("/srv/{path}") }
    }
}
