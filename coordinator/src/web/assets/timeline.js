// Lays the attempts of a job out over time. Pure: a job in, bars in per cent out.

import { stateOf, last } from "./words.js";

/** Returns the time of a timestamp, or undefined. */
function time(stamp) {
  const ms = Date.parse(stamp || "");
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * Returns the bars of all attempts that have begun, by task and number, with the bands of the
 * commit: from the round's opening to the decision, and from there until all is applied.
 */
export function timelineOf(job, now) {
  const from = time(job.createTime) ?? now;
  const bars = [];
  for (const task of job.tasks || []) {
    for (const attempt of task.attempts || []) {
      const start = time(attempt.startTime);
      if (start === undefined) continue;
      const open = !attempt.outcome;
      const end = time(attempt.endTime) ?? (open ? now : start);
      const state = open ? stateOf("TASK_STATE_RUNNING") : stateOf(attempt.outcome);
      bars.push({
        task: last(task.name),
        number: Number(last(attempt.name)),
        worker: last(attempt.worker),
        start,
        end: Math.max(start, end),
        open,
        ...state,
      });
    }
  }
  bars.sort((a, b) => a.start - b.start || a.task.localeCompare(b.task) || a.number - b.number);
  const prepared = time(job.prepareTime);
  const decided = time(job.decideTime);
  const ended = time(job.endTime);
  const ends = [from + 1, ended, decided, prepared, ...bars.map((bar) => bar.end)];
  const till = Math.max(...ends.filter((one) => one !== undefined), ended === undefined ? now : 0);
  const whole = till - from;
  const share = (at) => (100 * (Math.min(Math.max(at, from), till) - from)) / whole;
  const bands = [];
  const band = (word, start, end) => {
    if (start === undefined) return;
    const left = share(start);
    bands.push({ word, start, end: end ?? till, left, width: share(end ?? till) - left });
  };
  band("votes", prepared, decided);
  band("applying", decided, ended);
  return {
    from,
    till,
    bands,
    bars: bars.map((bar) => ({ ...bar, left: share(bar.start), width: share(bar.end) - share(bar.start) })),
    ticks: ticksOf(whole).map((at) => ({ at, left: (100 * at) / whole })),
  };
}

/** Returns at most six round moments within a span of milliseconds. */
export function ticksOf(whole) {
  const step = STEPS.find((one) => whole / one <= 6) ?? STEPS[STEPS.length - 1] * Math.ceil(whole / STEPS[STEPS.length - 1] / 6);
  const ticks = [];
  for (let at = 0; at <= whole; at += step) ticks.push(at);
  return ticks;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const STEPS = [
  100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE,
  5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR,
];
