//! Runs the transcripts of `tests/transcripts`: commands, `----`, and all that followed.
//!
//! After each command the scheduler ticks until nothing is due. With the
//! variable `VOTUM_REWRITE=1` the files are written anew; commit no difference
//! that you cannot explain.

use std::{fs, path::Path, sync::Arc};

use votum_ids::{Digest, JobId, WorkerId};
use votum_job::{
    AttemptEnd, AttemptState, Base, ConcurrencyKey, DryVoteAnswer, FailureKind, Finding,
    ListedAttempt,
};
use votum_schedule::{Action, Drain, Event, LiveAttempts, Removal, RescuePlan, Submission};

use crate::{
    cast::{
        attempt, checkpoint, duration, failed, held, job, registration, sealed, spec, submission,
        worker,
    },
    world::{World, show},
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
    let mut stage = Stage { world: World::new(), incarnation: 0, key_set_aside: None };
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
    /// Of the last start of a daemon.
    incarnation: u128,
    /// Of the last job that was set aside.
    key_set_aside: Option<ConcurrencyKey>,
}

impl Stage {
    fn perform(&mut self, command: &[&str]) -> String {
        let mut shown = String::new();
        for (at, line) in command.iter().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0] == "submit" {
                let spec = Arc::new(spec(words[1], &command[at + 1..]));
                assert!(votum_job::Graph::check(&spec).is_ok(), "{line}");
                let submission = submission();
                self.world.step(Event::Submitted { job: job(words[1]), spec, submission });
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
        match words {
            ["join", name, options @ ..] => self.join(name, options),
            ["return", name, options @ ..] => {
                self.join(name, options);
                self.world.step(Event::InventoryEnded { worker: worker(name) });
            }
            ["list", name, which, state @ ..] => self.list(name, which, state),
            ["inventory-end", name] => {
                self.world.step(Event::InventoryEnded { worker: worker(name) });
            }
            ["leave", name] => self.leave(&worker(name)),
            ["silence", name] => {
                self.world.speaking.remove(&worker(name));
            }
            ["heard", name] => {
                self.world.step(Event::Heard { worker: worker(name), free_bytes: None });
            }
            ["started", name, which] => {
                self.world.step(Event::Started { worker: worker(name), attempt: attempt(which) });
            }
            [end @ ("sealed" | "failed"), name, which, how @ ..] => {
                let end = self.end(which, end, how);
                let (worker, attempt) = (worker(name), attempt(which));
                self.world.step(Event::Ended { worker, attempt, end });
            }
            ["checkpoint", name, which] => {
                let (worker, held) = (worker(name), held(which));
                self.world.step(Event::CheckpointHeld { worker, held });
            }
            ["checkpoint-gone", name, which] => {
                let (worker, id) = (worker(name), checkpoint(which));
                self.world.step(Event::CheckpointGone { worker, id });
            }
            ["pass", wait] => self.world.pass(duration(wait)),
            ["stand-still", wait] => self.world.stand_still(duration(wait)),
            ["crash"] => self.world.restart(self.world.records.len()),
            ["crash", "losing", count] => {
                let lost: usize = count.parse().unwrap();
                self.world.restart(self.world.records.len() - lost);
            }
            ["abort", name] => {
                let why = "the job is aborted".to_owned();
                self.world.step(Event::Aborting { job: job(name), why });
            }
            ["free" | "set-aside" | "settled", name] => self.key(words[0], &job(name)),
            ["commit", name] => self.world.step(Event::Committing { job: job(name) }),
            ["close", name] => self.world.step(Event::Closed { job: job(name) }),
            ["share-lost", name, holder, uid] => {
                let uid = registration(holder, uid.parse().unwrap(), 0, 1).uid;
                let (job, worker) = (job(name), worker(holder));
                self.world.step(Event::ShareLost { job, worker, uid });
            }
            ["drain", name, options @ ..] => self.drain(name, options),
            ["resume", name] => self.world.step(Event::ResumeOrdered { worker: worker(name) }),
            ["answers", name, found @ ..] => self.answer(name, found),
            ["pause" | "unpause" | "approve" | "dry-vote" | "retry" | "release" | "rescue", ..] => {
                self.wish(words)
            }
            ["remove", name] => self.remove(name),
            ["take-over", name, "as", by] => self.take_over(&job(name), &job(by)),
            ["plan", name] => return self.plan(&job(name)),
            ["show", name] => return self.show(&job(name)),
            ["workers"] => return self.workers(),
            other => panic!("no command {other:?}"),
        }
        String::new()
    }

    /// Says who needs its key no longer, or keeps it although its records cannot be read.
    fn key(&mut self, what: &str, id: &JobId) {
        let known = self.world.scheduler.spec(id).and_then(|spec| spec.concurrency.as_ref());
        let key = known.map_or_else(|| self.key_set_aside.clone(), |known| Some(known.key.clone()));
        let (job, key) = (id.clone(), key.unwrap());
        if what == "set-aside" {
            self.key_set_aside = Some(key.clone());
            self.world.step(Event::Closed { job: job.clone() });
            self.world.step(Event::SetAside { job, key });
        } else {
            self.world.step(Event::KeyFreed { job, key });
        }
    }

    /// Lets a person want something of a job.
    fn wish(&mut self, words: &[&str]) {
        let (by, reason) = ("ana".to_owned(), "maintenance".to_owned());
        let event = match words {
            ["pause", name] => {
                Event::PauseAsked { job: job(name), by, reason, live: LiveAttempts::GoOn }
            }
            ["pause", name, "stop-running"] => {
                Event::PauseAsked { job: job(name), by, reason, live: LiveAttempts::Stop }
            }
            ["pause", name, "as", by] => {
                let (by, reason) = ((*by).to_owned(), "audit".to_owned());
                Event::PauseAsked { job: job(name), by, reason, live: LiveAttempts::GoOn }
            }
            ["approve", name] => Event::Approved { job: job(name), by, reason },
            ["dry-vote", name] => Event::DryVoteAsked { job: job(name) },
            ["unpause", name] => Event::UnpauseAsked { job: job(name), by },
            ["release", name] => Event::ReleaseAsked { job: job(name), by, reason },
            ["rescue", name, "by", other] => {
                Event::RescueReceived { job: job(name), by: job(other) }
            }
            ["retry", which] => {
                let (name, task) = which.split_once('/').map_or((*which, None), |(name, task)| {
                    (name, Some(votum_ids::TaskId::new(task).unwrap()))
                });
                Event::RetryAsked { job: job(name), task, by }
            }
            other => panic!("nobody wishes {other:?}"),
        };
        self.world.step(event);
    }

    /// Hands in a job that takes over what an aborted one keeps.
    fn take_over(&mut self, from: &JobId, by: &JobId) {
        let rescue = self.world.scheduler.rescuable(from);
        let submission = Submission { rescue: Some(rescue.unwrap()), ..submission() };
        let spec = Arc::new(self.world.scheduler.spec(from).unwrap().clone());
        self.world.step(Event::Submitted { job: by.clone(), spec, submission });
        self.world.step(Event::RescueReceived { job: from.clone(), by: by.clone() });
    }

    fn plan(&self, job: &JobId) -> String {
        let Some(rescue) = self.world.scheduler.rescuable(job) else {
            return format!("{job} cannot be rescued\n");
        };
        let line = |plan: RescuePlan| match (plan.holder, plan.runs) {
            (_, Some(why)) => format!("{} runs again: {why}\n", plan.task),
            (Some(holder), None) => format!("{} is taken over from {holder}\n", plan.task),
            (None, None) => panic!("{} has neither a holder nor a reason", plan.task),
        };
        self.world.scheduler.rescue_plan(&rescue).into_iter().map(line).collect()
    }

    /// Lets a worker answer the last dry vote that it was asked for: each word is the reason of an
    /// obstacle, `base=3` says what stands at its targets.
    fn answer(&mut self, name: &str, found: &[&str]) {
        let asked = self.world.actions.iter().rev().find_map(|action| match action {
            Action::DryVote { worker: asked, request } if *asked == worker(name) => Some(request),
            _ => None,
        });
        let request = asked.unwrap().clone();
        let base = found.iter().find_map(|word| word.strip_prefix("base="));
        let content = base.map(|base| Digest([base.parse().unwrap(); 32]));
        let published = request.candidates.iter().filter(|one| one.target.is_some());
        let bases = published
            .map(|one| Base { task: one.task.clone(), output: one.output.clone(), content })
            .collect();
        let finding = |reason: &&str| Finding {
            worker: worker(name),
            task: None,
            output: None,
            target: None,
            reason: (*reason).to_owned(),
            message: format!("{name} says so"),
        };
        let reasons = found.iter().filter(|word| !word.starts_with("base="));
        let (job, id, findings) = (request.job, request.id, reasons.map(finding).collect());
        let answer = Box::new(DryVoteAnswer { job, id, findings, omitted: 0, bases });
        self.world.step(Event::DryVoteAnswered { worker: worker(name), answer });
    }

    fn join(&mut self, name: &str, options: &[&str]) {
        self.incarnation += 1;
        let mut registration = registration(name, 1, self.incarnation, 1);
        for option in options {
            match option.split_once('=').unwrap() {
                ("slots", slots) => registration.slots = slots.parse().unwrap(),
                ("installation", uid) => {
                    registration.uid =
                        crate::cast::registration(name, uid.parse().unwrap(), 0, 1).uid;
                }
                ("root", root) => registration.publish_roots = vec![root.into()],
                (key, value) => {
                    registration.labels.insert(key.into(), value.into());
                }
            }
        }
        self.world.speaking.insert(worker(name), registration.incarnation);
        self.world.step(Event::Joined(registration));
    }

    fn drain(&mut self, name: &str, options: &[&str]) {
        let time_limit = options.first().map(|limit| duration(limit));
        let ordered = self.world.wall();
        let drain =
            Drain { by: "carol".into(), reason: "another disk".into(), ordered, time_limit };
        self.world.step(Event::DrainOrdered { worker: worker(name), drain });
    }

    fn remove(&mut self, name: &str) {
        let ordered = self.world.wall();
        let removal = Removal { by: "carol".into(), reason: "scrapped".into(), ordered };
        self.world.step(Event::RemovalOrdered { worker: worker(name), removal });
    }

    fn leave(&mut self, name: &WorkerId) {
        self.world.speaking.remove(name);
        let incarnation = self.world.scheduler.worker(name).unwrap().registration.incarnation;
        self.world.step(Event::Disconnected { worker: name.clone(), incarnation });
    }

    fn list(&mut self, name: &str, which: &str, state: &[&str]) {
        let state = match state {
            ["live"] => AttemptState::Live,
            [end, how @ ..] => AttemptState::Ended(self.end(which, end, how)),
            [] => panic!("an attempt is listed with its state"),
        };
        let listed = ListedAttempt { attempt: attempt(which), number: 1, state };
        self.world.step(Event::Listed { worker: worker(name), listed });
    }

    fn end(&self, which: &str, end: &str, how: &[&str]) -> AttemptEnd {
        match (end, how) {
            ("sealed", content) => {
                let content = content.first().map_or(1, |content| content.parse().unwrap());
                let attempt = attempt(which);
                let spec = self.world.scheduler.spec(&attempt.job).cloned();
                let spec = spec.unwrap_or_else(|| spec_of_nothing(attempt.task.as_str()));
                sealed(&spec.tasks[&attempt.task], content)
            }
            ("failed", ["exit", code]) => failed(FailureKind::ExitCode(code.parse().unwrap())),
            ("failed", ["spawn"]) => failed(FailureKind::SpawnFailed),
            ("failed", ["stopped"]) => failed(FailureKind::Stopped),
            ("failed", ["interrupted"]) => failed(FailureKind::Interrupted),
            ("failed", ["unavailable"]) => failed(FailureKind::InputUnavailable),
            ("failed", ["storage"]) => failed(FailureKind::StorageFailed),
            other => panic!("no end {other:?}"),
        }
    }

    fn show(&self, job: &JobId) -> String {
        show(&self.world.scheduler, self.world.now(), job)
    }

    fn workers(&self) -> String {
        let line = |worker: votum_schedule::WorkerView| {
            let name = worker.registration.worker;
            format!(
                "{name} {}, {} free, runs {:?}\n",
                worker.state.word(),
                worker.free_slots,
                worker.running
            )
        };
        self.world.scheduler.workers().map(line).collect()
    }
}

/// A job that was forgotten: its tasks have no outputs any more.
fn spec_of_nothing(task: &str) -> votum_job::JobSpec {
    spec("forgotten", &[task])
}
