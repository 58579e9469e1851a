//! A dry vote looks and promises nothing.

use votum_job::{Candidate, DryVoteRequest, SealedAs};

use super::*;

#[test]
fn a_dry_vote_looks_at_the_disk_and_records_nothing() {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let records = alice.records.len();
    let held = request(1);
    let actions = alice.hear(1, FromCoordinator::DryVote(held.clone()));
    assert_eq!(actions, [Action::DryVote { request: held, not_held: Vec::new() }]);
    let other = request(9);
    let missing = other.candidates[0].clone();
    let actions = alice.hear(1, FromCoordinator::DryVote(other.clone()));
    let not_held = vec![(missing.task, missing.output)];
    assert_eq!(actions, [Action::DryVote { request: other, not_held }]);
    assert_eq!(alice.records.len(), records);
}

/// Asks for the output that is sealed under this token.
fn request(counter: u64) -> Box<DryVoteRequest> {
    let Pledge { task, output, token, digest, target, .. } = pledge(counter);
    let candidates =
        vec![Candidate { task, output, target, sealed: Some(SealedAs { token, digest }) }];
    let id = attempt(77).token;
    Box::new(DryVoteRequest { job: job(), id, candidates, bytes_wanted: 0 })
}
