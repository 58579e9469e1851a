//! Clients and operators: what they ask for, and when.

use std::{sync::Arc, time::Duration};

use votum_commit::Decision;
use votum_ids::WorkerId;
use votum_wire::{CaseAction, CaseName, Subject, Verdict, approval::ApproveJob};
use votum_worker::{AskId, Event as WorkerEvent, LocalQuestion};

use super::{bug::Bug, cast::BOOK, fact::Fact, oracle::Call, play::Ending, world::World};
use crate::{
    engine::tests::{job, submission},
    event::Event,
    question::{Intent, Operation, Question},
};

impl World {
    /// Asks the coordinator something; the answer may never come.
    pub(super) fn ask(&mut self, call: Call, question: Question) {
        let reply = self.replies.register().0;
        self.oracle.ask(reply, call);
        self.stage.ledger.remark(self.stage.time, &|| format!("a client asks: {call:?}"));
        self.step_chief(Event::Asked { reply, question });
        self.perform();
    }

    /// What clients do whatever else happens: submit until it is answered, cancel, look.
    pub(super) fn clients(&mut self) {
        if !self.chief.is_awake(self.stage.time) {
            return;
        }
        if !self.oracle.received && !self.oracle.waits_for(Call::Submit) && self.may_submit() {
            // The index finds the request also where the job is closed.
            self.oracle.received = self.is_closed();
            if !self.oracle.received {
                let spec = Bug::twist_spec(self.stage.play.bug, self.stage.spec.clone());
                self.ask(
                    Call::Submit,
                    Question::Submit {
                        intent: Intent::Receive,
                        job: job(),
                        spec: Arc::new(spec),
                        submission: submission(),
                    },
                );
            }
        }
        if let Ending::Cancelled(at) = self.stage.play.ending
            && self.moves >= at
            && !self.cancelled
        {
            self.cancelled = true;
            let (by, reason) = ("ana".to_owned(), String::new());
            self.ask(Call::Cancel, Question::Cancel { job: job(), by, reason });
        }
        let looks = std::mem::take(&mut self.looks_again);
        if looks || (self.stage.faulty && self.stage.dice.once_in(80)) {
            self.ask(Call::Show, Question::ShowJobs { jobs: vec![job()] });
        }
    }

    /// A person on the machine of a worker ends its doubt by force.
    pub(super) fn force(&mut self) {
        let Some(outcome) = self.stage.play.forces else { return };
        let known = &self.stage.ledger.known;
        if known.prepared.is_empty() || known.forced.len() > 1 || !self.stage.dice.once_in(20) {
            return;
        }
        let awake = |site: &&mut super::site::Site| site.is_awake(self.stage.time);
        let mut sites: Vec<_> = self.sites.values_mut().filter(awake).collect();
        if sites.is_empty() {
            return;
        }
        let at = self.stage.dice.below(sites.len());
        let site = &mut sites[at];
        let (worker, at) = (site.me.worker.clone(), site.node.wall(self.stage.time));
        self.stage
            .ledger
            .remark(self.stage.time, &|| format!("a person forces {outcome:?} at {worker}"));
        let (by, reason) = ("bert".to_owned(), "it cannot wait".to_owned());
        let question = LocalQuestion::Force { job: job(), outcome, by, reason, at };
        site.step(&mut self.stage, WorkerEvent::Local { ask: AskId(1), question });
        self.perform();
    }

    /// Somebody does what only a person can do; says whether anything was left to do.
    pub(super) fn attend(&mut self) -> bool {
        self.chief.is_awake(self.stage.time)
            && self.stage.time >= self.attended
            && (self.answer_approval() || self.decide_a_case() || self.remove_the_lost())
    }

    fn answer_approval(&mut self) -> bool {
        let Some(verdict) = self.stage.play.approval else { return false };
        if !self.chief.machine.scheduler.awaits_approval(&job())
            || self.oracle.waits_for(Call::Approve(verdict))
        {
            return false;
        }
        let wish = ApproveJob { job: job(), verdict, reason: "looked".to_owned(), etag: None };
        let by = "ana".to_owned();
        self.ask(Call::Approve(verdict), Question::Approve { wish, by });
        verdict == Verdict::Approve || !self.oracle.waits_for(Call::Approve(verdict))
    }

    /// Decides a case: whether an effect took place, or that a lost worker is not waited for.
    fn decide_a_case(&mut self) -> bool {
        let now = self.chief.now(self.stage.time);
        let cases = self.chief.machine.cases(now);
        for case in cases {
            let CaseName { job: Some(job), subject } = case.name else { continue };
            let action = match &subject {
                Subject::Hook(hook) => {
                    let known = &self.stage.ledger.known;
                    let (took_place, time) = (known.took_place.contains_key(hook), self.stage.time);
                    self.stage.ledger.see(time, &Fact::Looked { hook });
                    if took_place {
                        CaseAction::Done
                    } else if self.is_stranded(hook.as_str()) {
                        CaseAction::GiveUp
                    } else {
                        CaseAction::Retry
                    }
                }
                Subject::Worker(worker) if self.gives_up(worker) => CaseAction::GiveUp,
                Subject::Worker(_) | Subject::Log | Subject::Stale => continue,
            };
            let (by, reason) = ("ana".to_owned(), "looked".to_owned());
            self.attended = self.stage.time + PATIENCE;
            self.ask(Call::Other, Question::Resolve { job, subject, action, by, reason });
            return true;
        }
        false
    }

    /// Says whether a hook can run nowhere any more.
    fn is_stranded(&self, hook: &str) -> bool {
        let pinned = match hook {
            "announce" | "sweep" => "b",
            "page" | BOOK => "a",
            _ => return false,
        };
        self.sites.get(&WorkerId::new(pinned).unwrap()).is_some_and(|site| site.lost)
    }

    /// Says whether the operator gives up a worker that may come back: some do.
    fn gives_up(&self, worker: &WorkerId) -> bool {
        // Whoever is there and has a case never does what is waited for.
        let is_there = !self.chief.machine.scheduler.is_lost(worker);
        self.sites[worker].lost || is_there || self.stage.play.seed.is_multiple_of(3)
    }

    fn remove_the_lost(&mut self) -> bool {
        let lost = self.sites.values().find(|site| {
            site.lost && !site.lines.iter().any(|line| line.chief == super::wire::ChiefEnd::Open)
        });
        let Some(worker) = lost.map(|site| site.me.worker.clone()) else { return false };
        if self.chief.machine.scheduler.worker(&worker).is_none() || !self.oracle.received {
            return false;
        }
        self.attended = self.stage.time + PATIENCE;
        let (by, reason) = ("ana".to_owned(), "its disk is gone".to_owned());
        let operation = Operation::Remove;
        self.ask(Call::Other, Question::Operate { worker, operation, by, reason });
        true
    }

    /// Returns what a person has forced, if anything.
    pub(super) fn forced(&self) -> Option<Decision> {
        self.stage.ledger.known.forced.values().map(|forced| forced.outcome).next()
    }
}

/// A person looks again after so long.
const PATIENCE: Duration = Duration::from_secs(10);
