// How the page words states, times and sizes. Pure: nothing here touches the document.

// Every state has a word, a shape and a tone; the shape and the word are enough without colour.
const STATES = {
  JOB_STATE_RECEIVED: ["received", "○", "idle"],
  JOB_STATE_QUEUED: ["queued", "◌", "idle"],
  JOB_STATE_RUNNING: ["running", "◐", "run"],
  JOB_STATE_AWAITING_APPROVAL: ["awaiting approval", "◇", "ask"],
  JOB_STATE_PREPARING: ["preparing", "◔", "vote"],
  JOB_STATE_COMMITTING: ["committing", "◕", "vote"],
  JOB_STATE_COMMITTED: ["committed", "●", "good"],
  JOB_STATE_ABORTING: ["aborting", "⊘", "bad"],
  JOB_STATE_ABORTED: ["aborted", "✕", "bad"],
  JOB_STATE_QUARANTINED: ["quarantined", "⚠", "ask"],
  TASK_STATE_WAITING: ["waiting", "○", "idle"],
  TASK_STATE_READY: ["ready", "◌", "idle"],
  TASK_STATE_STARTING: ["starting", "◔", "run"],
  TASK_STATE_RUNNING: ["running", "◐", "run"],
  TASK_STATE_RETRYING: ["retrying", "↻", "ask"],
  TASK_STATE_STAGED: ["staged", "◕", "vote"],
  TASK_STATE_PREPARED: ["prepared", "◆", "vote"],
  TASK_STATE_COMMITTED: ["committed", "●", "good"],
  TASK_STATE_FAILED: ["failed", "✕", "bad"],
  TASK_STATE_CANCELLED: ["cancelled", "–", "idle"],
  TASK_STATE_DISCARDED: ["discarded", "⌫", "idle"],
  ATTEMPT_OUTCOME_SUCCEEDED: ["succeeded", "●", "good"],
  ATTEMPT_OUTCOME_FAILED: ["failed", "✕", "bad"],
  ATTEMPT_OUTCOME_TIMED_OUT: ["timed out", "⧖", "bad"],
  ATTEMPT_OUTCOME_LOST: ["lost", "?", "ask"],
  ATTEMPT_OUTCOME_CANCELLED: ["stopped", "–", "idle"],
  OUTPUT_STATE_STAGED: ["staged", "◕", "vote"],
  OUTPUT_STATE_PREPARED: ["prepared", "◆", "vote"],
  OUTPUT_STATE_PUBLISHED: ["visible", "●", "good"],
  OUTPUT_STATE_DISCARDED: ["discarded", "⌫", "idle"],
  HOOK_STATE_WAITING: ["waiting", "○", "idle"],
  HOOK_STATE_DUE: ["due", "◌", "run"],
  HOOK_STATE_RUNNING: ["running", "◐", "run"],
  HOOK_STATE_DONE: ["done", "●", "good"],
  HOOK_STATE_PARKED: ["needs a person", "◇", "ask"],
  HOOK_STATE_CLOSED: ["closed by a person", "–", "idle"],
  WORKER_STATE_READY: ["ready", "●", "good"],
  WORKER_STATE_SUSPECT: ["suspect", "◌", "ask"],
  WORKER_STATE_LOST: ["lost", "✕", "bad"],
  WORKER_STATE_RECONCILING: ["reconciling", "◔", "run"],
  WORKER_STATE_ABSENT: ["absent", "○", "ask"],
  WORKER_STATE_DRAINING: ["draining", "◑", "vote"],
  WORKER_STATE_DRAINED: ["drained", "–", "idle"],
  TXN_STAGE_PREPARING: ["collecting votes", "◔", "vote"],
  TXN_STAGE_COMMITTING: ["delivering COMMIT", "◕", "vote"],
  TXN_STAGE_ABORTING: ["delivering ABORT", "⊘", "bad"],
  TXN_STAGE_OWING: ["owed to who was given up", "◇", "ask"],
  // What a history tells by itself is less than a state: whether another attempt follows is not in it.
  PAST_ATTEMPT_FAILED: ["attempt failed", "✕", "ask"],
  PAST_ATTEMPT_LOST: ["attempt lost", "?", "ask"],
  PAST_STAGED_ON_LOST: ["staged, worker lost", "◌", "ask"],
  PAST_TRY_FAILED: ["try failed", "✕", "ask"],
  PAST_TRY_UNKNOWN: ["try unclear", "?", "ask"],
  PAST_RESOLVED: ["decided by a person", "–", "idle"],
};

/** Returns the word, the shape and the tone of a state. */
export function stateOf(name) {
  const known = STATES[name];
  if (known) return { word: known[0], shape: known[1], tone: known[2] };
  const word = String(name || "unknown").replace(/^[A-Z]+_STATE_/, "").toLowerCase();
  return { word: word.replaceAll("_", " "), shape: "·", tone: "idle" };
}

/** Says whether a job is over, or waits for nothing but a person's repair. */
export function isFinal(job) {
  return ["JOB_STATE_COMMITTED", "JOB_STATE_ABORTED", "JOB_STATE_QUARANTINED"].includes(job.state);
}

/** Returns the last part of a resource name. */
export function last(name) {
  return String(name || "").split("/").pop();
}

/** Words a span of milliseconds with its two largest units. */
export function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  if (s < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (s < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** Words how long ago something was, with one unit. */
export function ago(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 5) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} m ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

/** Words a number of bytes. */
export function bytes(count) {
  let n = Number(count || 0);
  if (n < 1024) return `${n} B`;
  for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
    n /= 1024;
    if (n < 1024 || unit === "TiB") return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit}`;
  }
  return "";
}

/** Words a count with its noun. */
export function counted(count, noun, plural = `${noun}s`) {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** Cuts a text in its middle, so that both ends can be told apart. */
export function cut(text, max) {
  const whole = String(text);
  if (whole.length <= max) return whole;
  const head = Math.ceil((max - 1) / 2);
  return `${whole.slice(0, head)}…${whole.slice(whole.length - (max - 1 - head))}`;
}

/** Counts the tasks of a job that are made, that are at work, and all; and how far all of it is. */
export function progress(job) {
  const tasks = job.tasks || [];
  let made = 0;
  let busy = 0;
  let share = 0;
  for (const task of tasks) {
    const state = task.state;
    if (["TASK_STATE_STAGED", "TASK_STATE_PREPARED", "TASK_STATE_COMMITTED"].includes(state)) {
      made += 1;
      share += 1;
    } else if (state === "TASK_STATE_RUNNING" || state === "TASK_STATE_STARTING") {
      busy += 1;
      share += Math.min(1, Math.max(0, task.progress?.fraction || 0));
    }
  }
  return { made, busy, all: tasks.length, share: tasks.length ? share / tasks.length : 0 };
}

/**
 * Reads the filter of the list into the parameters of ListJobs: `state:running`, `name:nightly`,
 * `label:team=sales`, `paused`; any other word is the beginning of a job's id. Whatever is written
 * otherwise is the coordinator's to read, in the language of `votum list --filter`.
 */
export function readFilter(text) {
  const query = [];
  const problems = [];
  const words = text.trim().split(/\s+/).filter(Boolean);
  const plain = (word) => /^(state|name|label):|^[\w-]+$/.test(word) && !/^(AND|OR|NOT)$/.test(word);
  if (!words.every(plain)) return { query: [["filter", text.trim()]], problem: "" };
  for (const word of words) {
    const [, key, value] = /^(\w+):(.*)$/.exec(word) || [null, "", word];
    if (key === "state") {
      const name = `JOB_STATE_${value.toUpperCase().replaceAll("-", "_")}`;
      if (value.toLowerCase() === "paused") query.push(["paused", "true"]);
      else if (STATES[name]) query.push(["states", name]);
      else problems.push(`there is no state ${value}`);
    } else if (key === "name") query.push(["displayName", value]);
    else if (key === "label" && value.includes("=")) {
      const at = value.indexOf("=");
      query.push([`labels.${value.slice(0, at)}`, value.slice(at + 1)]);
    } else if (key) problems.push(`${key}: wants key=value`);
    else if (value === "paused") query.push(["paused", "true"]);
    else query.push(["jobIdPrefix", value]);
  }
  return { query, problem: problems.join("; ") };
}

/** Says whether a job is among those of a filter; null if only the coordinator can tell. */
export function matches(job, query) {
  if (query.some(([key]) => key === "filter")) return null;
  const states = query.filter(([key]) => key === "states").map(([, value]) => value);
  const paused = query.some(([key]) => key === "paused");
  if (states.length || paused) {
    const held = Boolean(job.pause);
    if (!states.includes(job.state) && !(paused && held)) return false;
  }
  for (const [key, value] of query) {
    if (key === "displayName" && job.displayName !== value) return false;
    if (key === "jobIdPrefix" && !last(job.name).startsWith(value)) return false;
    // The list does not carry labels.
    if (key.startsWith("labels.")) return null;
  }
  return true;
}

/** Takes terminal codes and other control characters out of a line of a log. */
export function plain(line) {
  // eslint-disable-next-line no-control-regex
  return line.replace(/\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007]*\u0007?/g, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "");
}
