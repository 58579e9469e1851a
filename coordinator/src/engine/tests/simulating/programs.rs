//! What a worker's shell does one piece at a time: programs, disks and targets.

use std::collections::BTreeMap;

use votum_commit::{Objection, ParticipantEvent, Pledge, Vote};
use votum_ids::{AttemptId, Digest, OutputName};
use votum_job::{
    Assignment, DryVoteAnswer, DryVoteRequest, Failure, FailureKind, Finding, InputSource,
    StagedOutput, Usage,
};
use votum_wire::FromWorker;
use votum_worker::{AttemptEvent, Event, Resumed};

use super::{
    bug::Bug,
    cast::LOAD,
    fact::Fact,
    play::Ending,
    site::{Site, Work, ended},
    world::Stage,
};

impl Site {
    /// Does one piece of the work that waits; `readable` says whether inputs can be fetched.
    pub(super) fn work(&mut self, at: usize, readable: bool, stage: &mut Stage) {
        let full = self.node.full > stage.time;
        match self.work.remove(at) {
            Work::Fetch(order) => {
                let event = if full {
                    failed(FailureKind::StorageFailed)
                } else if readable {
                    let inputs = BTreeMap::new();
                    AttemptEvent::Fetched { inputs, resumed: Resumed::default() }
                } else {
                    failed(FailureKind::InputUnavailable)
                };
                self.step(stage, Event::Attempt(order.attempt, event));
            }
            Work::Exit(attempt) => self.exit(stage, attempt),
            Work::Stopped(attempt) => {
                if self.end(stage, &attempt, false).is_some() {
                    let event = failed(FailureKind::Signal(15));
                    self.step(stage, Event::Attempt(attempt, event));
                }
            }
            Work::Exited(attempt) => {
                let well = self.exits.get(&attempt).is_some_and(|(_, well)| *well);
                self.step(stage, Event::Attempt(attempt, ended(well)));
            }
            Work::Vanished(attempt) => {
                let event = failed(FailureKind::Interrupted);
                self.step(stage, Event::Attempt(attempt, event));
            }
            Work::Seal(order) => self.seal(stage, &order, full),
            Work::Check(txn, pledges) => {
                let result = self.check(&pledges, txn.job.clone(), full, stage);
                let event = ParticipantEvent::Checked { txn, result };
                self.step(stage, Event::Participant(event));
            }
            Work::DryVote(request, held) => self.dry_vote(stage, *request, held),
            Work::Publish { txn, number, pledges, tells } => {
                self.publish(stage, txn, number, pledges, tells);
            }
            Work::Withdraw { txn, number, pledges } => {
                if stage.play.bug != Some(Bug::NothingWithdrawn) {
                    for pledge in &pledges {
                        stage.ledger.see(stage.time, &Fact::Hidden { at: &self.me, pledge });
                    }
                }
                let event = ParticipantEvent::Withdrawn { txn, number };
                self.step(stage, Event::Participant(event));
            }
            Work::Discard(attempt) => {
                self.exits.remove(&attempt);
                if self.staged.remove(&attempt).is_some() {
                    let fact = Fact::Dropped { at: &self.me, attempt: &attempt };
                    stage.ledger.see(stage.time, &fact);
                }
            }
        }
    }

    /// A program begins.
    pub(super) fn run(&mut self, stage: &mut Stage, order: Assignment) {
        if is_copy(&order) {
            self.copies.insert(order.attempt.clone());
        }
        stage.ledger.see(stage.time, &Fact::Began { at: &self.me, order: &order });
        let attempt = order.attempt.clone();
        self.running.insert(attempt.clone(), order);
        self.work.push(Work::Exit(attempt.clone()));
        self.step(stage, Event::Attempt(attempt, AttemptEvent::Started { pid: 7 }));
    }

    /// A program is over; returns what it was told, if it ran.
    pub(super) fn end(
        &mut self,
        stage: &mut Stage,
        attempt: &AttemptId,
        well: bool,
    ) -> Option<Assignment> {
        let order = self.running.remove(attempt)?;
        self.work
            .retain(|work| !matches!(work, Work::Exit(id) | Work::Stopped(id) if id == attempt));
        stage.ledger.see(stage.time, &Fact::Ended { at: &self.me, order: &order, well });
        Some(order)
    }

    fn exit(&mut self, stage: &mut Stage, attempt: AttemptId) {
        let Some(order) = self.running.get(&attempt) else { return };
        let well = ends_well(order, stage);
        let Some(order) = self.end(stage, &attempt, well) else { return };
        self.exits.insert(attempt.clone(), (order, well));
        if self.is_awake(stage.time) {
            self.step(stage, Event::Attempt(attempt, ended(well)));
        } else if !self.node.down {
            self.work.push(Work::Exited(attempt));
        }
    }

    /// The supervisor of what acts outside ends it: nobody has renewed the lease (R3).
    pub(super) fn lapse(&mut self, stage: &mut Stage) {
        self.lease_ends = None;
        let acting: Vec<AttemptId> = self.acting().cloned().collect();
        for attempt in acting {
            if self.end(stage, &attempt, false).is_some() && !self.node.down {
                self.work.push(Work::Vanished(attempt));
            }
        }
    }

    /// Returns what runs and acts outside.
    pub(super) fn acting(&self) -> impl Iterator<Item = &AttemptId> {
        let acts = |(_, order): &(&AttemptId, &Assignment)| order.spec.acts_outside();
        self.running.iter().filter(acts).map(|(attempt, _)| attempt)
    }

    fn seal(&mut self, stage: &mut Stage, order: &Assignment, full: bool) {
        let attempt = order.attempt.clone();
        if full {
            let event = failed(FailureKind::StorageFailed);
            return self.step(stage, Event::Attempt(attempt, event));
        }
        let digest = |name: &OutputName| {
            let copied = order.inputs.iter().find_map(|input| match &input.source {
                InputSource::Staged { attempt, output, digest, .. }
                    if *attempt == order.attempt && output == name =>
                {
                    Some(*digest)
                }
                _ => None,
            });
            copied.unwrap_or_else(|| made(stage.play.seed, &attempt))
        };
        let outputs: Vec<StagedOutput> = order
            .spec
            .outputs
            .keys()
            .map(|name| StagedOutput {
                name: name.clone(),
                digest: digest(name),
                files: 1,
                bytes: 10,
                read_token: "secret".to_owned(),
            })
            .collect();
        let kept = self.staged.entry(attempt.clone()).or_default();
        for output in &outputs {
            kept.insert(output.name.clone(), output.digest);
            let fact = Fact::Kept {
                at: &self.me,
                attempt: &attempt,
                output: &output.name,
                digest: output.digest,
            };
            stage.ledger.see(stage.time, &fact);
        }
        self.step(stage, Event::Attempt(attempt, AttemptEvent::Sealed { outputs }));
    }

    fn check(&self, pledges: &[Pledge], job: votum_ids::JobId, full: bool, stage: &Stage) -> Vote {
        if full || stage.play.ending == Ending::VotesNo {
            let reason = if full { "DISK_FULL" } else { "TARGET_NOT_WRITABLE" }.to_owned();
            return Vote::No(Objection::Failed { reason, message: "no".to_owned() });
        }
        let held = pledges.iter().all(|pledge| {
            let (task, token) = (pledge.task.clone(), pledge.token);
            let attempt = AttemptId { job: job.clone(), task, token };
            let kept = self.staged.get(&attempt);
            kept.and_then(|kept| kept.get(&pledge.output)) == Some(&pledge.digest)
        });
        if held { Vote::Yes } else { Vote::No(Objection::NotHeld) }
    }

    fn dry_vote(&mut self, stage: &mut Stage, request: DryVoteRequest, held: bool) {
        let DryVoteRequest { job, id, .. } = request;
        let reason = if !held {
            Some("NOT_HELD")
        } else if stage.play.ending == Ending::VotesNo {
            Some("TARGET_NOT_WRITABLE")
        } else {
            None
        };
        let finding = |reason: &str| Finding {
            worker: self.me.worker.clone(),
            task: None,
            output: None,
            target: None,
            reason: reason.to_owned(),
            message: "no".to_owned(),
        };
        let findings = reason.map(finding).into_iter().collect();
        let answer = DryVoteAnswer { job, id, findings, omitted: 0, bases: Vec::new() };
        self.say(stage, FromWorker::DryVoted(Box::new(answer)));
    }

    /// Flips the next target; the others follow one after another.
    fn publish(
        &mut self,
        stage: &mut Stage,
        txn: votum_ids::TxnId,
        number: u64,
        mut pledges: Vec<Pledge>,
        tells: bool,
    ) {
        pledges.retain(|pledge| pledge.target.is_some());
        if let Some(pledge) = pledges.pop() {
            let fact = Fact::Shown { at: &self.me, txn: &txn, pledge: &pledge };
            stage.ledger.see(stage.time, &fact);
            if !pledges.is_empty() {
                return self.work.push(Work::Publish { txn, number, pledges, tells });
            }
        }
        if !tells {
            return;
        }
        let event = match number {
            0 => ParticipantEvent::Published { txn },
            number => ParticipantEvent::TookOver { txn, number },
        };
        self.step(stage, Event::Participant(event));
    }
}

/// Says whether an attempt copies what was sealed under its own token (C13).
fn is_copy(order: &Assignment) -> bool {
    order.inputs.iter().any(|input| {
        matches!(&input.source, InputSource::Staged { attempt, .. } if *attempt == order.attempt)
    })
}

/// Says how a program ends by itself.
fn ends_well(order: &Assignment, stage: &mut Stage) -> bool {
    if is_copy(order) {
        return true;
    }
    if order.role.is_task() {
        let fails = stage.play.ending == Ending::TaskFails && order.attempt.task.as_str() == LOAD;
        return !fails && (!stage.faulty || !stage.dice.once_in(30));
    }
    !stage.dice.once_in(4)
}

/// Returns the bytes that an attempt makes; some tasks never make the same twice.
fn made(seed: u64, attempt: &AttemptId) -> Digest {
    let wobbles = seed % 10 == 9;
    let mut bytes = [7; 32];
    bytes[0] = attempt.task.as_str().as_bytes()[0];
    if wobbles {
        bytes[1] = u8::try_from(attempt.token.counter % 251).unwrap();
        bytes[2] = u8::try_from(attempt.token.epoch.0 % 251).unwrap();
    }
    Digest(bytes)
}

pub(super) fn failed(kind: FailureKind) -> AttemptEvent {
    let (message, stderr_tail) = ("it did not go well".to_owned(), String::new());
    AttemptEvent::Failed {
        failure: Failure { kind, message, stderr_tail },
        usage: Usage::default(),
    }
}
