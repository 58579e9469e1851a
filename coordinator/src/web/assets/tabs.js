// The quiet tabs of a job: timeline, outputs, spec.

import { h, show, chip, moment, table, cell, empty, copyable } from "./dom.js";
import { stateOf, last, bytes, span, counted } from "./words.js";
import { timelineOf } from "./timeline.js";

const BARS_MAX = 400;
// About how wide a bar's words are, and what stands before the lane.
const WORDS = 170;
const LABEL = 150;
const LATEST_TICK = 88;

// Says where the words of a bar stand: in it, or where more room is, behind it or before it.
function where({ left, width }, words) {
  const behind = 100 - left - width;
  if (width >= words || (width > left && width > behind)) return "";
  return behind >= words || behind > left ? " out" : " before";
}

/** Draws the attempts over time. */
export function drawTimeline(element, job) {
  const plan = timelineOf(job, job.asOf ?? Date.now());
  if (!plan.bars.length) {
    show(element, job.endTime
      ? empty("No program ran.", "There is nothing to draw over time.")
      : empty("No attempt has begun yet.", "A bar for each attempt appears here when its program starts."));
    return;
  }
  const placed = (one, made) => {
    made.style.left = `${one.left}%`;
    if (one.width !== undefined) made.style.width = `${one.width}%`;
    return made;
  };
  const bars = plan.bars.slice(-BARS_MAX);
  const words = (100 * WORDS) / Math.max(WORDS, element.clientWidth - LABEL);
  element.replaceChildren(
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", { class: "label" }, ""), h("div", { class: "lane" }, plan.ticks.map((tick) => placed(tick, h("span", { class: tick.left > LATEST_TICK ? "tick late" : "tick" }, tick.at ? span(tick.at) : "0"))))),
    h("div", { class: "rows" },
      h("div", { class: "bands", "aria-hidden": "true" }, plan.bands.map((band) => placed(band, h("span", { class: `band ${band.word}` })))),
      bars.map((bar) => h("div", { class: "row" },
        h("span", { class: "label mono", title: `${bar.task} attempt ${bar.number}` }, h("span", { class: "name" }, bar.task), bar.number > 1 ? h("span", { class: "muted" }, ` #${bar.number}`) : null),
        h("div", { class: "lane" }, placed(bar, h("span", { class: `run ${bar.tone}${bar.open ? " open" : ""}${where(bar, words)}`, title: `${bar.task} #${bar.number} on ${bar.worker}: ${bar.word}, ${span(bar.end - bar.start)}` },
          h("span", { class: "says" }, `${bar.shape} ${bar.word} ${span(bar.end - bar.start)} · ${bar.worker}`)))))),
      plan.bands.map((band) => h("div", { class: "row" }, h("span", { class: "label" }, band.word), h("div", { class: "lane" }, placed(band, h("span", { class: `run vote ${band.word}${where(band, words / 3)}`, title: `${band.word}: ${span(band.end - band.start)}` }, h("span", { class: "says" }, span(band.end - band.start)))))))),
    plan.bars.length > BARS_MAX ? h("p", { class: "muted" }, `The latest ${BARS_MAX} of ${counted(plan.bars.length, "attempt")}.`) : "");
}

/** Shows what the tasks made. */
export function outputsTable(job) {
  const outputs = (job.tasks || []).flatMap((task) => task.outputs || []);
  if (!outputs.length) return empty("No output is staged yet.", "Outputs appear here when their task has ended well; nobody sees them before the commit.");
  return table("outputs", ["Output", "State", "Worker", "Files", "Size", "Digest", "Visible at"], outputs.map((one) => h("tr", { "data-row": "", tabindex: "0", "data-key": one.name },
    cell("Output", h("span", { class: "mono" }, last(one.name))), cell("State", chip(stateOf(one.state))), cell("Worker", h("span", { class: "mono" }, last(one.worker))),
    cell("Files", h("span", { class: "num" }, String(one.fileCount || 0))), cell("Size", h("span", { class: "num" }, bytes(one.sizeBytes))),
    cell("Digest", one.digest ? copyable(one.digest, one.digest.slice(0, 12)) : "–"),
    cell("Visible at", h("span", { class: "mono path" }, one.publishPath || "for other tasks only")))));
}

/** Shows what the events tell of the outputs: that they were staged, and what was said of it. */
export function pastOutputsTable(job) {
  const staged = (job.tasks || []).filter((task) => task.staged);
  if (!staged.length) return empty("No output was staged by then.");
  return [table("staged by then", ["Task", "State", "Worker", "Staged", "What was recorded"], staged.map((task) => h("tr", { "data-row": "", tabindex: "0", "data-key": task.name },
    cell("Task", h("span", { class: "mono" }, last(task.name))), cell("State", chip(stateOf(task.state))), cell("Worker", h("span", { class: "mono" }, last(task.worker))),
    cell("Staged", moment(task.staged.createTime, "clock")), cell("Recorded", task.staged.text || "")))),
  h("p", { class: "muted" }, "Digests and single files are not among the events; live shows those of what is there.")];
}

/** Shows what was asked for. */
export function specText(job) {
  if (!job.spec) return empty("The spec is not kept any more.");
  return h("div", {}, h("p", { class: "muted" }, "As the coordinator has it, with defaults filled in. ", copyable(`votum show ${last(job.name)} -o json`, "copy as command")),
    h("pre", { class: "spec" }, JSON.stringify(job.spec, null, 2)));
}
