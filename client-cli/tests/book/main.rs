//! The documents that a reader types after, typed.
//!
//! A page runs as one shell session against daemons of its own. In a page,
//! `<!-- file: NAME -->` saves the block that follows, `<!-- until: COMMAND -->`
//! waits where a person would look again, and `<!-- not run: REASON -->` leaves the
//! next block to the reader.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

mod page;
mod session;
mod told;

use std::{fs, path::PathBuf};

use crate::{
    page::{Page, Piece},
    session::Session,
};

#[test]
fn the_tutorial_does_what_it_says() {
    run("docs/tutorial.md");
}

/// Types a page, and compares what comes with what stands there.
fn run(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let page = Page::parse(&fs::read_to_string(&path).unwrap());
    let mut session = Session::start();
    let mut typed = 0;
    for piece in &page.pieces {
        match piece {
            Piece::File { name, text } => session.save(name, text),
            Piece::Until(command) => session.wait_until(command),
            Piece::Command { line, command, told } => {
                let answer = session.type_in(command);
                typed += 1;
                let place = format!("{name}:{line}: `{command}`");
                // A failure is the page's word only where it shows the exit code next.
                let meant = page.asks_for_exit_code_after(*line);
                assert!(answer.code == 0 || meant, "{place} gave {answer:?}");
                told::assert_alike(&place, told, &answer.lines);
            }
        }
    }
    assert!(typed > 0, "{name} has no command that is run");
}
