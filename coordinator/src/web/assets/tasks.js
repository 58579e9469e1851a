// The tasks of a job: one of them beside the graph, all of them in a table, and what follows the decision.

import { h, show, chip, moment, bar, table, cell, empty } from "./dom.js";
import { stateOf, last, bytes, span } from "./words.js";

const ROWS_MAX = 500;
const TOLD_MAX = 20;
const FILTERED_FROM = 12;

/** Shows everything about one task. */
export function taskPanel(task, job, { close, logs, retry }) {
  const name = last(task.name);
  const spec = (job.spec?.tasks || []).find((one) => one.taskId === name);
  const told = task.progress;
  const attempts = [...(task.attempts || [])].reverse();
  return [
    h("header", {}, h("h2", { class: "mono" }, name), chip(stateOf(task.state)), h("button", { class: "quiet", "aria-label": "close", onclick: close }, "✕")),
    told?.message || told?.fraction !== undefined ? h("div", { class: "told" }, told.fraction !== undefined ? bar(told.fraction, "run") : null,
      h("span", {}, [told.fraction !== undefined ? `${Math.round(told.fraction * 100)} %` : "", told.doneCount ? `${told.doneCount}${told.totalCount ? ` of ${told.totalCount}` : ""} ${told.unit || ""}` : "", told.message || ""].filter(Boolean).join(" · "))) : null,
    told?.lastWarning ? h("p", { class: "note" }, `warned ${told.warningCount}×: ${told.lastWarning}`) : null,
    h("dl", { class: "facts" },
      task.worker ? [h("dt", {}, "Worker"), h("dd", { class: "mono" }, last(task.worker))] : null,
      task.retryTime ? [h("dt", {}, "Next attempt"), h("dd", {}, "in ", moment(task.retryTime, "until"))] : null,
      task.checkpoint ? [h("dt", {}, "Checkpoint"), h("dd", {}, `${task.checkpoint.sequence}, ${bytes(task.checkpoint.sizeBytes)}, on ${(task.checkpoint.workers || []).map(last).join(", ")}, `, moment(task.checkpoint.sealTime))] : null,
      [h("dt", {}, "Runs"), h("dd", {}, h("code", { class: "command" }, command(spec)))]),
    job.asOf ? null : h("div", { class: "buttons" }, h("button", { onclick: logs }, "Logs"), task.state === "TASK_STATE_RETRYING" || job.pause ? h("button", { onclick: () => retry(name) }, "Retry now…") : null),
    h("h3", {}, "Attempts"),
    attempts.length ? h("ol", { class: "attempts" }, attempts.map((one) => attempt(one, job.asOf))) : h("p", { class: "muted" }, "None yet."),
    task.told?.length ? [h("h3", {}, "Recorded by then"), h("ol", { class: "attempts" }, task.told.slice(-TOLD_MAX).reverse().map((one) => h("li", {}, moment(one.createTime, "clock"), " ", h("code", {}, one.kind || ""), ` ${one.text || ""}`)))] : null,
  ];
}

function attempt(one, asOf) {
  const state = one.outcome ? stateOf(one.outcome) : stateOf("TASK_STATE_RUNNING");
  const took = one.startTime && one.endTime ? Date.parse(one.endTime) - Date.parse(one.startTime) : undefined;
  return h("li", {}, h("div", {}, h("b", {}, `#${last(one.name)} `), chip(state), ` on ${last(one.worker)} `,
    h("span", { class: "muted" }, took === undefined ? (one.startTime ? ["for ", asOf ? span(asOf - Date.parse(one.startTime)) : moment(one.startTime, "since")] : "") : span(took))),
  one.error ? h("p", { class: "why" }, one.error.message || "") : null,
  one.stderrTail ? h("pre", {}, one.stderrTail) : null);
}

function command(spec) {
  if (!spec) return "–";
  if (spec.script) return spec.script.text || "";
  if (spec.command) return (spec.command.argv || []).join(" ");
  return (spec.steps?.steps || []).map((step) => step.name).join(" → ");
}

/** Makes the panel of all tasks; `select` is told which was chosen. */
export function tasksPanel({ select }) {
  const field = h("input", { type: "search", placeholder: "filter: a task, a state, a worker", "aria-label": "filter", autocomplete: "off", spellcheck: "false" });
  const counts = h("div", { class: "counts", role: "group", "aria-label": "tasks by state" });
  const filters = h("div", { class: "filters" }, field, counts);
  const list = h("div", {});
  let job = {};

  function draw() {
    const tasks = job.tasks || [];
    const word = (task) => stateOf(task.state).word;
    const words = field.value.toLowerCase();
    const found = tasks.filter((task) => `${last(task.name)} ${word(task)} ${last(task.worker)}`.toLowerCase().includes(words));
    filters.hidden = tasks.length < FILTERED_FROM;
    show(counts, [...new Set(tasks.map((task) => task.state))].map((name) => {
      const state = stateOf(name);
      return h("button", { class: `chip ${state.tone}`, title: `only ${state.word}`, onclick: () => { field.value = field.value === state.word ? "" : state.word; draw(); } },
        h("span", { class: "shape", "aria-hidden": "true" }, state.shape), `${state.word} `, h("b", {}, String(tasks.filter((task) => task.state === name).length)));
    }));
    show(list, tasks.length && !found.length ? empty("No task matches.") : tasksTable(found, select), hooksTable(job));
  }
  field.addEventListener("input", draw);

  return {
    element: h("div", {}, filters, list),
    /** Shows the tasks of a job as it is. */
    start(given) {
      job = given;
      draw();
    },
  };
}

function tasksTable(tasks, select) {
  if (!tasks.length) return empty("No tasks are known.");
  return [table("tasks", ["Task", "State", "Worker", "Attempts", "Progress", "Outputs"], tasks.slice(0, ROWS_MAX).map((task) => {
    const name = last(task.name);
    const size = (task.outputs || []).reduce((sum, one) => sum + Number(one.sizeBytes || 0), 0);
    return h("tr", { "data-row": "", "data-key": name, tabindex: "0" },
      cell("Task", h("button", { class: "link mono", onclick: () => select(name) }, name)),
      cell("State", chip(stateOf(task.state))), cell("Worker", h("span", { class: "mono" }, last(task.worker) || "–")),
      cell("Attempts", h("span", { class: "num" }, String((task.attempts?.length || 0) + Number(task.omittedAttemptCount || 0)))),
      cell("Progress", task.progress?.fraction !== undefined ? h("span", { class: "progress" }, bar(task.progress.fraction), h("span", { class: "num" }, `${Math.round(task.progress.fraction * 100)} %`)) : h("span", { class: "sentence" }, task.progress?.message || "–")),
      cell("Outputs", task.outputs?.length ? `${task.outputs.length}, ${bytes(size)}` : "–"));
  })), tasks.length > ROWS_MAX ? h("p", { class: "muted" }, `The first ${ROWS_MAX} of ${tasks.length} tasks; the filter finds others.`) : null];
}

/** Shows effects and compensations, once the decision is there. */
function hooksTable(job) {
  const hooks = job.hooks || [];
  if (!hooks.length) return null;
  return h("div", {}, h("h3", {}, "After the decision"), table("effects and compensations", ["Name", "Kind", "State", "Tries", "Where", "Last said"], hooks.map((hook) => h("tr", {},
    cell("Name", h("span", { class: "mono" }, hook.hookId)), cell("Kind", hook.kind === "HOOK_KIND_EFFECT" ? "effect" : "compensation"), cell("State", chip(stateOf(hook.state))),
    cell("Tries", h("span", { class: "num" }, String(hook.tries || 0))), cell("Where", hook.worker ? last(hook.worker) : "–"),
    cell("Last said", h("span", { class: "sentence" }, hook.trials?.at(-1)?.message || hook.resolution?.reason || "–"))))));
}
