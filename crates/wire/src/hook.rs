//! What is done around the decision, as it is asked for and as it is shown.

use std::collections::BTreeSet;

use votum_ids::{FencingToken, TaskId, WorkerId};
use votum_job::{
    Compensation, EffectSpec, EffectWork, HOOK_TIMEOUT_DEFAULT, HookRole, OnUnknown, Placement,
    Program, RetryPolicy, Role, Trigger, hook_retry_default,
};
use votum_machine::WallTime;
use votum_proto::{v1, worker::v1 as pb};

use crate::{
    Fault, Malformed, Translate,
    names::{read_token, read_worker_name, worker_name},
    program::{command, read_script, script},
    time::{duration, read_duration_if_any, read_timestamp, read_timestamp_if_any, timestamp},
    translate::{
        Numbered, enumerated, enumerated_if_any, number, numbered, parse, read_all, read_if_any,
        set, write_all,
    },
};

/// An effect or a compensation of a decided job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookView {
    /// Its name in the job: an effect's own, or that of the task it undoes.
    pub hook: TaskId,
    /// Which of the two.
    pub kind: HookKind,
    /// Where it stands.
    pub state: HookState,
    /// How often it was tried.
    pub tries: u32,
    /// Where it is being tried; none: by the coordinator, or not now.
    pub worker: Option<WorkerId>,
    /// When it is tried next, not before.
    pub next: Option<WallTime>,
    /// The last tries that have ended, oldest first; empty in a basic view.
    pub trials: Vec<TrialView>,
    /// The last tries that were given to workers, oldest first: there their logs are kept.
    pub attempts: Vec<HookAttempt>,
    /// What a person made of it.
    pub resolution: Option<ResolutionView>,
}

/// Tells effects from compensations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookKind {
    /// An effect of the job.
    Effect,
    /// What undoes a task.
    Compensation,
}

impl HookKind {
    /// Returns the word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Compensation => "compensation",
        }
    }
}

/// The life of an effect or a compensation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookState {
    /// Others come first.
    Waiting,
    /// It is tried when its time has come and a worker takes it.
    Due,
    /// It is being tried.
    Running,
    /// Final: it took effect.
    Done,
    /// It is a case: a person decides.
    Parked,
    /// Final: a person closed it.
    Closed,
}

impl HookState {
    /// Returns the word for people and programs, such as `DONE`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Due => "DUE",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Parked => "CASE",
            Self::Closed => "CLOSED",
        }
    }
}

/// One try that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialView {
    /// Counts from 1.
    pub number: u32,
    /// Where; none: by the coordinator.
    pub worker: Option<WorkerId>,
    /// When its end was recorded.
    pub ended: WallTime,
    /// How it ended.
    pub outcome: TrialOutcome,
    /// One sentence for people; empty if it is done.
    pub message: String,
}

/// A try that was given to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookAttempt {
    /// Counts the tries from 1.
    pub number: u32,
    /// Who was to make it.
    pub worker: WorkerId,
    /// Under which token.
    pub token: FencingToken,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrialOutcome {
    /// It took effect.
    Done,
    /// It took none.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// What a person can do about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaseAction {
    /// Try again, with a fresh budget and the same key.
    Retry,
    /// It is done: by an earlier try, or by hand.
    Done,
    /// It stays undone.
    GiveUp,
    /// The job has committed: what is left of its commit is carried out.
    Commit,
    /// The job aborts.
    Abort,
    /// Nothing was decided about the job: it goes on.
    Resume,
    /// The coordinator's log counts as complete.
    Trust,
}

impl CaseAction {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::Retry,
        Self::Done,
        Self::GiveUp,
        Self::Commit,
        Self::Abort,
        Self::Resume,
        Self::Trust,
    ];

    /// Returns the word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Done => "done",
            Self::GiveUp => "give-up",
            Self::Commit => "commit",
            Self::Abort => "abort",
            Self::Resume => "resume",
            Self::Trust => "trust",
        }
    }
}

/// What a person made of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolutionView {
    /// What became of it.
    pub action: CaseAction,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was recorded.
    pub at: WallTime,
}

numbered!(HookKind, v1::HookKind { Effect = Effect, Compensation = Compensation });
numbered!(HookState, v1::HookState {
    Waiting = Waiting,
    Due = Due,
    Running = Running,
    Done = Done,
    Parked = Parked,
    Closed = Closed,
});
numbered!(TrialOutcome, v1::TrialOutcome { Done = Done, Failed = Failed, Unknown = Unknown });
numbered!(CaseAction, v1::CaseAction {
    Retry = Retry,
    Done = Done,
    GiveUp = GiveUp,
    Commit = Commit,
    Abort = Abort,
    Resume = Resume,
    Trust = Trust,
});
numbered!(Trigger, v1::EffectTrigger { Commit = Commit, Abort = Abort, End = End });
numbered!(OnUnknown, v1::UnknownPolicy { Repeat = Repeat, Park = Park });

impl Translate for HookView {
    type Proto = v1::Hook;

    fn to_proto(&self) -> v1::Hook {
        v1::Hook {
            hook_id: self.hook.to_string(),
            kind: self.kind.number(),
            state: self.state.number(),
            tries: i32::try_from(self.tries).unwrap_or(i32::MAX),
            worker: self.worker.as_ref().map(worker_name).unwrap_or_default(),
            next_time: self.next.map(timestamp),
            trials: write_all(&self.trials),
            attempts: write_all(&self.attempts),
            resolution: self.resolution.as_ref().map(Translate::to_proto),
        }
    }

    fn from_proto(proto: v1::Hook) -> Result<Self, Malformed> {
        Ok(Self {
            hook: parse("hook_id", &proto.hook_id)?,
            kind: enumerated("kind", proto.kind)?,
            state: enumerated("state", proto.state)?,
            tries: number("tries", proto.tries)?,
            worker: read_worker_if_any(&proto.worker)?,
            next: read_timestamp_if_any("next_time", proto.next_time)?,
            trials: read_all("trials", proto.trials)?,
            attempts: read_all("attempts", proto.attempts)?,
            resolution: read_if_any("resolution", proto.resolution)?,
        })
    }
}

impl Translate for TrialView {
    type Proto = v1::Trial;

    fn to_proto(&self) -> v1::Trial {
        v1::Trial {
            number: i32::try_from(self.number).unwrap_or(i32::MAX),
            worker: self.worker.as_ref().map(worker_name).unwrap_or_default(),
            end_time: Some(timestamp(self.ended)),
            outcome: self.outcome.number(),
            message: self.message.clone(),
        }
    }

    fn from_proto(proto: v1::Trial) -> Result<Self, Malformed> {
        Ok(Self {
            number: number("number", proto.number)?,
            worker: read_worker_if_any(&proto.worker)?,
            ended: read_timestamp("end_time", proto.end_time)?,
            outcome: enumerated("outcome", proto.outcome)?,
            message: proto.message,
        })
    }
}

impl Translate for HookAttempt {
    type Proto = v1::HookAttempt;

    fn to_proto(&self) -> v1::HookAttempt {
        v1::HookAttempt {
            number: i32::try_from(self.number).unwrap_or(i32::MAX),
            worker: worker_name(&self.worker),
            fencing_token: self.token.to_string(),
        }
    }

    fn from_proto(proto: v1::HookAttempt) -> Result<Self, Malformed> {
        Ok(Self {
            number: number("number", proto.number)?,
            worker: read_worker_name("worker", &proto.worker)?,
            token: read_token("fencing_token", &proto.fencing_token)?,
        })
    }
}

impl Translate for ResolutionView {
    type Proto = v1::HookResolution;

    fn to_proto(&self) -> v1::HookResolution {
        v1::HookResolution {
            action: self.action.number(),
            by: self.by.clone(),
            reason: self.reason.clone(),
            create_time: Some(timestamp(self.at)),
        }
    }

    fn from_proto(proto: v1::HookResolution) -> Result<Self, Malformed> {
        Ok(Self {
            action: enumerated("action", proto.action)?,
            by: proto.by,
            reason: proto.reason,
            at: read_timestamp("create_time", proto.create_time)?,
        })
    }
}

/// Writes an effect under its name.
pub(crate) fn effect_to_proto(name: &TaskId, effect: &EffectSpec) -> v1::EffectSpec {
    use v1::effect_spec::Action;
    let (action, placement, env) = match &effect.work {
        EffectWork::Program { placement, program, env } => {
            let action = match program {
                Program::Command(argv) => Some(Action::Command(command(argv))),
                Program::Script { text, interpreter } => {
                    Some(Action::Script(script(text, interpreter)))
                }
                // No checked job has it; the reader refuses what is left.
                Program::Steps(_) | Program::PutBack(_) => None,
            };
            (action, placement.clone(), env.clone())
        }
        EffectWork::Webhook { url, headers } => {
            let webhook = v1::Webhook { url: url.clone(), headers: headers.clone() };
            (Some(Action::Webhook(webhook)), Placement::default(), Default::default())
        }
    };
    v1::EffectSpec {
        effect_id: name.to_string(),
        trigger: effect.after.number(),
        depends_on: effect.needs.iter().map(TaskId::to_string).collect(),
        action,
        placement: (placement != Placement::default()).then(|| placement.to_proto()),
        env,
        timeout: duration(effect.timeout),
        retry: Some(effect.retry.to_proto()),
        on_unknown: effect.on_unknown.number(),
    }
}

/// Reads an effect; its name is read by whoever keeps it.
pub(crate) fn effect_from_proto(proto: v1::EffectSpec) -> Result<EffectSpec, Malformed> {
    use v1::effect_spec::Action;
    let placement = read_if_any::<Placement>("placement", proto.placement)?;
    let program = |program| EffectWork::Program {
        placement: placement.clone().unwrap_or_default(),
        program,
        env: proto.env.clone(),
    };
    let work = match set("action", proto.action)? {
        Action::Command(command) => program(Program::Command(command.argv)),
        Action::Script(script) => program(read_script(script)),
        Action::Webhook(_) if placement.is_some() || !proto.env.is_empty() => {
            let field = if placement.is_some() { "placement" } else { "env" };
            let rule = "a webhook is sent by the coordinator and has none".to_owned();
            return Err(Malformed::new(field, Fault::Meaningless(rule)));
        }
        Action::Webhook(webhook) => {
            EffectWork::Webhook { url: webhook.url, headers: webhook.headers }
        }
    };
    let mut needs = BTreeSet::new();
    for (i, needed) in proto.depends_on.iter().enumerate() {
        needs.insert(parse::<TaskId>(&format!("depends_on[{i}]"), needed)?);
    }
    Ok(EffectSpec {
        after: enumerated_if_any("trigger", proto.trigger)?.unwrap_or(Trigger::Commit),
        needs,
        work,
        timeout: read_duration_if_any("timeout", proto.timeout)?.unwrap_or(HOOK_TIMEOUT_DEFAULT),
        retry: read_retry(proto.retry)?,
        on_unknown: enumerated_if_any("on_unknown", proto.on_unknown)?.unwrap_or_default(),
    })
}

/// Reads when a failed try is followed by another; the number of tries has a default of its own.
fn read_retry(proto: Option<v1::RetryPolicy>) -> Result<RetryPolicy, Malformed> {
    let Some(mut proto) = proto else { return Ok(hook_retry_default()) };
    if proto.max_attempts == 0 {
        proto.max_attempts = i32::try_from(hook_retry_default().attempts).unwrap_or(i32::MAX);
    }
    RetryPolicy::from_proto(proto).map_err(|malformed| malformed.below("retry"))
}

impl Translate for Compensation {
    type Proto = v1::Compensation;

    fn to_proto(&self) -> v1::Compensation {
        use v1::compensation::Action;
        let action = match &self.program {
            Program::Command(argv) => Some(Action::Command(command(argv))),
            Program::Script { text, interpreter } => {
                Some(Action::Script(script(text, interpreter)))
            }
            // No checked job has it; the reader refuses what is left.
            Program::Steps(_) | Program::PutBack(_) => None,
        };
        v1::Compensation {
            action,
            timeout: duration(self.timeout),
            retry: Some(self.retry.to_proto()),
            elsewhere: self.elsewhere,
        }
    }

    fn from_proto(proto: v1::Compensation) -> Result<Self, Malformed> {
        use v1::compensation::Action;
        let program = match set("action", proto.action)? {
            Action::Command(command) => Program::Command(command.argv),
            Action::Script(script) => read_script(script),
        };
        Ok(Self {
            program,
            timeout: read_duration_if_any("timeout", proto.timeout)?
                .unwrap_or(HOOK_TIMEOUT_DEFAULT),
            retry: read_retry(proto.retry)?,
            elsewhere: proto.elsewhere,
        })
    }
}

/// Writes what an attempt is run for.
pub(crate) fn role_to_proto(role: &Role) -> Option<pb::Hook> {
    match role {
        Role::Task => None,
        Role::Hook(hook) => Some(pb::Hook {
            key: hook.key.clone(),
            decision: hook.verdict.clone(),
            announcement: hook.announcement.clone(),
            undoes: write_all(&hook.undoes),
        }),
    }
}

/// Reads what an attempt is run for.
pub(crate) fn role_from_proto(proto: Option<pb::Hook>) -> Result<Role, Malformed> {
    let Some(proto) = proto else { return Ok(Role::Task) };
    Ok(Role::Hook(Box::new(HookRole {
        key: proto.key,
        verdict: proto.decision,
        announcement: proto.announcement,
        undoes: read_all("hook.undoes", proto.undoes)?,
    })))
}

fn read_worker_if_any(text: &str) -> Result<Option<WorkerId>, Malformed> {
    match text {
        "" => Ok(None),
        name => read_worker_name("worker", name).map(Some),
    }
}
