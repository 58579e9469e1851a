//! What the worker makes of frames that it does not know.

use votum_proto::worker::v1::SessionResponse;
use votum_wire::{FromCoordinator, Translate};

use crate::{OURS, Session, World, attempt, log, start};

#[tokio::test]
async fn a_frame_that_only_newer_coordinators_know_is_skipped() {
    let mut world = World::new().await;
    let _daemon = world.start_daemon();
    let mut session = world.session_with(OURS + 1).await;
    session.say(start(&world.until_gate("printf hello > \"$VOTUM_OUTPUT_ROWS\""))).await;
    session.started().await;

    session.say_something_unknown().await;
    world.open_gate();

    assert_eq!(session.sealed().await.bytes, 5, "the session goes on");
}

#[tokio::test]
async fn a_frame_that_nobody_knows_ends_the_session_alone() {
    let mut world = World::new().await;
    let _daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start(&world.until_gate("printf hello > \"$VOTUM_OUTPUT_ROWS\""))).await;
    let pid = session.started().await;

    session.say_something_unknown().await;

    let mut session = world.session().await;
    assert_eq!(session.started().await, pid, "what runs is not touched");
    session.say(FromCoordinator::Discard { attempt: attempt() }).await;
}

impl Session {
    /// Sends what a frame of a kind that this build does not know is to it.
    async fn say_something_unknown(&self) {
        let unknown = SessionResponse { log: Some(log().to_proto()), frame: None };
        self.outgoing.send(Ok(unknown)).await.unwrap();
    }
}
