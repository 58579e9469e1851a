// The durable history of a job as a list, each event a place to look back from.

import { h, moment, table, cell, failure, empty, show } from "./dom.js";
import { last } from "./words.js";

const ROWS_MAX = 500;

/** Makes the panel; `choose` is told which event to look back to. */
export function eventsPanel({ history, choose }) {
  const field = h("input", { type: "search", placeholder: "filter: a word, a task, a worker", "aria-label": "filter", autocomplete: "off" });
  const list = h("div", { class: "list events" });
  const element = h("div", {}, h("div", { class: "filters" }, field), list);
  let till = 0;

  function draw() {
    if (history.error) {
      show(list, failure(history.error, history.read));
      return;
    }
    const words = field.value.toLowerCase();
    const told = till ? history.events.slice(0, till) : history.events;
    const found = told.filter((one) => `${one.kind} ${one.text} ${one.task} ${one.worker} ${one.by}`.toLowerCase().includes(words));
    show(list, found.length ? table("events", ["Nr", "Time", "What", "Task", "Worker", "By", ""], found.slice(-ROWS_MAX).map(row))
      : empty(told.length ? "No event matches." : "Nothing is recorded yet."),
    found.length > ROWS_MAX ? h("p", { class: "muted" }, `The latest ${ROWS_MAX} of ${found.length} events; the filter finds earlier ones.`) : null,
    history.more ? h("p", { class: "muted" }, "There are more events than this page reads; votum events has all of them.") : null);
  }

  function row(one) {
    const id = Number(one.eventId);
    return h("tr", { "data-row": "", tabindex: "0", "data-key": `event ${id}`, "aria-current": id === till ? "true" : null },
      cell("Nr", h("button", { class: "link", title: "the job as of this event", "aria-label": `the job as of event ${id}`, onclick: () => choose(id) }, String(id))),
      cell("Time", moment(one.createTime, "clock")),
      cell("What", h("code", {}, one.kind || ""), " ", h("span", { class: "sentence" }, one.text || "")),
      cell("Task", h("span", { class: "mono" }, one.task ? `${one.task}${one.attemptNumber ? ` #${one.attemptNumber}` : ""}` : "")),
      cell("Worker", h("span", { class: "mono" }, last(one.worker))), cell("By", one.by || ""),
      cell("", one.forced ? h("span", { class: "muted", title: "The coordinator went on only after this was on its disk" }, "synced first") : ""));
  }
  field.addEventListener("input", draw);

  return {
    element,
    /** Shows the events up to one, or all. */
    start(_job, asOf) {
      till = asOf;
      history.start();
      draw();
    },
  };
}
