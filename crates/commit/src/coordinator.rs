//! The coordinator's half of every open transaction, and its answers to those in doubt.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{ClusterId, Epoch, Incarnation, JobId, TxnId, WorkerId, WorkerUid};
use votum_machine::{Machine, Moment};

use crate::{
    Alarm, CoordinatorAction, CoordinatorEvent, CoordinatorRecord, Installation, LogPosition,
    Message, Reply, Share, Stage, Standing,
    agenda::Agenda,
    delivery::Delivery,
    transaction::{Event, Transaction},
};

type Reaction = votum_machine::Reaction<CoordinatorRecord, CoordinatorAction>;

/// All open transactions of one start of the coordinator (TM, the literature says).
///
/// Every job has to be [`CoordinatorEvent::Opened`] before the first worker is
/// met: what is not open has ended or never was, and is presumed aborted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coordinator {
    start: Start,
    open: BTreeMap<JobId, Transaction>,
    agenda: Agenda,
    /// Jobs whose records cannot all be understood; of what is open here nothing is decided,
    /// ended or denied about these.
    quarantined: BTreeSet<JobId>,
    /// The installation of each worker whose knowledge of the log was compared.
    met: BTreeMap<WorkerId, WorkerUid>,
}

/// What a start of the coordinator knows about its log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// Whose log.
    pub cluster: ClusterId,
    /// Of this start; raised and durable before any session.
    pub epoch: Epoch,
    /// This start.
    pub incarnation: Incarnation,
    /// The last position that the log held when it was opened, before the epoch was raised.
    pub held: LogPosition,
    /// Whether the log can be trusted to hold every decision.
    pub log: LogState,
}

/// Whether a log holds every decision that was ever made from it (C6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogState {
    /// As far as is known; a worker may know better.
    Whole,
    /// It was restored from a copy, or a worker has seen it further.
    Stale,
}

impl Coordinator {
    /// Starts with no transaction; [`Coordinator::replay`] continues what a log holds.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            start,
            open: BTreeMap::new(),
            agenda: Agenda::default(),
            quarantined: BTreeSet::new(),
            met: BTreeMap::new(),
        }
    }

    /// Says whether decisions may be missing from the log: nothing more is decided from it.
    ///
    /// A restart forgets what the workers said, so the shell records that the
    /// log is stale and says so in [`Start::log`] until a person has settled it.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.start.log == LogState::Stale
    }

    /// Returns where a job stands; none if it is not open here.
    #[must_use]
    pub fn phase(&self, job: &JobId) -> Option<Standing> {
        let standing = self.open.get(job)?.standing();
        let delivers = |standing: &Standing| matches!(standing.stage, Stage::Delivering { .. });
        if self.quarantined.contains(job) && !standing.as_ref().is_some_and(delivers) {
            return Some(Standing { since: Moment::START, stage: Stage::Quarantined });
        }
        standing
    }

    /// Returns what a participant of a decided commit has promised, while the job is open here.
    #[must_use]
    pub fn promised(&self, job: &JobId, holder: &Installation) -> Option<&Share> {
        self.open.get(job)?.promised(holder)
    }

    /// Returns what an installation still owes a committed job: what it has not made visible, be
    /// it promised by itself or taken over.
    #[must_use]
    pub fn owed(&self, job: &JobId, by: &Installation) -> Vec<Share> {
        let delivery = self.open.get(job).and_then(Transaction::delivery);
        delivery
            .map_or_else(Vec::new, |delivery| delivery.owed_by(by).into_values().cloned().collect())
    }

    /// Says whether an installation was forced to abort a job that is committed, so that it can
    /// take nobody's place.
    #[must_use]
    pub fn is_barred(&self, job: &JobId, holder: &Installation) -> bool {
        let delivery = self.open.get(job).and_then(Transaction::delivery);
        delivery.is_some_and(|delivery| delivery.is_barred(holder))
    }

    /// Returns every installation that still owes something to a committed job.
    #[must_use]
    pub fn owing(&self, job: &JobId) -> BTreeSet<Installation> {
        let delivery = self.open.get(job).and_then(Transaction::delivery);
        delivery.map(Delivery::owing).unwrap_or_default()
    }

    /// Returns who publishes what of a committed job in the place of others.
    #[must_use]
    pub fn takers(&self, job: &JobId) -> Vec<Share> {
        let delivery = self.open.get(job).and_then(Transaction::delivery);
        delivery.map(|delivery| delivery.takers().cloned().collect()).unwrap_or_default()
    }

    /// Returns who was replaced as a publisher of a committed job, and has not confirmed it (C14).
    #[must_use]
    pub fn untold(&self, job: &JobId) -> BTreeSet<Installation> {
        let delivery = self.open.get(job).and_then(Transaction::delivery);
        delivery.map(|delivery| delivery.untold().cloned().collect()).unwrap_or_default()
    }

    /// Returns every open job, in order.
    pub fn jobs(&self) -> impl Iterator<Item = &JobId> {
        self.open.keys()
    }

    /// Returns the jobs whose records cannot all be understood, in order.
    pub fn quarantined(&self) -> impl Iterator<Item = &JobId> {
        self.quarantined.iter()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.start.epoch
    }

    pub(crate) fn resume_with(&mut self, job: JobId, transaction: Transaction) {
        let before = self.open.get(&job).and_then(Transaction::due);
        self.agenda.move_deadline(&job, before, transaction.due());
        self.open.insert(job, transaction);
    }

    pub(crate) fn quarantine(&mut self, job: JobId) {
        self.quarantined.insert(job);
    }

    fn hear(&mut self, now: Moment, from: Installation, reply: Reply) -> Reaction {
        match reply {
            Reply::Voted { txn, vote } => {
                self.pass(now, &txn.job.clone(), Event::Voted { txn, by: from, vote })
            }
            Reply::Acked { txn } => {
                self.pass(now, &txn.job.clone(), Event::Acked { txn, by: from })
            }
            Reply::TookOver { txn, number } => {
                self.pass(now, &txn.job.clone(), Event::TookOver { txn, number, by: from })
            }
            Reply::Declined { txn, number } => {
                self.pass(now, &txn.job.clone(), Event::Declined { txn, number, by: from })
            }
            Reply::StoodDown { txn, number } => {
                self.pass(now, &txn.job.clone(), Event::StoodDown { txn, number, by: from })
            }
            Reply::Forced(heuristic) => {
                let job = heuristic.txn.job.clone();
                self.pass(now, &job, Event::Forced { heuristic, by: from })
            }
            Reply::Inquired { txn, .. } => self.answer(now, from, txn),
        }
    }

    fn answer(&mut self, now: Moment, from: Installation, txn: TxnId) -> Reaction {
        let compared = self.met.get(&from.worker) == Some(&from.uid);
        let whole = self.start.log == LogState::Whole && !self.quarantined.contains(&txn.job);
        if let Some(transaction) = self.open.get_mut(&txn.job) {
            let question = Event::Inquired { txn, by: from };
            return if compared && whole {
                transaction.step(now, question)
            } else {
                transaction.step_in_doubt_of_the_log(now, question)
            };
        }
        let message = if !compared || self.is_stale() {
            Message::Undecided { txn }
        } else {
            Message::Abort { job: txn.job } // Presumed: no record, no commit.
        };
        Reaction::perform([CoordinatorAction::Send { to: from.worker, message }])
    }

    fn meet(&mut self, from: Installation, seen: Option<LogPosition>) -> Reaction {
        if let Some(seen) = seen {
            if seen.cluster != self.start.cluster {
                let alarm = Alarm::ForeignLog { by: from, cluster: seen.cluster };
                return Reaction::perform([CoordinatorAction::Raise(alarm)]);
            }
            // What this start has said itself is in the log, however long it has grown since.
            if seen.start != self.start.incarnation && seen.outruns(&self.start.held) {
                self.met.insert(from.worker.clone(), from.uid);
                return self.distrust_log(from);
            }
        }
        self.met.insert(from.worker, from.uid);
        Reaction::none()
    }

    fn find(&mut self, now: Moment, from: Installation, event: Event, job: &JobId) -> Reaction {
        let undecided = self.open.get(job).is_some_and(Transaction::is_undecided);
        let reaction = self.pass(now, job, event);
        // What the records of a quarantined job do not tell is lost to damage, not to age.
        if !undecided || self.quarantined.contains(job) {
            return reaction;
        }
        // A commit was acted upon that the log does not hold: it may lack others.
        self.distrust_log(from).actions.into_iter().fold(reaction, Reaction::then)
    }

    fn distrust_log(&mut self, by: Installation) -> Reaction {
        if self.is_stale() {
            return Reaction::none();
        }
        self.start.log = LogState::Stale;
        Reaction::perform([CoordinatorAction::Raise(Alarm::StaleLog { by })])
    }

    /// Does what a person has settled about a job of which the log does not tell enough.
    fn settle(&mut self, job: &JobId, step: impl FnOnce(&mut Transaction) -> Reaction) -> Reaction {
        let Some(transaction) = self.open.get_mut(job) else { return Reaction::none() };
        let due = transaction.due();
        let reaction = step(transaction);
        self.agenda.move_deadline(job, due, transaction.due());
        reaction
    }

    /// Steps one transaction and keeps the agenda; a job that is not open has ended.
    fn pass(&mut self, now: Moment, job: &JobId, event: Event) -> Reaction {
        let Some(transaction) = self.open.get_mut(job) else { return Reaction::none() };
        let due = transaction.due();
        let reaction = match self.start.log {
            LogState::Whole if !self.quarantined.contains(job) => transaction.step(now, event),
            LogState::Whole | LogState::Stale => transaction.step_in_doubt_of_the_log(now, event),
        };
        self.agenda.move_deadline(job, due, transaction.due());
        if transaction.has_ended() {
            self.open.remove(job);
        }
        reaction
    }
}

impl Machine for Coordinator {
    type Event = CoordinatorEvent;
    type Record = CoordinatorRecord;
    type Action = CoordinatorAction;

    fn step(&mut self, now: Moment, event: CoordinatorEvent) -> Reaction {
        match event {
            CoordinatorEvent::Opened { job, deadline } => {
                // A job that the log has decided, or that is set aside, is open already, and
                // stays as it is.
                let epoch = self.start.epoch;
                let begin = || Transaction::new(now, job.clone(), epoch, deadline);
                self.open.entry(job.clone()).or_insert_with(begin);
                Reaction::none()
            }
            CoordinatorEvent::TimeBegan { job, deadline } => {
                if let Some(transaction) = self.open.get_mut(&job) {
                    transaction.begin_time(deadline);
                }
                Reaction::none()
            }
            CoordinatorEvent::KeepsStaged { job } => {
                if let Some(transaction) = self.open.get_mut(&job) {
                    transaction.keep_staged();
                }
                Reaction::none()
            }
            CoordinatorEvent::AllStaged { job, shares, prepare_timeout } => {
                self.pass(now, &job, Event::AllStaged { shares, prepare_timeout })
            }
            CoordinatorEvent::Withdrawn { job } => self.pass(now, &job, Event::Withdrawn),
            CoordinatorEvent::Received { from, reply } => self.hear(now, from, reply),
            CoordinatorEvent::AbortAsked { job, cause } => {
                self.pass(now, &job, Event::AbortAsked { cause })
            }
            CoordinatorEvent::Met { from, seen } => self.meet(from, seen),
            CoordinatorEvent::FoundCommitted { from, txn, share } => {
                let job = txn.job.clone();
                let event = Event::FoundCommitted { txn, by: from.clone(), share };
                self.find(now, from, event, &job)
            }
            CoordinatorEvent::GiveUpAsked { job, holder, forced } => {
                self.pass(now, &job, Event::GiveUpAsked { holder, forced })
            }
            CoordinatorEvent::Removed { job, holder } => {
                self.pass(now, &job, Event::Removed { holder })
            }
            CoordinatorEvent::Replace { job, from, to } => {
                self.pass(now, &job, Event::Replace { from, to })
            }
            CoordinatorEvent::AbortSettled { job, cause } => {
                self.settle(&job, |transaction| transaction.settle_abort(now, cause))
            }
            CoordinatorEvent::EndSettled { job } => {
                self.quarantined.remove(&job);
                let due = self.open.remove(&job).and_then(|transaction| transaction.due());
                self.agenda.move_deadline(&job, due, None);
                Reaction::none()
            }
            CoordinatorEvent::Stopped { job } => self.pass(now, &job, Event::Stopped),
            CoordinatorEvent::Tick => match self.agenda.most_urgent(now) {
                Some(job) => self.pass(now, &job, Event::Tick),
                None => Reaction::none(),
            },
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.agenda.first()
    }
}
