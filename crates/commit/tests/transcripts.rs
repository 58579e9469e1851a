//! Runs every story under `tests/transcripts` and compares what follows from each command.
//!
//! The format is the one of etcd's `datadriven`: commands, `----`, everything
//! that followed, an empty line. `VOTUM_REWRITE=1` writes down what happens;
//! a difference that nobody can explain is not committed.

mod world;

use std::{fmt::Write as _, fs, path::Path};

use world::World;

#[test]
fn every_story_is_told_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut stories: Vec<_> = fs::read_dir(folder)
        .expect("the folder of the stories can be read")
        .map(|entry| entry.expect("its entries can be read").path())
        .collect();
    stories.sort();
    let rewrite = std::env::var_os("VOTUM_REWRITE").is_some();
    let mut different = Vec::new();
    for story in stories {
        let written = fs::read_to_string(&story).expect("a story is text");
        let told = tell(&written);
        if told != written && rewrite {
            fs::write(&story, &told).expect("a story can be rewritten");
        } else if told != written {
            different.push(format!("{}\n{}", story.display(), first_difference(&written, &told)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Returns the story with everything that really followed.
fn tell(written: &str) -> String {
    let mut world = World::new();
    let mut told = String::new();
    let mut followed = String::new();
    let mut lines = written.lines();
    while let Some(line) = lines.next() {
        writeln!(told, "{line}").expect("a string takes everything");
        if line == "----" {
            told.push_str(&std::mem::take(&mut followed));
            if lines.by_ref().any(str::is_empty) {
                told.push('\n');
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            followed.push_str(&world.command(line));
        }
    }
    told
}

fn first_difference(written: &str, told: &str) -> String {
    let mut pairs = written.lines().zip(told.lines()).enumerate();
    match pairs.find(|(_, (written, told))| written != told) {
        Some((at, (written, told))) => {
            format!("  line {}\n  written: {written}\n  told:    {told}", at + 1)
        }
        None => "  one of them ends earlier".to_owned(),
    }
}
