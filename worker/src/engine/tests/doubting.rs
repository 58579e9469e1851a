//! What is told about a doubt: that it lasts, for how long, and what ended it.

use super::*;
use crate::doubts::{DoubtKind, Learned, Teller};

fn news(age: Duration, kind: DoubtKind) -> DoubtNews {
    DoubtNews { txn: txn(1), age, kind }
}

/// A worker in doubt that has one peer.
fn in_doubt() -> Alice {
    let mut alice = Alice::admitted();
    alice.seal(1);
    let peer = votum_commit::Peer {
        installation: alice_named("bob"),
        address: "127.0.0.1:1".to_owned(),
        updates: true,
    };
    let FromCoordinator::Commit(Message::Prepare { txn: round, holder, pledges, .. }) =
        prepare(pledge(1))
    else {
        panic!("it is Prepare")
    };
    let asked = Message::Prepare { txn: round, holder, pledges, peers: vec![peer] };
    alice.hear(1, FromCoordinator::Commit(asked));
    let checked = ParticipantEvent::Checked { txn: txn(1), result: Vote::Yes };
    alice.step(Event::Participant(checked));
    alice
}

#[test]
fn a_commit_ends_a_doubt_with_its_length() {
    let mut alice = Alice::admitted();
    alice.prepare();
    alice.now = alice.now.after(Duration::from_millis(12));
    alice.hear(1, commit());

    let kind = DoubtKind::Ended { learned: Learned::Commit, from: Teller::Coordinator };
    assert_eq!(alice.told, [news(Duration::from_millis(12), kind)]);
}

#[test]
fn a_doubt_that_lasts_is_told_at_every_question() {
    let mut alice = in_doubt();
    let second = Duration::from_secs(1);
    alice.pass(2 * second);
    alice.pass(2 * second);

    let first = news(2 * second, DoubtKind::Lasts { peers: 0 });
    // The coordinator owes an answer: the peers are asked as well (C5).
    assert_eq!(alice.told, [first, news(4 * second, DoubtKind::Lasts { peers: 1 })]);
}

#[test]
fn a_peer_that_refused_ends_the_round_and_not_the_job() {
    let mut alice = in_doubt();
    let knowledge = Knowledge::Refused;
    alice.step(Event::Participant(ParticipantEvent::PeerAnswered { txn: txn(1), knowledge }));

    let kind = DoubtKind::Ended { learned: Learned::RoundEnded, from: Teller::Peer };
    assert_eq!(alice.told, [news(Duration::ZERO, kind)]);
}

#[test]
fn a_doubt_counts_on_from_before_a_restart() {
    let mut alice = in_doubt().restarted();
    let (before, hour) = (alice.now, Duration::from_hours(1));
    alice.engine.resume_doubt(&job(), hour);
    let abort = Message::Abort { job: job() };
    alice.connect(1);
    alice.hear(1, FromCoordinator::Commit(abort));

    let kind = DoubtKind::Ended { learned: Learned::Abort, from: Teller::Coordinator };
    let age = hour + before.elapsed();
    assert_eq!(alice.told.last(), Some(&news(age, kind)));
}
