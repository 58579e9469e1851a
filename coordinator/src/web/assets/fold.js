// A job as it was: folds its durable events, as far as they are given. Pure: the spec and events
// in, a job out, in the words of the API where an event says as much, and in its own where not.

import { edgesOf } from "./graph.js";
import { last } from "./words.js";

/** Returns the job that the events tell of; `asOf` is the time of the latest of them. */
export function foldOf(name, spec, events) {
  const job = {
    name: `jobs/${name}`, spec, displayName: spec?.displayName, state: "JOB_STATE_RECEIVED",
    tasks: [], hooks: [], notes: [], forcedOutcomes: [], skipped: 0, asOf: 0,
  };
  const known = { job, tasks: new Map(), hooks: new Map() };
  for (const { taskId } of spec?.tasks || []) taskOf(known, taskId);
  for (const event of events) {
    job.asOf = Math.max(job.asOf, Date.parse(event.createTime));
    const tell = TOLD[event.kind];
    if (tell) tell(job, event, known);
    else job.skipped += 1;
  }
  job.tasks = [...known.tasks.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  job.hooks = [...known.hooks.values()];
  ready(job, spec);
  return job;
}

/** Says in one line what an event is about and what it tells. */
export function sentence({ task, attemptNumber, text, by }) {
  const about = task ? `${task}${attemptNumber ? ` #${attemptNumber}` : ""}: ` : "";
  return `${about}${text || ""}${by ? `, by ${by}` : ""}`;
}

// A task of which nothing is told yet could run once all before it are staged.
function ready(job, spec) {
  if (job.decision) return;
  const staged = new Set(job.tasks.filter(isStaged).map((task) => last(task.name)));
  const blocked = new Set(edgesOf(spec).filter(([from]) => !staged.has(from)).map(([, to]) => to));
  for (const task of job.tasks) {
    if (task.state === "TASK_STATE_WAITING" && !blocked.has(last(task.name))) task.state = "TASK_STATE_READY";
  }
}

function taskOf({ job, tasks }, id) {
  if (!tasks.has(id)) tasks.set(id, { name: `${job.name}/tasks/${id}`, state: "TASK_STATE_WAITING", attempts: [], told: [] });
  return tasks.get(id);
}

/** Returns the attempt that an event is about, which an earlier one has opened. */
function attemptOf(known, event) {
  const task = taskOf(known, event.task);
  const name = `${task.name}/attempts/${event.attemptNumber || 0}`;
  let attempt = task.attempts.find((one) => one.name === name);
  if (!attempt) task.attempts.push((attempt = { name, worker: event.worker }));
  return { task, attempt, isLast: task.attempts.at(-1) === attempt };
}

function hookOf(known, event) {
  if (!known.hooks.has(event.task)) {
    const isTask = (known.job.spec?.tasks || []).some((one) => one.taskId === event.task);
    known.hooks.set(event.task, { hookId: event.task, kind: isTask ? "HOOK_KIND_COMPENSATION" : "HOOK_KIND_EFFECT", tries: 0, trials: [] });
  }
  return known.hooks.get(event.task);
}

const isStaged = (task) => STAGED.has(task.state);
const STAGED = new Set(["TASK_STATE_STAGED", "PAST_STAGED_ON_LOST", "TASK_STATE_PREPARED", "TASK_STATE_COMMITTED"]);
const BEFORE_A_START = new Set(["JOB_STATE_RECEIVED", "JOB_STATE_AWAITING_APPROVAL", "JOB_STATE_PREPARING"]);

function note(job, event) {
  job.notes.push(sentence(event));
}

function about(job, event, known) {
  taskOf(known, event.task).told.push(event);
}

function tried(state) {
  return (job, event, known) => {
    const hook = hookOf(known, event);
    hook.state = state;
    hook.worker = undefined;
    hook.trials.push({ number: event.attemptNumber, message: event.text });
  };
}

function over(job, event) {
  job.endTime ||= event.createTime;
  if (job.decision === "DECISION_COMMIT") {
    job.state = "JOB_STATE_COMMITTED";
    return (task) => { if (isStaged(task)) task.state = "TASK_STATE_COMMITTED"; };
  }
  if (job.decision !== "DECISION_ABORT") return () => {};
  job.state = "JOB_STATE_ABORTED";
  return (task) => {
    if (isStaged(task)) task.state = "TASK_STATE_DISCARDED";
    else if (task.state !== "PAST_ATTEMPT_FAILED" && task.state !== "TASK_STATE_DISCARDED") task.state = "TASK_STATE_CANCELLED";
  };
}

function end(job, event, { tasks }) {
  for (const task of tasks.values()) over(job, event)(task);
}

// What each kind of event tells; there are kinds that a later coordinator knows and this page not.
const TOLD = {
  received(job, event) {
    job.createTime = event.createTime;
    job.creator = event.by;
  },
  assigned(job, event, known) {
    const { task, attempt } = attemptOf(known, event);
    attempt.worker = event.worker;
    task.worker = event.worker;
    task.state = "TASK_STATE_STARTING";
    task.told.push(event);
    if (BEFORE_A_START.has(job.state)) job.state = job.startTime ? "JOB_STATE_RUNNING" : "JOB_STATE_RECEIVED";
  },
  started(job, event, known) {
    const { task, attempt, isLast } = attemptOf(known, event);
    attempt.startTime = event.createTime;
    if (isLast) task.state = "TASK_STATE_RUNNING";
    task.told.push(event);
    job.startTime ||= event.createTime;
    if (job.state === "JOB_STATE_RECEIVED") job.state = "JOB_STATE_RUNNING";
  },
  staged(job, event, known) {
    const { task, attempt, isLast } = attemptOf(known, event);
    attempt.endTime = event.createTime;
    attempt.outcome = "ATTEMPT_OUTCOME_SUCCEEDED";
    task.told.push(event);
    if (isLast) {
      task.state = "TASK_STATE_STAGED";
      task.staged = event;
    }
  },
  failed(job, event, known) {
    const { task, attempt, isLast } = attemptOf(known, event);
    attempt.endTime = event.createTime;
    attempt.outcome = "ATTEMPT_OUTCOME_FAILED";
    attempt.error = { message: event.text };
    task.told.push(event);
    if (isLast) task.state = "PAST_ATTEMPT_FAILED";
  },
  // It counts what is lost and does not name it: what ran there is over, and what is staged there
  // may be made again or be held by others.
  worker_lost(job, event, { tasks }) {
    for (const task of tasks.values()) {
      const attempt = task.attempts.at(-1);
      if (!attempt || attempt.worker !== event.worker) continue;
      if (!attempt.outcome) {
        attempt.outcome = "ATTEMPT_OUTCOME_LOST";
        attempt.endTime = event.createTime;
        task.state = "PAST_ATTEMPT_LOST";
      } else if (task.state === "TASK_STATE_STAGED") task.state = "PAST_STAGED_ON_LOST";
      else continue;
      task.told.push(event);
    }
    note(job, event);
  },
  replicated: about, replica_lost: about, checkpoint_held: about, checkpoint_gone: about, returned: about,
  key_taken: note, dry_voted: note,
  paused(job, event) {
    job.pause = { by: event.by, reason: event.text, createTime: event.createTime };
  },
  unpaused(job) {
    job.pause = undefined;
  },
  retry_asked: note, kept_released: note, rescued: note,
  approval_asked(job) {
    job.state = "JOB_STATE_AWAITING_APPROVAL";
  },
  approved(job, event) {
    if (job.state === "JOB_STATE_AWAITING_APPROVAL") job.state = "JOB_STATE_RUNNING";
    note(job, event);
  },
  round_opened(job, event) {
    job.prepareTime = event.createTime;
    if (!job.decision) job.state = "JOB_STATE_PREPARING";
  },
  commit_decided(job, event, { tasks }) {
    job.decision = "DECISION_COMMIT";
    job.decideTime = event.createTime;
    job.state = "JOB_STATE_COMMITTING";
    for (const task of tasks.values()) if (isStaged(task)) task.state = "TASK_STATE_PREPARED";
  },
  aborting(job, event) {
    job.decision = "DECISION_ABORT";
    job.decideTime = event.createTime;
    job.state = "JOB_STATE_ABORTING";
    job.error = { message: sentence(event) };
  },
  ended: end,
  closed: end,
  publisher_replaced: note, given_up: note, caught_up: note, removed: note, forced: note, settled: note,
  settlement_opened() {},
  hook_intended(job, event, known) {
    const hook = hookOf(known, event);
    hook.state = "HOOK_STATE_RUNNING";
    hook.tries = event.attemptNumber || 0;
    hook.worker = event.worker;
  },
  hook_done: tried("HOOK_STATE_DONE"),
  hook_failed: tried("PAST_TRY_FAILED"),
  hook_unknown: tried("PAST_TRY_UNKNOWN"),
  hook_stranded: tried("HOOK_STATE_PARKED"),
  hook_resolved: tried("PAST_RESOLVED"),
  unreadable(job, event) {
    job.state = "JOB_STATE_QUARANTINED";
    note(job, event);
  },
};
