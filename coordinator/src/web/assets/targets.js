// What is visible where: the newest committed job of each target, as the jobs tell it.

import { h, show, table, cell, empty, failure, copyable, moment } from "./dom.js";
import { last, bytes, counted } from "./words.js";
import { follow, get, jobsPage } from "./api.js";

const PAGE = 20;
const PAGES_AT_ONCE = 5;

export function targetsView({ main, signal, connection }) {
  const field = h("input", { type: "search", placeholder: "part of a path, worker or job", "aria-label": "filter", autocomplete: "off", spellcheck: "false" });
  const list = h("div", { class: "list" });
  const foot = h("div", { class: "pages" });
  document.title = "Targets · Votum";
  main.append(h("h1", {}, "Targets"), h("p", { class: "muted" }, "What readers find on each worker, and which job put it there. Read from the committed jobs that are still kept, newest first: where the newest was deleted, an earlier one stands here."),
    h("div", { class: "filters" }, field), list, foot);
  const found = new Map();
  let seen = 0;
  let token = "";
  let more = true;

  async function load() {
    show(foot, h("span", { class: "muted" }, "reading jobs…"));
    try {
      for (let page = 0; page < PAGES_AT_ONCE && more; page += 1) {
        const answer = await jobsPage([["states", "JOB_STATE_COMMITTED"], ["view", "JOB_VIEW_FULL"]], token, PAGE, signal);
        for (const job of answer.jobs) take(job);
        token = answer.next;
        more = Boolean(token);
        draw();
      }
    } catch (error) {
      if (!signal.aborted) show(foot, failure(error, load));
    }
  }

  function take(job) {
    seen += 1;
    for (const task of job.tasks || []) {
      for (const output of task.outputs || []) {
        if (!output.publishPath || output.state !== "OUTPUT_STATE_PUBLISHED") continue;
        const key = `${last(output.worker)} ${output.publishPath}`;
        const known = found.get(key);
        // Of two jobs the one that was decided later holds the target.
        if (known && (known.job.decideTime || "") >= (job.decideTime || "")) known.earlier += 1;
        else found.set(key, { job, output, earlier: known ? known.earlier + 1 : 0 });
      }
    }
  }

  function draw() {
    const words = field.value.toLowerCase();
    const rows = [...found.values()].filter(({ job, output }) => `${output.worker} ${output.publishPath} ${job.name}`.toLowerCase().includes(words))
      .sort((a, b) => last(a.output.worker).localeCompare(last(b.output.worker)) || a.output.publishPath.localeCompare(b.output.publishPath));
    show(list, rows.length ? table("targets", ["Worker", "Target", "Job", "Since", "Size", "Digest"], rows.map(({ job, output, earlier }) => h("tr", { "data-row": "", tabindex: "0", "data-key": `${output.worker} ${output.publishPath}` },
      cell("Worker", h("span", { class: "mono" }, last(output.worker))),
      cell("Target", h("span", { class: "mono path" }, output.publishPath)),
      cell("Job", h("a", { class: "mono", href: `/jobs/${last(job.name)}` }, last(job.name)), earlier ? h("span", { class: "further" }, `${counted(earlier, "earlier job")}`) : null),
      cell("Since", moment(job.decideTime)),
      cell("Size", h("span", { class: "num" }, bytes(output.sizeBytes))),
      cell("Digest", copyable(output.digest || "", (output.digest || "").slice(0, 12))))))
      : empty(field.value ? "No target matches." : "Nothing has been published yet.", field.value ? "" : "An output with a publish target appears here when its job has committed."));
    show(foot, h("span", { class: "muted" }, `from ${counted(seen, "committed job")}`), more && h("button", { onclick: load }, "Look at older jobs"));
  }
  field.addEventListener("input", draw);
  // What is committed while one looks is read whole, for the stream tells only that it is.
  const known = new Set();
  async function changed({ job }) {
    if (job?.state !== "JOB_STATE_COMMITTED" || known.has(job.name)) return;
    known.add(job.name);
    try {
      take((await get(`jobs/${last(job.name)}?view=JOB_VIEW_FULL`, signal)).job);
      draw();
    } catch (error) {
      known.delete(job.name);
      if (!signal.aborted) show(foot, failure(error, load));
    }
  }
  follow("jobs:watch", changed, { signal, on: connection });
  load();
}
