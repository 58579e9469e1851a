//! A job whose records cannot all be read: what is known of it, for people and for a case.
//!
//! Nothing in here decides anything. What may be said of such a job to others is the commit
//! coordinator's matter ([`votum_commit::Coordinator::set_aside`]).

use std::collections::{BTreeMap, BTreeSet};

use votum_commit::{
    Cause, CoordinatorRecord, Decision, Forced, Heuristic, Pledge, Share, readable_commit,
};
use votum_driver::{Stamped, decode};
use votum_ids::{AttemptId, Epoch, JobId, TxnId, WorkerId};
use votum_journal::{Stored, Urgency};
use votum_machine::WallTime;
use votum_schedule::Scheduler;
use votum_wire::{
    EvidenceView, RecordDamage,
    view::{DAMAGES_MAX, JobState},
};

use crate::{
    open_job::OpenJob,
    record::{JobRecord, Record, Ruled, Ruling},
};

/// Everything that is known of a quarantined job.
#[derive(Debug)]
pub(crate) struct Quarantined {
    /// Its name.
    pub job: JobId,
    /// How many records the log has of it.
    pub records: u64,
    /// How many of them cannot be read.
    pub damaged: u64,
    /// The oldest of these, at most [`DAMAGES_MAX`].
    pub damages: Vec<RecordDamage>,
    /// Who submitted what, and when what happened; none if the first record is damaged.
    pub open: Option<OpenJob>,
    /// What ran where, as of the last record before the damage.
    pub schedule: Scheduler,
    /// Where the job stood at that record.
    pub last_state: Option<JobState>,
    /// When that record was made.
    pub last_recorded: Option<WallTime>,
    /// When the oldest record that can be read was made.
    pub first_readable: Option<WallTime>,
    /// Every record of the commit protocol that can be read, before and after the damage.
    pub decisions: Vec<Stamped<CoordinatorRecord>>,
    /// The round that commits and who publishes what, if that can be read and nothing that
    /// can be read speaks against it.
    pub commit: Option<(TxnId, Vec<Share>)>,
    /// Whether a record that can be read says that it had ended: nothing is owed to anybody.
    pub closed: bool,
    /// What that record says it came to.
    pub ended_as: Option<Decision>,
    /// What a person has decided about it, if that was done.
    pub ruling: Option<Stamped<Ruling>>,
    /// What workers list of it since the coordinator's start.
    pub listed: BTreeMap<WorkerId, Listing>,
}

/// What a worker lists of a quarantined job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Attempts whose process runs.
    pub live: u32,
    /// Attempts that ended; what they sealed is staged.
    pub ended: u32,
    /// Checkpoints.
    pub checkpoints: u32,
    /// The round that it is in doubt about.
    pub prepared: Option<TxnId>,
    /// The round that it was told to commit.
    pub committed: Option<TxnId>,
    /// What it has to publish of that round, or has published.
    pub pledges: Vec<Pledge>,
    /// Every attempt that it lists.
    pub attempts: BTreeSet<AttemptId>,
}

/// A record that cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// Which record of the job, counted from 0.
    pub at: usize,
    /// What contradicts what.
    pub why: String,
}

impl Contradiction {
    /// States that a job does not begin with its receipt.
    pub(crate) fn no_receipt() -> Self {
        Self { at: 0, why: "it is not the receipt of the job".to_owned() }
    }
}

/// Reads every record of a job.
///
/// # Errors
/// Every record that cannot be read, or that does not belong to the job, and why.
pub(crate) fn read(
    job: &JobId,
    stored: &[Stored],
) -> Result<Vec<Stamped<JobRecord>>, Vec<RecordDamage>> {
    let (mut records, mut damages) = (Vec::with_capacity(stored.len()), Vec::new());
    for (at, record) in stored.iter().enumerate() {
        match read_one(job, record) {
            Ok(record) => records.push(record),
            Err(problem) => damages.push(damage(stored, at, problem)),
        }
    }
    if damages.is_empty() { Ok(records) } else { Err(damages) }
}

/// Returns the records of a job that can be read, whatever lies between them.
pub(crate) fn readable(job: &JobId, stored: &[Stored]) -> Vec<Stamped<JobRecord>> {
    stored.iter().filter_map(|record| read_one(job, record).ok()).collect()
}

/// Describes a record of a stream that cannot be read or replayed.
pub(crate) fn damage(stored: &[Stored], at: usize, mut problem: String) -> RecordDamage {
    let known = stored.get(at);
    if let Some((end, _)) = problem.char_indices().nth(PROBLEM_CHARS_MAX) {
        problem.truncate(end);
    }
    RecordDamage {
        number: at as u64 + 1,
        lsn: known.map_or(0, |stored| stored.lsn.0),
        version: known.map_or(0, |stored| stored.version),
        kind: known.and_then(|stored| kind(&stored.payload)),
        forced: known.is_some_and(|stored| stored.urgency == Urgency::Forced),
        problem,
    }
}

impl Quarantined {
    /// Gathers what can be read of a job beside its damaged records.
    pub(crate) fn new(
        anchor: WallTime,
        job: JobId,
        stored: &[Stored],
        damages: Vec<RecordDamage>,
    ) -> Self {
        let numbers: BTreeSet<u64> = damages.iter().map(|damage| damage.number).collect();
        let readable = |(number, record)| {
            let record = read_one(&job, record).ok()?;
            // What a person ruled about a job that the log does not know begins with no receipt.
            let rules = record.record.ruling.is_some();
            (rules || !numbers.contains(&number)).then_some((number, record))
        };
        let readable: Vec<(u64, Stamped<JobRecord>)> =
            (1..).zip(stored).filter_map(readable).collect();
        let last = |stamped: &Stamped<JobRecord>| stamped.record.closing.clone();
        let closing = readable.iter().find_map(|(_, stamped)| last(stamped));
        let ruling = readable.iter().rev().find_map(|(_, Stamped { at, record })| {
            Some(Stamped { at: *at, record: record.ruling.clone()? })
        });
        let before = readable.iter().zip(1..).take_while(|((number, _), at)| number == at);
        let before: Vec<Stamped<JobRecord>> =
            before.map(|((_, record), _)| record.clone()).collect();
        let commit = |stamped: &Stamped<JobRecord>| {
            let record = stamped.record.commit.clone()?;
            Some(Stamped { at: stamped.at, record })
        };
        let decisions: Vec<_> =
            readable.iter().filter_map(|(_, stamped)| commit(stamped)).collect();
        let (schedule, open) = replayed(anchor, &before);
        Self {
            records: stored.len() as u64,
            damaged: numbers.len() as u64,
            damages: damages.into_iter().take(DAMAGES_MAX).collect(),
            last_state: open.as_ref().map(|open| state(open, &before)),
            last_recorded: before.last().map(|stamped| stamped.at),
            first_readable: readable.first().map(|(_, stamped)| stamped.at),
            commit: readable_commit(&job, decisions.iter().map(|told| told.record.clone())),
            closed: closing.is_some(),
            ended_as: closing.map(|closing| closing.decision),
            ruling,
            job,
            open,
            schedule,
            decisions,
            listed: BTreeMap::new(),
        }
    }

    /// Adds a decision that was adopted since: it is a record of the job like any other.
    pub(crate) fn learn(&mut self, at: WallTime, record: CoordinatorRecord) {
        self.records += 1;
        self.decisions.push(Stamped { at, record });
        let told = self.decisions.iter().map(|told| told.record.clone());
        self.commit = readable_commit(&self.job, told);
    }

    /// Notes what a person has decided about it.
    pub(crate) fn rule(&mut self, at: WallTime, ruling: Ruling) {
        self.records += 1;
        self.ruling = Some(Stamped { at, record: ruling });
    }

    /// Says whether a person has decided that it has committed, and that is carried out.
    pub(crate) fn is_ruled_committed(&self) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| ruling.record.ruled == Ruled::Commit)
    }

    /// Says whether any record of it that can be read tells of a commit.
    pub(crate) fn tells_of_commit(&self) -> bool {
        let commits = |told: &Stamped<CoordinatorRecord>| {
            matches!(told.record, CoordinatorRecord::CommitDecided { .. })
        };
        self.decisions.iter().any(commits)
    }

    /// Returns the decision that can be read, unless what can be read contradicts itself.
    pub(crate) fn decision(&self) -> Option<Decision> {
        if self.ruling.is_some() && self.ended_as.is_some() {
            return self.ended_as;
        }
        if self.commit.is_some() {
            return Some(Decision::Commit);
        }
        self.abort().map(|_| Decision::Abort)
    }

    /// Returns why the job aborts, if that can be read and no commit can.
    pub(crate) fn abort(&self) -> Option<&Cause> {
        let mut cause = None;
        for told in &self.decisions {
            match &told.record {
                CoordinatorRecord::CommitDecided { .. } => return None,
                CoordinatorRecord::Aborting { cause: why, .. } => cause = cause.or(Some(why)),
                CoordinatorRecord::Replaced { .. }
                | CoordinatorRecord::Ended { .. }
                | CoordinatorRecord::GivenUp { .. }
                | CoordinatorRecord::CaughtUp { .. }
                | CoordinatorRecord::Removed { .. }
                | CoordinatorRecord::Heuristic { .. } => {}
            }
        }
        cause
    }

    /// Returns every worker that may hold something of the job, with what and who says so.
    pub(crate) fn holders(&self) -> BTreeMap<WorkerId, String> {
        let publishers = self.commit.iter().flat_map(|(_, shares)| shares);
        let recorded = publishers.map(|share| share.holder.worker.clone());
        let recorded: BTreeSet<WorkerId> =
            recorded.chain(self.schedule.involved(&self.job)).collect();
        let mut holders: BTreeMap<WorkerId, String> = recorded
            .into_iter()
            .map(|worker| (worker, "had part in it, says the log".to_owned()))
            .collect();
        for (worker, listing) in &self.listed {
            holders.insert(worker.clone(), listing.words());
        }
        holders
    }

    /// Tells everything that is known, oldest first; what this start has found comes last.
    pub(crate) fn evidence(&self, found: WallTime) -> Vec<EvidenceView> {
        let mut known = Vec::new();
        let mut tell = |at, text: String| known.push(EvidenceView { at, text });
        if let (Some(state), Some(at)) = (self.last_state, self.last_recorded) {
            tell(at, format!("the last record before the damage: the job was {}", state.word()));
        }
        for told in &self.decisions {
            let text = match &told.record {
                CoordinatorRecord::CommitDecided { txn, .. } => {
                    format!("COMMIT of round {}.{} can be read", txn.epoch, txn.counter)
                }
                CoordinatorRecord::Aborting { cause, .. } => format!("ABORT can be read: {cause}"),
                CoordinatorRecord::Ended { .. } => {
                    "that nothing is waited for can be read".to_owned()
                }
                CoordinatorRecord::Replaced { from, .. } => {
                    format!("that {} was replaced as publisher can be read", from.worker)
                }
                CoordinatorRecord::GivenUp { holder, forced, .. } => {
                    format!("{} was given up by {}: {}", holder.worker, forced.by, forced.reason)
                }
                CoordinatorRecord::CaughtUp { holder, .. } => {
                    format!("{} owes nothing any more", holder.worker)
                }
                CoordinatorRecord::Removed { holder, .. } => {
                    format!("{} was removed for good", holder.worker)
                }
                CoordinatorRecord::Heuristic { holder, heuristic } => {
                    let Heuristic { outcome, forced: Forced { by, reason, .. }, .. } = heuristic;
                    let outcome = match outcome {
                        Decision::Commit => "COMMIT",
                        Decision::Abort => "ABORT",
                    };
                    format!("{by} has forced {outcome} on {} alone: {reason}", holder.worker)
                }
            };
            tell(told.at, text);
        }
        for damage in &self.damages {
            let RecordDamage { number, lsn, forced, problem, .. } = damage;
            let urgency =
                if *forced { "forced: it may be the decision" } else { "lazy: no decision" };
            let of = self.records;
            let which = format!("record {number} of {of}, number {lsn} of the log, {urgency}");
            tell(found, format!("{which}: {problem}"));
        }
        for (worker, holding) in self.holders() {
            tell(found, format!("{worker} {holding}"));
        }
        known.sort_by_key(|piece| piece.at);
        known
    }

    /// Says what follows from its end and is not done for it: nobody can say what was begun.
    pub(crate) fn left_undone(&self) -> Vec<String> {
        let Some(spec) = self.open.as_ref().map(|open| &open.spec) else {
            return vec!["whether it has effects or compensations cannot be read".to_owned()];
        };
        let names = |names: Vec<&str>| names.join(", ");
        let effects: Vec<&str> = spec.effects.keys().map(|effect| effect.as_str()).collect();
        let undone = spec.tasks.iter().filter(|(_, task)| task.compensate.is_some());
        let undone: Vec<&str> = undone.map(|(task, _)| task.as_str()).collect();
        let mut texts = Vec::new();
        if !effects.is_empty() {
            texts.push(format!("its effects are not begun by its end: {}", names(effects)));
        }
        if !undone.is_empty() {
            texts.push(format!("these are not compensated by its end: {}", names(undone)));
        }
        texts
    }

    /// Says in a few words which records cannot be read.
    pub(crate) fn problem(&self) -> String {
        let numbers: Vec<String> =
            self.damages.iter().map(|damage| damage.number.to_string()).collect();
        let of = self.records;
        match (self.damages.as_slice(), self.damaged) {
            ([one], 1) => format!("record {} of {of} cannot be read", one.number),
            (_, count) if count as usize > NUMBERS_MAX => {
                format!("{count} of {of} records cannot be read")
            }
            _ => format!("records {} of {of} cannot be read", numbers.join(", ")),
        }
    }
}

impl Listing {
    /// Says what is listed, in a few words.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        if self.live > 0 {
            words.push(format!("{} that run", attempts(self.live)));
        }
        if self.ended > 0 {
            words.push(format!("{} that ended", attempts(self.ended)));
        }
        if self.checkpoints > 0 {
            words.push(format!("{} checkpoints", self.checkpoints));
        }
        if let Some(txn) = &self.prepared {
            words.push(format!("a promise to publish, in doubt about {txn}"));
        }
        if let Some(txn) = &self.committed {
            words.push(format!("the commit of {txn}"));
        }
        if words.is_empty() {
            return "lists nothing of it".to_owned();
        }
        format!("lists {}", words.join(", "))
    }
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

pub(crate) fn read_one(job: &JobId, stored: &Stored) -> Result<Stamped<JobRecord>, String> {
    let Stamped { at, record } = decode::<Record>(stored).map_err(|error| error.why())?;
    let record = match record {
        Record::Job(record) => *record,
        Record::EpochStarted { .. }
        | Record::LogFoundStale { .. }
        | Record::Restored { .. }
        | Record::LogTrusted { .. }
        | Record::Registered(_)
        | Record::Ordered { .. }
        | Record::Forgotten(_)
        | Record::Buried(_)
        | Record::Crumbled { .. } => return Err("it does not speak of a job".to_owned()),
    };
    let scheduled = record.schedule.as_ref().map(votum_schedule::Record::job);
    if scheduled == Some(None) {
        return Err("it does not speak of a job".to_owned());
    }
    let parts = [
        scheduled.flatten(),
        record.commit.as_ref().map(CoordinatorRecord::job),
        record.settle.as_ref().map(votum_settle::Record::job),
        record.closing.as_ref().map(|closing| &closing.job),
    ];
    if parts == [None; 4] && record.ruling.is_none() {
        return Err("it says nothing about the job".to_owned());
    }
    let parts = parts.into_iter().chain([Some(&record.job)]);
    if let Some(other) = parts.flatten().find(|named| *named != job) {
        return Err(format!("it speaks of another job, {other}"));
    }
    Ok(Stamped { at, record })
}

/// Replays what precedes the damage; stops where it contradicts itself.
fn replayed(anchor: WallTime, records: &[Stamped<JobRecord>]) -> (Scheduler, Option<OpenJob>) {
    let config = votum_schedule::Config::default();
    let mut scheduler = Scheduler::new(config, Epoch(u64::MAX), anchor);
    for Stamped { at, record } in records {
        if let Some(schedule) = &record.schedule
            && scheduler.replay(*at, schedule).is_err()
        {
            break;
        }
    }
    (scheduler, OpenJob::replay(records))
}

/// Says where a job stood, from all its records so far.
fn state(open: &OpenJob, records: &[Stamped<JobRecord>]) -> JobState {
    let mut state = match open.started {
        Some(_) => JobState::Running,
        None if open.since.is_none() => JobState::Queued,
        None => JobState::Received,
    };
    for Stamped { record, .. } in records {
        state = match (&record.commit, record.closing.is_some(), state) {
            (Some(CoordinatorRecord::CommitDecided { .. }), false, _) => JobState::Committing,
            (Some(CoordinatorRecord::CommitDecided { .. }), true, _)
            | (_, true, JobState::Committing) => JobState::Committed,
            (Some(CoordinatorRecord::Aborting { .. }), false, _) => JobState::Aborting,
            (Some(CoordinatorRecord::Aborting { .. }), true, _) | (_, true, JobState::Aborting) => {
                JobState::Aborted
            }
            (Some(CoordinatorRecord::Ended { .. }), _, JobState::Committing) => JobState::Committed,
            (Some(CoordinatorRecord::Ended { .. }), _, JobState::Aborting) => JobState::Aborted,
            (
                Some(
                    CoordinatorRecord::Ended { .. }
                    | CoordinatorRecord::Replaced { .. }
                    | CoordinatorRecord::GivenUp { .. }
                    | CoordinatorRecord::CaughtUp { .. }
                    | CoordinatorRecord::Removed { .. }
                    | CoordinatorRecord::Heuristic { .. },
                )
                | None,
                _,
                state,
            ) => state,
        };
    }
    state
}

/// Names what a record told, as far as its content can be taken apart at all.
fn kind(payload: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let record = value.get("record")?;
    let Some(job) = record.get("job") else { return variant(record) };
    let parts =
        ["schedule", "commit", "settle"].into_iter().filter_map(|part| variant(job.get(part)?));
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// Returns the name of a variant, as the encoding writes it.
fn variant(value: &serde_json::Value) -> Option<String> {
    let name = match value {
        serde_json::Value::String(name) => name,
        serde_json::Value::Object(fields) => fields.keys().next()?,
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_) => return None,
    };
    let word = |name: &str| {
        name.len() <= KIND_BYTES_MAX
            && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    word(name).then(|| name.replace('_', " "))
}

/// Longest explanation of one damaged record.
const PROBLEM_CHARS_MAX: usize = 300;
/// Longest name of a kind of record.
const KIND_BYTES_MAX: usize = 40;
/// Most numbers of records that a sentence lists.
const NUMBERS_MAX: usize = 4;
