//! Runs the transcripts of `tests/transcripts`: commands, `----`, and all that followed.
//!
//! After each command the settlement ticks until nothing is due. With the
//! variable `VOTUM_REWRITE=1` the files are written anew; commit no difference
//! that you cannot explain.

use std::{fs, path::Path};

use votum_job::{AttemptState, ListedAttempt};
use votum_settle::{Event, Resolution, Trial};

use crate::{
    cast::{attempt, decision, duration, end, host, job, task, worker},
    world::World,
};

#[test]
fn every_transcript_tells_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 12, "transcripts are missing from {folder:?}");
    for path in paths {
        let written = fs::read_to_string(&path).unwrap();
        let told = retold(&written);
        if std::env::var_os("VOTUM_REWRITE").is_some() {
            fs::write(&path, told).unwrap();
        } else {
            assert_eq!(told, written, "{}", path.display());
        }
    }
}

/// Performs the commands of a transcript and returns it with what really happens.
fn retold(transcript: &str) -> String {
    let mut stage = Stage { world: World::new() };
    let mut told = String::new();
    let mut lines = transcript.lines().peekable();
    let mut command: Vec<&str> = Vec::new();
    while let Some(line) = lines.next() {
        if line == "----" {
            while lines.next_if(|line| !line.is_empty()).is_some() {}
            told += "----\n";
            told += &stage.perform(&command);
            command.clear();
            continue;
        }
        if !line.starts_with('#') && !line.is_empty() {
            command.push(line);
        }
        told += line;
        told.push('\n');
    }
    told
}

struct Stage {
    world: World,
}

impl Stage {
    fn perform(&mut self, command: &[&str]) -> String {
        let mut shown = String::new();
        for (at, line) in command.iter().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0] == "decide" {
                self.world.step(decision(&job(), words[1], &command[at + 1..]));
                self.world.settle();
                break;
            }
            shown += &self.line(&words);
            self.world.settle();
        }
        let told = std::mem::take(&mut self.world.told) + &shown;
        if told.is_empty() { "ok\n".into() } else { told }
    }

    fn line(&mut self, words: &[&str]) -> String {
        let event = match words {
            ["offer", on, hook] => {
                let (host, token) = (host(on), self.world.next_token());
                Event::Offered { job: job(), hook: task(hook), host, token }
            }
            ["unplaceable", hook, message @ ..] => {
                Event::Unplaceable { job: job(), hook: task(hook), message: message.join(" ") }
            }
            ["ended", on, which, how @ ..] => {
                let (host, attempt, end) = (host(on), attempt(which), Box::new(end(how)));
                Event::Ended { host, attempt, end }
            }
            ["answer", hook, number, how] => {
                let number = number.parse().unwrap();
                Event::Answered { job: job(), hook: task(hook), number, trial: trial(how) }
            }
            ["join", on] => Event::Joined { host: host(on) },
            ["list", on, which, state @ ..] => {
                let state = match state {
                    ["live"] => AttemptState::Live,
                    how => AttemptState::Ended(end(how)),
                };
                let listed = ListedAttempt { attempt: attempt(which), number: 1, state };
                Event::Listed { host: host(on), listed }
            }
            ["inventory-end", on] => Event::InventoryEnded { host: host(on) },
            ["look-again"] => Event::LookAgain,
            ["close"] => Event::Closed { job: job() },
            ["retry" | "done" | "give-up", hook] => {
                let named = |resolution: &Resolution| resolution.word() == words[0];
                let resolution = Resolution::ALL.into_iter().find(named).unwrap();
                let (by, reason) = ("ana".to_owned(), "I looked".to_owned());
                Event::ResolutionAsked { job: job(), hook: task(hook), resolution, by, reason }
            }
            other => return self.other(other),
        };
        self.world.step(event);
        String::new()
    }

    fn other(&mut self, words: &[&str]) -> String {
        match words {
            ["lost", name] => self.world.exhaust(&Event::HostLost { worker: worker(name) }),
            ["gone", on] => self.world.exhaust(&Event::HostGone { host: host(on) }),
            ["pass", wait] => self.world.pass(duration(wait)),
            ["crash"] => self.world.restart(self.world.records.len()),
            ["crash", "losing", count] => {
                let lost: usize = count.parse().unwrap();
                self.world.restart(self.world.records.len() - lost);
            }
            ["show"] => return self.world.show(&job()),
            ["case", hook] => return self.case(hook),
            other => panic!("no command {other:?}"),
        }
        String::new()
    }

    fn case(&self, hook: &str) -> String {
        let Some(case) = self.world.settlement.case(&job(), &task(hook)) else {
            return format!("{hook} is no case\n");
        };
        let legal: Vec<&str> = case.legal.iter().map(|resolution| resolution.word()).collect();
        let mut shown = format!("{} {}: {}\n", case.kind.word(), case.cause.word(), case.message);
        for evidence in case.evidence {
            shown += &format!("  {}\n", evidence.text);
        }
        shown + &format!("  legal: {}\n", legal.join(", "))
    }
}

/// Reads an answer: an HTTP status, or `timeout`.
fn trial(how: &str) -> Trial {
    match how {
        "timeout" => Trial::Unknown { message: "no answer came in time".into() },
        status => Trial::of_status(status.parse().unwrap()),
    }
}
