//! Writes a history down as a transcript, and compares it with the one under `stories`.

use std::{env, fmt::Write as _, fs, path::Path};

use crate::{
    cast::{COORDINATOR, Places},
    trial::{Cause, History, Trial, Turn},
    word::Site,
};

/// A history that shows something.
#[derive(Debug)]
pub(crate) struct Found<S: Site> {
    pub(crate) trial: Trial<S>,
    pub(crate) turns: Vec<Turn>,
}

impl<S: Site> Found<S> {
    /// Goes on: all are joined, the coordinator times out once more, and everything arrives.
    pub(crate) fn joined(mut self) -> Self {
        let heard = Places::first(self.trial.bounds.sites);
        let asks = Turn::Whole(Cause::Silent { site: COORDINATOR, heard });
        self.turns.extend([Turn::Parted { apart: Places::NONE }, asks]);
        let start = self.trial.start();
        let mut history = self.turns.iter().fold(start, |it, turn| self.trial.apply(&it, *turn));
        while let Some(letter) = history.letters.first() {
            let turn = Turn::Whole(Cause::Letter(*letter));
            history = self.trial.apply(&history, turn);
            self.turns.push(turn);
        }
        self
    }
}

/// Compares a history with its written story. `VOTUM_REWRITE=1` writes down what happens.
pub(crate) fn assert_told<S: Site>(name: &str, heading: &str, found: &Found<S>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/three_phase/stories");
    let path = folder.join(name).with_extension("txt");
    let told = tell(heading, found);
    if env::var_os("VOTUM_REWRITE").is_some() {
        fs::write(&path, &told).expect("a story can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, written, "{} tells it otherwise", path.display());
}

/// Returns everything that follows from each turn.
pub(crate) fn tell<S: Site>(heading: &str, found: &Found<S>) -> String {
    let Found { trial, turns } = found;
    let mut story: String = heading.lines().map(|line| format!("# {line}\n")).collect();
    let mut history = trial.start();
    for turn in turns {
        let next = trial.apply(&history, *turn);
        let (command, followed) = describe(trial, &history, &next, *turn);
        write!(story, "{command}\n----\n{followed}\n").expect("a string takes everything");
        history = next;
    }
    story.push_str("state\n----\n");
    for (place, site) in Places::first(history.sites.len()).iter().zip(&history.sites) {
        let mark = if history.dead.contains(place) { ", dead" } else { "" };
        writeln!(story, "{place}  {}{mark}", site.standing()).expect("a string takes everything");
    }
    story
}

fn describe<S: Site>(
    trial: &Trial<S>,
    before: &History<S>,
    after: &History<S>,
    turn: Turn,
) -> (String, String) {
    let (cause, until) = match turn {
        Turn::Whole(cause) => (cause, None),
        Turn::Cut { cause, letters } => (cause, Some(letters)),
        Turn::Crashes { site } => return (format!("crash {site}"), lost(before, after)),
        Turn::Parted { apart: Places::NONE } => return ("join all".to_owned(), String::new()),
        Turn::Parted { apart } => return (format!("cut off {apart}"), lost(before, after)),
    };
    let mut command = match cause {
        Cause::Begins => "begin".to_owned(),
        Cause::Objects { site } => format!("object {site}"),
        Cause::Letter(letter) => format!("deliver {letter}"),
        Cause::Silent { site, heard } if heard == Places::only(site) => {
            format!("timeout {site}, who hears nobody else")
        }
        Cause::Silent { site, heard } => {
            format!("timeout {site}, who hears {}", heard.without(Places::only(site)))
        }
    };
    let mut scratch = before.clone();
    let (site, letters, recorded) = trial.follow(&mut scratch, cause, until);
    if let Some(letters) = until {
        write!(command, ", and {site} dies after {letters} letters")
            .expect("a string takes everything");
    }
    let mut followed = String::new();
    if recorded {
        let standing = scratch.sites[usize::from(site.0)].standing();
        writeln!(followed, "{site}  record {standing}").expect("a string takes everything");
    }
    for letter in letters {
        let fate = if scratch.letters.contains(&letter) { "" } else { "  (lost)" };
        writeln!(followed, "{letter}{fate}").expect("a string takes everything");
    }
    (command, followed)
}

/// Says what was under way and no longer is.
fn lost<S: Site>(before: &History<S>, after: &History<S>) -> String {
    before.letters.difference(&after.letters).map(|letter| format!("{letter}  (lost)\n")).collect()
}
