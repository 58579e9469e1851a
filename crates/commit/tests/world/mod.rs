//! The real machines with a fake journal, a fake network and a fake clock, driven by words.
//!
//! Every command answers with all that followed from it, one line each, in the
//! order in which it happened; `World::command` lists the words.

mod site;
mod words;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use votum_commit::{
    Cause, Coordinator, CoordinatorAction, CoordinatorEvent, Decision, Forced, Installation,
    Knowledge, LogPosition, LogState, Message, Objection, ParticipantAction, ParticipantEvent,
    Participants, Peer, Pledge, Reply, Share, Start, Vote,
};
use votum_ids::{
    ClusterId, Digest, Epoch, Existing, FencingToken, Incarnation, JobId, OutputName, Target,
    TargetKind, TaskId, TxnId, WorkerId, WorkerUid,
};
use votum_machine::{Machine, WallTime};

use self::{
    site::{Chief, CrashPoint, Journal, Worker, moment},
    words::{duration, round, say_knowledge, say_message, say_reply},
};

/// A coordinator `C` and its workers, one job, and everything in flight between them.
#[derive(Debug)]
pub(crate) struct World {
    chief: Chief,
    workers: BTreeMap<String, Worker>,
    time: Duration,
    flight: Vec<Parcel>,
    delivered: Vec<Parcel>,
    said: String,
    messages: usize,
}

/// Something on its way.
#[derive(Debug, Clone)]
struct Parcel {
    from: String,
    to: String,
    uid: Option<WorkerUid>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Down(Message, LogPosition),
    Up(Reply),
    Ask { peer: Peer, txn: TxnId },
    Tell { txn: TxnId, knowledge: Knowledge },
}

impl World {
    pub(crate) fn new() -> Self {
        let chief = Chief {
            machine: None,
            journal: Journal::empty(),
            epoch: 0,
            started: Duration::ZERO,
            crash: None,
        };
        Self {
            chief,
            workers: BTreeMap::new(),
            time: Duration::ZERO,
            flight: Vec::new(),
            delivered: Vec::new(),
            said: String::new(),
            messages: 0,
        }
    }

    /// Returns the forced writes of `C`, those of the workers, and the messages so far.
    pub(crate) fn tally(&self) -> (usize, usize, usize) {
        let forced = self.workers.values().map(|worker| worker.journal.forced).sum();
        (self.chief.journal.forced, forced, self.messages)
    }

    /// Obeys one line and returns everything that followed from it.
    pub(crate) fn command(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["workers", names @ ..] => self.hire(names),
            ["open"] => self.tell_chief(CoordinatorEvent::Opened { job: job(), deadline: None }),
            ["open", "deadline", time] => {
                let deadline = Some(moment(duration(time), self.chief.started));
                self.tell_chief(CoordinatorEvent::Opened { job: job(), deadline });
            }
            ["stage", names @ ..] => self.stage(names),
            ["withdraw"] => self.tell_chief(CoordinatorEvent::Withdrawn { job: job() }),
            ["replace", from, by] => self.replace(from, by),
            ["cancel", by] => self.cancel(by),
            ["give", "up", who] => self.give_up(who),
            ["remove", who] => {
                let (job, holder) = (job(), self.installation(who));
                self.tell_chief(CoordinatorEvent::Removed { job, holder });
            }
            ["force", who, outcome] => self.force(who, outcome),
            ["stopped"] => self.tell_chief(CoordinatorEvent::Stopped { job: job() }),
            ["release"] => self.release(),
            ["deliver"] => {
                while !self.flight.is_empty() {
                    self.deliver_once(|_| true);
                }
            }
            ["deliver", to] => self.deliver_once(|parcel| parcel.to == *to),
            ["deliver", from, "->", to] => {
                self.deliver_once(|parcel| parcel.from == *from && parcel.to == *to);
            }
            ["lose"] => self.flight.clear(),
            ["lose", to] => self.flight.retain(|parcel| parcel.to != *to),
            ["lose", from, "->", to] => {
                self.flight.retain(|parcel| parcel.from != *from || parcel.to != *to);
            }
            ["repeat", from, "->", to, what @ ..] => self.repeat(from, to, &what.join(" ")),
            ["fails", who, reason] => self.worker(who).fails = Some((*reason).to_owned()),
            ["busy", who] => self.worker(who).busy = true,
            ["idle", who] => self.idle(who),
            ["wait", time] => self.wait(duration(time)),
            ["sync", who] => self.sync(who),
            ["crash", who] => self.crash(who),
            ["crash", who, "before", "record"] => self.arm(who, CrashPoint::BeforeRecord),
            ["crash", who, "after", "record"] => self.arm(who, CrashPoint::AfterRecord),
            ["restore", "C", kept] => {
                self.chief.journal.durable.truncate(kept.parse().expect("a number of records"));
            }
            ["start", "C"] => self.start_chief(LogState::Whole),
            ["start", "C", "restored"] => self.start_chief(LogState::Stale),
            ["start", who] => self.start_worker(who),
            ["meet", who] => self.meet(who),
            ["wipe", who] => self.wipe(who),
            ["seal", who] => self.tell_worker(who, ParticipantEvent::Sealed { job: job() }),
            ["state"] => self.say_state(),
            ["count"] => {
                let (chief, workers, messages) = self.tally();
                writeln!(
                    self.said,
                    "forced by C {chief}, by workers {workers}; {messages} messages"
                )
                .expect("a string takes everything");
            }
            other => panic!("no such command: {other:?}"),
        }
        std::mem::take(&mut self.said)
    }

    fn give_up(&mut self, who: &str) {
        let (job, holder) = (job(), self.installation(who));
        let forced = Forced {
            by: "ana".to_owned(),
            reason: "its disk is gone".to_owned(),
            evidence: Vec::new(),
        };
        self.tell_chief(CoordinatorEvent::GiveUpAsked { job, holder, forced });
    }

    /// Stands for a person on the machine of a worker.
    fn force(&mut self, who: &str, outcome: &str) {
        let outcome = match outcome {
            "commit" => Decision::Commit,
            "abort" => Decision::Abort,
            other => panic!("no such outcome: {other}"),
        };
        let (by, reason) = ("ben".to_owned(), "C is gone".to_owned());
        let forced = Forced { by, reason, evidence: Vec::new() };
        let event = ParticipantEvent::ForceAsked { job: job(), outcome, forced, at: WallTime(7) };
        self.tell_worker(who, event);
    }

    fn hire(&mut self, names: &[&str]) {
        for name in names {
            let (name, replaceable) = match name.strip_suffix('*') {
                Some(name) => (name, true),
                None => (*name, false),
            };
            let (name, updates) = match name.strip_suffix("(reads)") {
                Some(name) => (name, false),
                None => (name, true),
            };
            let worker = Worker {
                machine: None,
                journal: Journal::empty(),
                uid: uid(name, 1),
                installation: 1,
                started: Duration::ZERO,
                crash: None,
                updates,
                replaceable,
                holds: true,
                fails: None,
                busy: false,
                work: Vec::new(),
            };
            self.workers.insert(name.to_owned(), worker);
        }
        self.start_chief(LogState::Whole);
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.start_worker(&name);
        }
    }

    fn stage(&mut self, names: &[&str]) {
        let chosen = |name: &&String| names.is_empty() || names.contains(&name.as_str());
        let names: Vec<String> = self.workers.keys().filter(chosen).cloned().collect();
        let shares = names.iter().map(|name| self.share(name)).collect();
        let prepare_timeout = Duration::from_secs(30);
        self.tell_chief(CoordinatorEvent::AllStaged { job: job(), shares, prepare_timeout });
    }

    fn cancel(&mut self, by: &str) {
        let cause = Cause {
            reason: "CANCELLED".to_owned(),
            message: format!("{by} cancelled the job"),
            by: by.to_owned(),
        };
        self.tell_chief(CoordinatorEvent::AbortAsked { job: job(), cause });
    }

    /// Stands for the engine, which finds a worker lost and another that holds what it owes.
    fn replace(&mut self, from: &str, by: &str) {
        let from = self.installation(from);
        let chief = self.chief.machine.as_ref().expect("C is up");
        let owed = chief.owed(&job(), &from).into_iter().flat_map(|share| share.pledges);
        let (pledges, holder) = (owed.collect(), self.installation(by));
        let to = vec![Share { holder, address: address(by), pledges }];
        self.tell_chief(CoordinatorEvent::Replace { job: job(), from, to });
    }

    /// Stands for the engine, which tells everybody when the job is over.
    fn release(&mut self) {
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            let log = self.position();
            self.post("C", &name, None, Content::Down(Message::Release { job: job() }, log));
        }
    }

    /// Delivers what is on its way; what follows from it stays on its way.
    fn deliver_once(&mut self, chosen: impl Fn(&Parcel) -> bool) {
        let all = std::mem::take(&mut self.flight);
        let (now, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|parcel| chosen(parcel));
        self.flight = later;
        for parcel in now {
            self.delivered.push(parcel.clone());
            self.hand_over(parcel);
        }
    }

    fn repeat(&mut self, from: &str, to: &str, what: &str) {
        let same = |parcel: &&Parcel| {
            parcel.from == from && parcel.to == to && say(&parcel.content).starts_with(what)
        };
        let parcel = self.delivered.iter().rfind(same).expect("it was delivered before").clone();
        self.hand_over(parcel);
    }

    fn hand_over(&mut self, parcel: Parcel) {
        let Parcel { from, to, uid, content } = parcel;
        match content {
            Content::Down(message, log) => {
                self.tell_worker(&to, ParticipantEvent::Received { message, log });
            }
            Content::Up(reply) => {
                let uid = uid.expect("every reply names its installation");
                let from = Installation { worker: worker_id(&from), uid };
                self.tell_chief(CoordinatorEvent::Received { from, reply });
            }
            Content::Ask { peer, txn } => {
                let uid = uid.expect("every question names its installation");
                let by = Installation { worker: worker_id(&from), uid };
                let Peer { installation, updates, .. } = peer;
                let asked = installation.uid;
                self.tell_worker(&to, ParticipantEvent::PeerAsked { txn, asked, updates, by });
            }
            Content::Tell { txn, knowledge } => {
                self.tell_worker(&to, ParticipantEvent::PeerAnswered { txn, knowledge });
            }
        }
    }

    fn idle(&mut self, who: &str) {
        let worker = self.worker(who);
        worker.busy = false;
        for event in std::mem::take(&mut worker.work) {
            self.tell_worker(who, event);
        }
    }

    /// Lets time pass second by second, so that every tick comes in its turn.
    fn wait(&mut self, time: Duration) {
        let end = self.time + time;
        while self.time < end {
            self.time += Duration::from_millis(500).min(end - self.time);
            self.tick();
        }
    }

    fn tick(&mut self) {
        let now = |started| moment(self.time, started);
        let (chief, started) = (&self.chief.machine, self.chief.started);
        let due =
            |at: Option<votum_machine::Moment>, started| at.is_some_and(|at| at <= now(started));
        if chief.as_ref().is_some_and(|machine| due(machine.next_deadline(), started)) {
            self.tell_chief(CoordinatorEvent::Tick);
            return self.tick();
        }
        let worker = self.workers.iter().find(|(_, worker)| {
            let machine = worker.machine.as_ref();
            machine.is_some_and(|machine| due(machine.next_deadline(), worker.started))
        });
        if let Some(name) = worker.map(|(name, _)| name.clone()) {
            self.tell_worker(&name, ParticipantEvent::Tick);
            self.tick();
        }
    }

    fn sync(&mut self, who: &str) {
        if who == "C" { self.chief.journal.sync() } else { self.worker(who).journal.sync() }
    }

    fn crash(&mut self, who: &str) {
        writeln!(self.said, "{who}  crashes").expect("a string takes everything");
        if who == "C" {
            self.chief.machine = None;
            self.chief.journal.crash();
        } else {
            let worker = self.worker(who);
            worker.machine = None;
            worker.journal.crash();
            worker.work.clear();
        }
        // Its sessions end with it, and with them what was on its way.
        self.flight.retain(|parcel| parcel.from != who && parcel.to != who);
    }

    fn arm(&mut self, who: &str, point: CrashPoint) {
        if who == "C" {
            self.chief.crash = Some(point);
        } else {
            self.worker(who).crash = Some(point);
        }
    }

    fn start_chief(&mut self, log: LogState) {
        let held = self.position();
        self.chief.epoch += 1;
        self.chief.started = self.time;
        let epoch = Epoch(self.chief.epoch);
        let start = Start { cluster: cluster(), epoch, incarnation: incarnation(epoch), held, log };
        let records = self.chief.journal.durable.clone();
        let decided = !records.is_empty();
        let machine = Coordinator::replay(start, records).expect("the log is sound");
        self.chief.machine = Some(machine);
        if epoch > Epoch(1) && !decided {
            self.tell_chief(CoordinatorEvent::Opened { job: job(), deadline: None });
        }
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.meet(&name);
        }
        self.tick();
    }

    fn start_worker(&mut self, who: &str) {
        let time = self.time;
        let worker = self.worker(who);
        worker.started = time;
        let records = worker.journal.durable.clone();
        let machine = Participants::replay(worker.uid, records).expect("the log is sound");
        worker.machine = Some(machine);
        if worker.holds {
            self.tell_worker(who, ParticipantEvent::Sealed { job: job() });
        }
        self.meet(who);
        self.tick();
    }

    /// Opens a session, if both ends are up: Hello, inventory, and questions without delay.
    fn meet(&mut self, who: &str) {
        let worker = &self.workers[who];
        let from = Installation { worker: worker_id(who), uid: worker.uid };
        let (Some(_), Some(machine)) = (&self.chief.machine, &worker.machine) else { return };
        let seen = machine.seen();
        let committed: Vec<(TxnId, Vec<Pledge>)> =
            machine.committed().map(|(txn, pledges)| (txn.clone(), pledges.to_vec())).collect();
        self.tell_chief(CoordinatorEvent::Met { from: from.clone(), seen });
        for (txn, pledges) in committed {
            let share = Share { holder: from.clone(), address: address(who), pledges };
            let from = from.clone();
            self.tell_chief(CoordinatorEvent::FoundCommitted { from, txn, share });
        }
        self.tell_worker(who, ParticipantEvent::Connected);
        self.tick();
    }

    fn wipe(&mut self, who: &str) {
        let worker = self.worker(who);
        worker.installation += 1;
        worker.uid = uid(who, worker.installation);
        worker.journal = Journal::empty();
        worker.holds = false;
        self.flight.retain(|parcel| parcel.from != who && parcel.to != who);
        self.start_worker(who);
    }

    fn tell_chief(&mut self, event: CoordinatorEvent) {
        let now = moment(self.time, self.chief.started);
        let Some(machine) = &mut self.chief.machine else { return };
        let reaction = machine.step(now, event);
        if let Some(record) = reaction.record {
            let point = self.chief.crash.take();
            if point == Some(CrashPoint::BeforeRecord) {
                return self.crash("C");
            }
            let forced = record.forced();
            self.say_record("C", words::coordinator_record(&record), forced);
            self.chief.journal.append(record, forced);
            if point == Some(CrashPoint::AfterRecord) {
                return self.crash("C");
            }
        }
        for action in reaction.actions {
            self.act_for_chief(action);
        }
    }

    fn act_for_chief(&mut self, action: CoordinatorAction) {
        match &action {
            CoordinatorAction::Send { to, message } => {
                let log = self.position();
                self.post("C", to.as_str(), None, Content::Down(message.clone(), log));
            }
            CoordinatorAction::Raise(alarm) => self.say_line("C", &format!("alarm: {alarm}")),
            CoordinatorAction::Preparing { .. }
            | CoordinatorAction::ShareLost { .. }
            | CoordinatorAction::Committing { .. }
            | CoordinatorAction::Committed { .. }
            | CoordinatorAction::Aborting { .. }
            | CoordinatorAction::Replaced { .. }
            | CoordinatorAction::Declined { .. }
            | CoordinatorAction::TooLate { .. } => {
                self.say_line("C", &format!("report {}", words::report(&action)));
            }
        }
    }

    fn tell_worker(&mut self, who: &str, event: ParticipantEvent) {
        let time = self.time;
        let worker = self.worker(who);
        let now = moment(time, worker.started);
        let Some(machine) = &mut worker.machine else { return };
        let reaction = machine.step(now, event);
        if let Some(record) = reaction.record {
            let point = worker.crash.take();
            if point == Some(CrashPoint::BeforeRecord) {
                return self.crash(who);
            }
            let forced = record.forced();
            worker.journal.append(record.clone(), forced);
            self.say_record(who, words::participant_record(&record), forced);
            if point == Some(CrashPoint::AfterRecord) {
                return self.crash(who);
            }
        }
        for action in reaction.actions {
            self.act_for_worker(who, action);
        }
    }

    fn act_for_worker(&mut self, who: &str, action: ParticipantAction) {
        let uid = Some(self.workers[who].uid);
        match action {
            ParticipantAction::Send(reply) => self.post(who, "C", uid, Content::Up(reply)),
            ParticipantAction::AskPeer { peer, txn } => {
                let to = peer.installation.worker.to_string();
                self.post(who, &to, uid, Content::Ask { peer, txn });
            }
            ParticipantAction::AnswerPeer { to, txn, knowledge } => {
                let content = Content::Tell { txn, knowledge };
                self.post(who, to.worker.as_str(), uid, content);
            }
            ParticipantAction::Check { txn, .. } => self.check(who, txn),
            ParticipantAction::Publish { txn, .. } => {
                self.say_line(who, &format!("publishes {}", round(&txn)));
                self.labour(who, ParticipantEvent::Published { txn });
            }
            ParticipantAction::TakeOver { txn, number, .. } => {
                self.say_line(who, &format!("publishes {} as {number}", round(&txn)));
                self.labour(who, ParticipantEvent::TookOver { txn, number });
            }
            ParticipantAction::Withdraw { txn, number, .. } => {
                self.say_line(who, &format!("withdraws {} as {number}", round(&txn)));
                self.labour(who, ParticipantEvent::Withdrawn { txn, number });
            }
            ParticipantAction::Discard { .. } => {
                self.worker(who).holds = false;
                self.say_line(who, "discards");
            }
            ParticipantAction::Raise(alarm) => self.say_line(who, &format!("alarm: {alarm}")),
        }
    }

    fn check(&mut self, who: &str, txn: TxnId) {
        let worker = self.worker(who);
        let result = match worker.fails.clone() {
            None => Vote::Yes,
            Some(reason) => {
                Vote::No(Objection::Failed { reason, message: "the check failed".to_owned() })
            }
        };
        self.say_line(who, &format!("checks {}", round(&txn)));
        self.labour(who, ParticipantEvent::Checked { txn, result });
    }

    /// Ends slow work at once, unless the worker is busy.
    fn labour(&mut self, who: &str, done: ParticipantEvent) {
        let worker = self.worker(who);
        if worker.busy { worker.work.push(done) } else { self.tell_worker(who, done) }
    }

    fn post(&mut self, from: &str, to: &str, uid: Option<WorkerUid>, content: Content) {
        let up = |who: &str| match who {
            "C" => self.chief.machine.is_some(),
            name => self.workers.get(name).is_some_and(|worker| worker.machine.is_some()),
        };
        let arrives = up(to);
        let lost = if arrives { "" } else { " (lost)" };
        writeln!(self.said, "{from} -> {to}  {}{lost}", say(&content))
            .expect("a string takes everything");
        self.messages += 1;
        if arrives {
            self.flight.push(Parcel { from: from.to_owned(), to: to.to_owned(), uid, content });
        }
    }

    fn position(&self) -> LogPosition {
        let epoch = Epoch(self.chief.epoch);
        let lsn = self.chief.epoch + self.chief.journal.durable.len() as u64;
        LogPosition { cluster: cluster(), epoch, start: incarnation(epoch), lsn }
    }

    fn share(&self, who: &str) -> Share {
        let worker = &self.workers[who];
        let target = worker.updates.then(|| Target {
            path: format!("{who}/rows"),
            kind: TargetKind::File,
            mode: None,
            existing: Existing::Replace,
            generations_kept: None,
        });
        let pledge = Pledge {
            task: TaskId::new(who).expect("roles are names"),
            output: OutputName::new("rows").expect("it is a name"),
            token: FencingToken { epoch: Epoch(1), counter: u64::from(worker.installation) },
            digest: Digest([7; 32]),
            replaceable: worker.replaceable,
            target,
        };
        let holder = Installation { worker: worker_id(who), uid: worker.uid };
        Share { holder, address: address(who), pledges: vec![pledge] }
    }

    fn installation(&self, who: &str) -> Installation {
        Installation { worker: worker_id(who), uid: self.workers[who].uid }
    }

    fn worker(&mut self, who: &str) -> &mut Worker {
        self.workers.get_mut(who).expect("the role is known")
    }

    fn say_line(&mut self, who: &str, line: &str) {
        writeln!(self.said, "{who}  {line}").expect("a string takes everything");
    }

    fn say_record(&mut self, who: &str, record: String, forced: bool) {
        let how = if forced { "record" } else { "lazy record" };
        self.say_line(who, &format!("{how} {record}"));
    }

    fn say_state(&mut self) {
        let chief = match &self.chief.machine {
            None => "is down".to_owned(),
            Some(machine) => words::standing(machine.phase(&job())),
        };
        self.say_line("C", &chief);
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            let worker = &self.workers[&name];
            let state = words::part(worker.machine.as_ref(), &job());
            self.say_line(&name, &state);
        }
    }
}

fn say(content: &Content) -> String {
    match content {
        Content::Down(message, _) => say_message(message),
        Content::Up(reply) => say_reply(reply),
        Content::Ask { txn, .. } => format!("what of {}?", round(txn)),
        Content::Tell { txn, knowledge } => format!("{} {}", say_knowledge(*knowledge), round(txn)),
    }
}

fn job() -> JobId {
    JobId::new("sales").expect("it is a name")
}

fn worker_id(who: &str) -> WorkerId {
    WorkerId::new(who).expect("roles are names")
}

fn address(who: &str) -> String {
    format!("{who}:7878")
}

fn uid(who: &str, installation: u32) -> WorkerUid {
    let letters = who.bytes().fold(0_u64, |sum, letter| sum * 31 + u64::from(letter));
    let text = format!("{installation:08x}-0000-0000-0000-{:012x}", letters & 0xffff_ffff_ffff);
    text.parse().expect("it has the form of a UUID")
}

fn cluster() -> ClusterId {
    "00000000-0000-0000-0000-00000000c1c1".parse().expect("it has the form of a UUID")
}

fn incarnation(epoch: Epoch) -> Incarnation {
    format!("00000000-0000-0000-0000-{epoch:0>12}").parse().expect("it has the form of a UUID")
}
