//! Every transaction that one worker has a part in.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::{JobId, TxnId, WorkerUid};
use votum_machine::{Machine, Moment};

use crate::{
    Heuristic, Installation, Knowledge, LogPosition, Message, Objection, ParticipantAction,
    ParticipantEvent, ParticipantRecord, Peer, Pledge, Reply, Vote,
    agenda::Agenda,
    participant::{self, Participant, Phase},
    takeover::Takeover,
};

type Reaction = votum_machine::Reaction<ParticipantRecord, ParticipantAction>;

/// The participants of one installation of a worker, one for each job that it has sealed for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Participants {
    own: WorkerUid,
    jobs: BTreeMap<JobId, Participant>,
    agenda: Agenda,
    /// Jobs whose records contradict each other: their data is kept, nothing is promised.
    quarantined: BTreeSet<JobId>,
    seen: Option<LogPosition>,
}

impl Participants {
    /// Starts with no job; [`Participants::replay`] continues what a log holds.
    #[must_use]
    pub fn new(own: WorkerUid) -> Self {
        Self {
            own,
            jobs: BTreeMap::new(),
            agenda: Agenda::default(),
            quarantined: BTreeSet::new(),
            seen: None,
        }
    }

    /// Returns the rounds that are in doubt here, in order.
    pub fn in_doubt(&self) -> impl Iterator<Item = &TxnId> {
        self.jobs.values().filter_map(|job| match &job.phase {
            Phase::Prepared(doubt) => Some(&doubt.promise.txn),
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => None,
        })
    }

    /// Returns the round in which a job is in doubt here, if it is.
    #[must_use]
    pub fn doubt(&self, job: &JobId) -> Option<&TxnId> {
        match &self.jobs.get(job)?.phase {
            Phase::Prepared(doubt) => Some(&doubt.promise.txn),
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => None,
        }
    }

    /// Returns the rounds that committed and are not released, with what was promised in them, or
    /// taken over from others.
    pub fn committed(&self) -> impl Iterator<Item = (&TxnId, &[Pledge])> {
        let own = self.jobs.values().filter_map(|job| match &job.phase {
            Phase::Finishing { promise, .. } | Phase::Ended(promise) => {
                Some((&promise.txn, promise.pledges.as_slice()))
            }
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            // What was forced is no decision, and nobody may adopt it as one (C6).
            | Phase::Forced { .. }
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => None,
        });
        let taken = self.jobs.values().flat_map(|job| job.takeovers.values());
        let taken = taken.filter(|taken| taken.is_current());
        own.chain(taken.map(|taken| (&taken.txn, taken.pledges.as_slice())))
    }

    /// Returns the jobs whose abort is known and that are not released, in order.
    pub fn aborted(&self) -> impl Iterator<Item = &JobId> {
        self.jobs.values().filter_map(|job| match &job.phase {
            Phase::Aborted { .. } => Some(&job.job),
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Released { .. }
            | Phase::Forgotten => None,
        })
    }

    /// Returns the jobs of which is only known that what was taken over from another was taken away
    /// again, in order.
    pub fn stood_down(&self) -> impl Iterator<Item = &JobId> {
        let gone = |job: &&Participant| {
            let taken = !job.takeovers.is_empty();
            job.phase == Phase::Staged && taken && !job.takeovers.values().any(Takeover::is_current)
        };
        self.jobs.values().filter(gone).map(|job| &job.job)
    }

    /// Returns what a person has forced here and the coordinator has not released, by job.
    pub fn forced(&self) -> impl Iterator<Item = &Heuristic> {
        self.jobs.values().filter_map(|job| Some(&*job.report.as_ref()?.heuristic))
    }

    /// Returns what was promised in a round that is in doubt here, or was ended by force, and who
    /// else has part in it.
    #[must_use]
    pub fn promised(&self, job: &JobId) -> Option<(&[Pledge], &[Peer])> {
        let promise = match &self.jobs.get(job)?.phase {
            Phase::Prepared(doubt) => &doubt.promise,
            Phase::Forced { promise, .. } => promise,
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Finishing { .. }
            | Phase::Ended(_)
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => return None,
        };
        Some((&promise.pledges, &promise.peers))
    }

    /// Says whether the coordinator has noted whatever a person has forced about a job here.
    #[must_use]
    pub fn is_reported(&self, job: &JobId) -> bool {
        self.jobs.get(job).is_none_or(Participant::is_reported)
    }

    /// Says whether the decision on a job is known here: it may not be forced any more (H1).
    #[must_use]
    pub fn is_decided(&self, job: &JobId) -> bool {
        self.jobs.get(job).is_some_and(|job| match &job.phase {
            Phase::Finishing { .. } | Phase::Ended(_) | Phase::Aborted { .. } => true,
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Prepared(_)
            | Phase::Forced { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => false,
        })
    }

    /// Returns the rounds that were refused and whose jobs are not decided here.
    pub fn refusals(&self) -> impl Iterator<Item = &TxnId> {
        self.jobs.values().flat_map(|job| &job.refused)
    }

    /// Returns the furthest position of the coordinator's log that is known here (C6).
    ///
    /// After a restart, it is the furthest that came with a Prepared that is still kept.
    #[must_use]
    pub fn seen(&self) -> Option<LogPosition> {
        self.seen
    }

    /// Returns every job that is not released and that anything is known about, in order.
    pub fn jobs(&self) -> impl Iterator<Item = &JobId> {
        let open = |job: &&Participant| !matches!(job.phase, Phase::Released { .. });
        self.jobs.values().filter(open).map(|job| &job.job)
    }

    /// Returns the jobs whose records contradict each other, in order.
    pub fn quarantined(&self) -> impl Iterator<Item = &JobId> {
        self.quarantined.iter()
    }

    pub(crate) fn resume_with(&mut self, participant: Participant) {
        let job = participant.job.clone();
        self.agenda.move_deadline(&job, None, participant.due());
        self.jobs.insert(job, participant);
    }

    pub(crate) fn quarantine(&mut self, job: JobId) {
        self.quarantined.insert(job);
    }

    /// Remembers how far the coordinator's log is known to have grown.
    pub(crate) fn see(&mut self, log: LogPosition) {
        match self.seen {
            // A worker does not move to another cluster; its session shows the contradiction.
            Some(seen) if seen.cluster != log.cluster || !log.outruns(&seen) => {}
            Some(_) | None => self.seen = Some(log),
        }
    }

    fn hear(&mut self, now: Moment, message: Message, log: LogPosition) -> Reaction {
        self.see(log);
        match &message {
            Message::Prepare { txn, holder, pledges, .. } => {
                if holder.uid != self.own {
                    return participant::object(txn.clone(), Objection::WrongInstallation);
                }
                if pledges.iter().all(|pledge| pledge.target.is_none()) {
                    if let Some(job) = self.jobs.get_mut(&txn.job) {
                        job.abstain(txn.clone());
                    }
                    return participant::vote(txn.clone(), Vote::ReadOnly);
                }
            }
            // It does not name this installation, whatever it was promised by another.
            Message::Commit { holder, .. }
            | Message::TakeOver { holder, .. }
            | Message::Replaced { holder, .. }
                if holder.uid != self.own =>
            {
                return Reaction::none();
            }
            Message::Commit { .. }
            | Message::TakeOver { .. }
            | Message::Replaced { .. }
            | Message::Abort { .. }
            | Message::Undecided { .. }
            | Message::RoundEnded { .. }
            | Message::Noted { .. }
            | Message::Release { .. } => {}
        }
        let job = message.job().clone();
        if self.quarantined.contains(&job) {
            return self.hear_of_quarantined(message);
        }
        if !self.jobs.contains_key(&job) {
            return self.hear_of_unknown(message);
        }
        self.pass(now, &job, ParticipantEvent::Received { message, log })
    }

    /// Answers for a job of which nothing is known: nothing was sealed, or it was released.
    fn hear_of_unknown(&self, message: Message) -> Reaction {
        match message {
            Message::Prepare { txn, .. } => participant::object(txn, Objection::NotHeld),
            // A named installation forgets only what was published and released; the
            // coordinator has lost the lazy record of the end, and hears it again.
            Message::Commit { txn, .. } => participant::reply(Reply::Acked { txn }),
            Message::TakeOver { txn, number, .. } => {
                participant::reply(Reply::TookOver { txn, number })
            }
            // Nothing of it was ever visible here, or it was taken back and released.
            Message::Replaced { txn, number, .. } => {
                participant::reply(Reply::StoodDown { txn, number })
            }
            Message::Abort { job } | Message::Release { job } => {
                Reaction::perform([ParticipantAction::Discard { job }])
            }
            // Nobody here is in doubt, or was.
            Message::Undecided { .. } | Message::RoundEnded { .. } | Message::Noted { .. } => {
                Reaction::none()
            }
        }
    }

    /// Answers for a job whose records contradict each other: keeps its data for a person.
    fn hear_of_quarantined(&self, message: Message) -> Reaction {
        match message {
            Message::Prepare { txn, .. } => participant::object(txn, Objection::NotHeld),
            // Obeying might contradict what was promised or done.
            Message::Commit { .. }
            | Message::TakeOver { .. }
            | Message::Replaced { .. }
            | Message::Abort { .. }
            | Message::Undecided { .. }
            | Message::RoundEnded { .. }
            | Message::Noted { .. }
            | Message::Release { .. } => Reaction::none(),
        }
    }

    fn tell(
        &mut self,
        now: Moment,
        txn: TxnId,
        asked: WorkerUid,
        updates: bool,
        by: Installation,
    ) -> Reaction {
        // Only a whole log of the named installation can promise never to vote Yes, and
        // only a participant whose Yes the round needs can end it so (C7).
        let may_refuse = asked == self.own && updates && self.jobs.contains_key(&txn.job);
        if !may_refuse || self.quarantined.contains(&txn.job) {
            return participant::answer(by, txn, Knowledge::Unknown);
        }
        let job = txn.job.clone();
        self.pass(now, &job, ParticipantEvent::PeerAsked { txn, asked, updates, by })
    }

    /// Makes every question that is in doubt due; the ticks that follow ask one by one.
    fn connect(&mut self, now: Moment) -> Reaction {
        let asking = self.jobs.values().filter(|job| match &job.phase {
            Phase::Prepared(_) | Phase::Finishing { permitted: false, .. } => true,
            Phase::Staged
            | Phase::Checking(_)
            | Phase::Finishing { permitted: true, .. }
            | Phase::Ended(_)
            | Phase::Forced { .. }
            | Phase::Aborted { .. }
            | Phase::Released { .. }
            | Phase::Forgotten => job.asks_at().or(job.reports_at()).is_some(),
        });
        let asking: Vec<JobId> = asking.map(|job| job.job.clone()).collect();
        for job in asking {
            let reaction = self.pass(now, &job, ParticipantEvent::Connected);
            debug_assert_eq!(reaction, Reaction::none());
        }
        Reaction::none()
    }

    fn pass(&mut self, now: Moment, job: &JobId, event: ParticipantEvent) -> Reaction {
        let Some(participant) = self.jobs.get_mut(job) else { return Reaction::none() };
        let due = participant.due();
        let reaction = participant.step(now, event);
        self.agenda.move_deadline(job, due, participant.due());
        if participant.phase == Phase::Forgotten {
            self.jobs.remove(job);
        }
        reaction
    }
}

impl Machine for Participants {
    type Event = ParticipantEvent;
    type Record = ParticipantRecord;
    type Action = ParticipantAction;

    fn step(&mut self, now: Moment, event: ParticipantEvent) -> Reaction {
        match event {
            ParticipantEvent::Sealed { job } => {
                if !self.quarantined.contains(&job) && !self.jobs.contains_key(&job) {
                    self.jobs.insert(job.clone(), Participant::new(job.clone()));
                }
                self.pass(now, &job.clone(), ParticipantEvent::Sealed { job })
            }
            ParticipantEvent::Received { message, log } => self.hear(now, message, log),
            ParticipantEvent::Checked { ref txn, .. }
            | ParticipantEvent::Published { ref txn }
            | ParticipantEvent::TookOver { ref txn, .. }
            | ParticipantEvent::Withdrawn { ref txn, .. }
            | ParticipantEvent::PeerAnswered { ref txn, .. } => {
                let job = txn.job.clone();
                self.pass(now, &job, event)
            }
            ParticipantEvent::PeerAsked { txn, asked, updates, by } => {
                self.tell(now, txn, asked, updates, by)
            }
            ParticipantEvent::ForceAsked { ref job, .. } => {
                let job = job.clone();
                if self.quarantined.contains(&job) {
                    return Reaction::none();
                }
                self.pass(now, &job, event)
            }
            ParticipantEvent::Connected => self.connect(now),
            ParticipantEvent::Tick => match self.agenda.most_urgent(now) {
                Some(job) => self.pass(now, &job, ParticipantEvent::Tick),
                None => Reaction::none(),
            },
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.agenda.first()
    }
}
