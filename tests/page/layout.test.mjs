// The pure parts of the page, without a browser: run by `cargo test --package votum-tests --test page`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { foldOf } from "./fold.js";
import { curve, edgesOf, layersOf, layout } from "./graph.js";
import { gridOf, TASKS_MAX } from "./grid.js";
import { ticksOf, timelineOf } from "./timeline.js";
import { ago, bytes, cut, matches, plain, progress, readFilter, span, stateOf } from "./words.js";

const SIZE = { length: 100, breadth: 40, step: 50, gap: 10, bend: 5, down: false };

test("edges come from dependencies and inputs, once each", () => {
  const spec = { tasks: [{ taskId: "a" }, { taskId: "b", dependsOn: ["a"], inputs: [{ taskOutput: { taskId: "a" } }, { workerPath: "/data" }] }] };
  assert.deepEqual(edgesOf(spec), [["a", "b"]]);
  assert.deepEqual(edgesOf(undefined), []);
});

test("a node lies behind the last of those before it", () => {
  const layer = layersOf(["a", "b", "c", "d"], [["a", "b"], ["b", "c"], ["a", "c"], ["a", "d"]]);
  assert.deepEqual([...layer], [["a", 0], ["b", 1], ["c", 2], ["d", 1]]);
});

test("a cycle is drawn and not followed for ever", () => {
  const plan = layout(["a", "b"], [["a", "b"], ["b", "a"]], SIZE);
  assert.equal(plan.nodes.size, 2);
});

test("no two nodes of a layout overlap, and every edge goes forward", () => {
  const nodes = Array.from({ length: 120 }, (_, i) => `n${i}`);
  const edges = [];
  for (let i = 1; i < nodes.length; i += 1) {
    edges.push([nodes[(i * 7) % i], nodes[i]]);
    if (i % 3 === 0) edges.push([nodes[(i * 5) % i], nodes[i]]);
  }
  const plan = layout(nodes, edges, SIZE);
  const places = [...plan.nodes.values()];
  for (let i = 0; i < places.length; i += 1) {
    for (let j = i + 1; j < places.length; j += 1) {
      const apart = Math.abs(places[i].x - places[j].x) >= SIZE.length || Math.abs(places[i].y - places[j].y) >= SIZE.breadth - 0.01;
      assert.ok(apart, `${i} and ${j}`);
    }
    assert.ok(places[i].x >= 0 && places[i].y >= -0.01 && places[i].x + SIZE.length <= plan.width + 0.01 && places[i].y + SIZE.breadth <= plan.height + 0.01);
  }
  for (const { points } of plan.edges) {
    for (let i = 1; i < points.length; i += 1) assert.ok(points[i].x >= points[i - 1].x);
  }
});

test("a straight chain is drawn straight, in both directions", () => {
  for (const down of [false, true]) {
    const plan = layout(["a", "b", "c"], [["a", "b"], ["b", "c"]], { ...SIZE, down });
    const across = [...plan.nodes.values()].map((node) => (down ? node.x : node.y));
    assert.equal(new Set(across.map((at) => at.toFixed(3))).size, 1);
    assert.match(curve(plan.edges[0].points, down), /^M[\d.]+,[\d.]+ C/);
  }
});

test("a layout of the largest picture takes no time that is felt", () => {
  const nodes = Array.from({ length: 300 }, (_, i) => `n${i}`);
  const edges = nodes.slice(1).flatMap((node, i) => [[nodes[Math.floor(i / 3)], node], [nodes[Math.floor(i / 2)], node]]);
  const start = performance.now();
  layout(nodes, edges, SIZE);
  assert.ok(performance.now() - start < 5000);
});

test("bars and bands of a timeline stay within it", () => {
  const at = (s) => new Date(Date.UTC(2026, 0, 1) + s * 1000).toISOString();
  const job = {
    createTime: at(0), prepareTime: at(8), decideTime: at(9), endTime: at(10),
    tasks: [{ name: "jobs/j/tasks/t", attempts: [
      { name: "jobs/j/tasks/t/attempts/1", worker: "workers/w", outcome: "ATTEMPT_OUTCOME_LOST", startTime: at(1), endTime: at(3) },
      { name: "jobs/j/tasks/t/attempts/2", worker: "workers/w", outcome: "ATTEMPT_OUTCOME_SUCCEEDED", startTime: at(4), endTime: at(8) },
    ] }],
  };
  const plan = timelineOf(job, Date.parse(at(99)));
  assert.deepEqual(plan.bars.map(({ number, left, width, word }) => [number, left, width, word]), [[1, 10, 20, "lost"], [2, 40, 40, "succeeded"]]);
  assert.deepEqual(plan.bands.map(({ word, left, width }) => [word, left, width]), [["votes", 80, 10], ["applying", 90, 10]]);
  const open = timelineOf({ createTime: at(0), tasks: [{ name: "t", attempts: [{ name: "1", startTime: at(1) }] }] }, Date.parse(at(5)));
  assert.deepEqual([open.bars[0].open, open.bars[0].left + open.bars[0].width], [true, 100]);
});

test("there are few ticks, whatever the length", () => {
  for (const whole of [1, 999, 60_000, 86_400_000, 40 * 86_400_000]) assert.ok(ticksOf(whole).length <= 7, String(whole));
});

test("every state has a word and a shape besides its colour", () => {
  assert.deepEqual(stateOf("JOB_STATE_COMMITTED"), { word: "committed", shape: "●", tone: "good" });
  assert.equal(stateOf("JOB_STATE_FROM_LATER").word, "from later");
  assert.equal(stateOf(undefined).word, "unknown");
});

test("a filter becomes what the coordinator is asked", () => {
  const { query } = readFilter("state:running name:nightly label:team=sales abc");
  assert.deepEqual(query, [["states", "JOB_STATE_RUNNING"], ["displayName", "nightly"], ["labels.team", "sales"], ["jobIdPrefix", "abc"]]);
  assert.match(readFilter("state:flying").problem, /flying/);
  for (const text of ["by = ana AND ended > -24h", "labels.team=sales", "NOT paused", "by:ana"]) {
    assert.deepEqual(readFilter(` ${text} `), { query: [["filter", text]], problem: "" });
  }
  assert.equal(matches({ name: "jobs/a" }, [["filter", "by = ana"]]), null);
  const running = [["states", "JOB_STATE_RUNNING"]];
  assert.equal(matches({ name: "jobs/a", state: "JOB_STATE_RUNNING" }, running), true);
  assert.equal(matches({ name: "jobs/a", state: "JOB_STATE_ABORTED" }, running), false);
});

test("sizes and times are worded for people", () => {
  assert.deepEqual([bytes(0), bytes("1536"), bytes(5 * 2 ** 30)], ["0 B", "1.5 KiB", "5.0 GiB"]);
  assert.deepEqual([span(12), span(1500), span(61_000), span(3_720_000)], ["12 ms", "1.5 s", "1 m 1 s", "1 h 2 m"]);
  assert.deepEqual([ago(100), ago(61_000)], ["just now", "1 m ago"]);
  assert.equal(cut("extract-customers", 9), "extr…mers");
  assert.deepEqual(progress({ tasks: [{ state: "TASK_STATE_STAGED" }, { state: "TASK_STATE_RUNNING", progress: { fraction: 0.5 } }] }), { made: 1, busy: 1, all: 2, share: 0.75 });
});

test("a line of a log keeps its words and loses its codes", () => {
  assert.equal(plain("\u001b[31mred\u001b[0m \u001b]0;title\u0007<b>&\u0000"), "red <b>&");
});

// ---- a job as it was

const SPEC = { tasks: [{ taskId: "b", dependsOn: ["a"] }, { taskId: "a" }] };
const STORY = [
  ["received", {}], ["assigned", { task: "a", attemptNumber: 1, worker: "workers/w1" }], ["started", { task: "a", attemptNumber: 1 }],
  ["worker_lost", { worker: "workers/w1", text: "w1 is gone for this job; 1 attempt over" }],
  ["assigned", { task: "a", attemptNumber: 2, worker: "workers/w2" }], ["started", { task: "a", attemptNumber: 2 }],
  ["staged", { task: "a", attemptNumber: 2, text: "ended well; 1 output of 2 B staged" }],
  ["assigned", { task: "b", attemptNumber: 1, worker: "workers/w2" }], ["staged", { task: "b", attemptNumber: 1 }],
  ["round_opened", {}], ["commit_decided", { text: "COMMIT" }], ["ended", {}], ["closed", {}],
].map(([kind, more], i) => ({ eventId: String(i + 1), kind, createTime: new Date(Date.UTC(2026, 0, 1, 0, 0, i)).toISOString(), ...more }));

const asOf = (count, events = STORY) => {
  const job = foldOf("j", SPEC, events.slice(0, count));
  return [job.state.slice(10), ...job.tasks.map((task) => task.state.slice(task.state.startsWith("PAST") ? 0 : 11))];
};

test("every event of a history moves the job to where it then stood", () => {
  assert.deepEqual(STORY.map((_, i) => asOf(i + 1).join(" ")), [
    "RECEIVED READY WAITING", "RECEIVED STARTING WAITING", "RUNNING RUNNING WAITING", "RUNNING PAST_ATTEMPT_LOST WAITING",
    "RUNNING STARTING WAITING", "RUNNING RUNNING WAITING", "RUNNING STAGED READY", "RUNNING STAGED STARTING", "RUNNING STAGED STAGED",
    "PREPARING STAGED STAGED", "COMMITTING PREPARED PREPARED", "COMMITTED COMMITTED COMMITTED", "COMMITTED COMMITTED COMMITTED",
  ]);
});

test("the past knows its attempts, and what came later is not in it", () => {
  const job = foldOf("j", SPEC, STORY.slice(0, 6));
  assert.deepEqual(job.tasks[0].attempts.map((one) => [one.name, one.worker, one.outcome]), [
    ["jobs/j/tasks/a/attempts/1", "workers/w1", "ATTEMPT_OUTCOME_LOST"], ["jobs/j/tasks/a/attempts/2", "workers/w2", undefined]]);
  assert.equal(job.decision, undefined);
  assert.equal(job.asOf, Date.UTC(2026, 0, 1, 0, 0, 5));
  assert.equal(timelineOf(job, job.asOf).till, job.asOf);
});

test("an abort, an effect and a person's word are told as recorded", () => {
  const story = [...STORY.slice(0, 3), ...[
    ["failed", { task: "a", attemptNumber: 1, text: "exit code 3" }], ["aborting", { text: "ABORT: a has failed", by: "" }],
    ["ended", {}], ["hook_intended", { task: "notify", attemptNumber: 1 }], ["hook_failed", { task: "notify", attemptNumber: 1, text: "no route" }],
    ["hook_resolved", { task: "notify", text: "a person decided: it counts as done: told", by: "kim" }],
  ].map(([kind, more], i) => ({ kind, createTime: new Date(Date.UTC(2026, 0, 1, 0, 1, i)).toISOString(), ...more }))];
  assert.deepEqual([asOf(5, story), asOf(6, story)], [["ABORTING", "PAST_ATTEMPT_FAILED", "WAITING"], ["ABORTED", "PAST_ATTEMPT_FAILED", "CANCELLED"]]);
  const [hook] = foldOf("j", SPEC, story).hooks;
  assert.deepEqual([hook.hookId, hook.state, hook.trials.length], ["notify", "PAST_RESOLVED", 2]);
});

test("an event of a later coordinator is skipped and counted", () => {
  const job = foldOf("j", undefined, [STORY[0], { kind: "teleported", createTime: STORY[1].createTime, task: "a" }, STORY[2]]);
  assert.deepEqual([job.skipped, job.tasks.map((task) => task.state)], [1, ["TASK_STATE_RUNNING"]]);
});

// ---- the runs of one name

const run = (id, state, seconds, tasks) => ({
  name: `jobs/${id}`, state, spec: { tasks: tasks.map(([taskId, , dependsOn = []]) => ({ taskId, dependsOn })) },
  createTime: "2026-01-01T00:00:00Z", endTime: new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString(),
  tasks: tasks.map(([taskId, attempts]) => ({ name: `jobs/${id}/tasks/${taskId}`, state: "TASK_STATE_COMMITTED", attempts: Array.from({ length: attempts }, () => ({})) })),
});

test("a grid has the tasks in the order of the graph and the runs with their share of the longest", () => {
  const grid = gridOf([
    run("n-3", "JOB_STATE_RUNNING", 0, [["z", 1], ["a", 1, ["z"]]]),
    run("n-2", "JOB_STATE_COMMITTED", 10, [["z", 3], ["a", 1, ["z"]], ["old", 1]]),
    run("n-1", "JOB_STATE_ABORTED", 40, [["z", 1]]),
    run("n-0", "JOB_STATE_COMMITTED", 20, [["z", 1]]),
  ], Date.UTC(2026, 0, 1) + 5000);
  assert.deepEqual(grid.tasks, ["z", "a", "old"]);
  assert.deepEqual(grid.rows.map(({ id, took, share, open }) => [id, took, share, open]), [
    ["n-3", 5000, 0.125, true], ["n-2", 10_000, 0.25, false], ["n-1", 40_000, 1, false], ["n-0", 20_000, 0.5, false]]);
  assert.deepEqual([grid.over, grid.committed, grid.median], [3, 2, 15_000]);
  assert.equal(grid.rows[1].cells.get("z").attempts, 3);
  assert.equal(grid.rows[0].cells.get("old"), undefined);
});

test("a grid of nothing is none, and a wide one is bounded", () => {
  assert.deepEqual(gridOf([], 0), { tasks: [], omitted: 0, rows: [], over: 0, committed: 0, median: undefined });
  const wide = gridOf([run("n", "JOB_STATE_COMMITTED", 1, Array.from({ length: TASKS_MAX + 7 }, (_, i) => [`t${i}`, 1]))], 0);
  assert.deepEqual([wide.tasks.length, wide.omitted], [TASKS_MAX, 7]);
});
