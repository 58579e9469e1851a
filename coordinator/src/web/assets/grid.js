// Lays the runs of one job name out as a grid of runs and tasks. Pure: jobs in, rows and cells out.

import { edgesOf, layersOf } from "./graph.js";
import { last } from "./words.js";

/** With more tasks than this the grid shows the first ones. */
export const TASKS_MAX = 60;

/**
 * Returns the grid: the tasks in the order of the newest run's graph, a row for each run, and what
 * can be said of those that are over.
 */
export function gridOf(jobs, now) {
  const names = tasksOf(jobs);
  const rows = jobs.map((job) => rowOf(job, now));
  const longest = Math.max(1, ...rows.map((row) => row.took ?? 0));
  for (const row of rows) row.share = (row.took ?? 0) / longest;
  const over = rows.filter((row) => !row.open);
  const committed = over.filter((row) => row.state === "JOB_STATE_COMMITTED");
  return {
    tasks: names.slice(0, TASKS_MAX),
    omitted: Math.max(0, names.length - TASKS_MAX),
    rows,
    over: over.length,
    committed: committed.length,
    median: median(committed.map((row) => row.took).filter((took) => took !== undefined)),
  };
}

// The tasks of the newest run by layer and name, then those that only earlier ones had.
function tasksOf(jobs) {
  const names = new Set();
  for (const job of jobs) {
    const own = (job.tasks || []).map((task) => last(task.name)).sort();
    const layer = layersOf(own, edgesOf(job.spec));
    own.sort((a, b) => layer.get(a) - layer.get(b));
    for (const name of own) names.add(name);
  }
  return [...names];
}

function rowOf(job, now) {
  const start = Date.parse(job.createTime || "");
  const open = !["JOB_STATE_COMMITTED", "JOB_STATE_ABORTED"].includes(job.state);
  const end = open ? now : Date.parse(job.endTime || job.decideTime || "");
  const took = end - start;
  return {
    id: last(job.name),
    state: job.state,
    received: job.createTime,
    open,
    took: Number.isNaN(took) ? undefined : Math.max(0, took),
    cells: new Map((job.tasks || []).map((task) => [last(task.name), cellOf(task)])),
  };
}

function cellOf(task) {
  const attempts = task.attempts || [];
  const spans = attempts.map((one) => Date.parse(one.endTime || "") - Date.parse(one.startTime || "")).filter((ms) => !Number.isNaN(ms));
  return {
    state: task.state,
    worker: last(task.worker),
    attempts: attempts.length + Number(task.omittedAttemptCount || 0),
    took: spans.at(-1),
  };
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (!sorted.length) return undefined;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
