//! Damaged files of an attempt are refused, or read; never a panic.
//!
//! Only files that nothing is done about: who is to be ended is never asked of a damaged file.

use std::fs;

use votum_fuzz::{Door, feed};
use votum_process::{Launch, find};

use crate::world::Attempt;

#[test]
fn fuzz_the_plan_and_the_exit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let attempt = Attempt::of_script("exit 7");
    runtime.block_on(async {
        attempt.start().await.exited().await.unwrap();
    });
    let plan = fs::read(attempt.dir().join(PLAN)).unwrap();
    let exit = fs::read(attempt.dir().join(EXIT)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let door = Door { name: "plan", rounds: 3_000, corpus: None };
    feed(door, &[plan], |input| {
        fs::write(folder.path().join(PLAN), input).unwrap();
        let _refused_or_read = Launch::read(folder.path());
    });

    let folder = tempfile::tempdir().unwrap();
    fs::copy(attempt.dir().join(PLAN), folder.path().join(PLAN)).unwrap();
    let door = Door { name: "exit", rounds: 3_000, corpus: None };
    feed(door, &[exit], |input| {
        // Whatever it says, it is there: nobody is looked for.
        fs::write(folder.path().join(EXIT), input).unwrap();
        let _refused_or_ended = runtime.block_on(find(folder.path(), &attempt.launch.attempt));
    });
}

const PLAN: &str = "launch.json";
const EXIT: &str = "exit.json";
