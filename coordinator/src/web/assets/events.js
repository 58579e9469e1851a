// The durable history of a job, read on as it grows.

import { h, moment, table, cell, failure, empty, show } from "./dom.js";
import { last } from "./words.js";
import { get, query } from "./api.js";

const PAGE = 500;
const EVENTS_MAX = 5000;
const SOON = 300;

/** Makes the panel; it reads nothing before it is shown. */
export function eventsPanel({ name, signal }) {
  const field = h("input", { type: "search", placeholder: "filter: a word, a task, a worker", "aria-label": "filter", autocomplete: "off" });
  const list = h("div", { class: "list events" });
  const element = h("div", {}, h("div", { class: "filters" }, field), list);
  let events = [];
  let started = false;
  let reading = false;
  let again = false;

  async function read() {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      do {
        again = false;
        let token = "";
        const after = events.at(-1)?.eventId;
        do {
          const answer = await get(`jobs/${name}/events${query([["pageSize", PAGE], ["pageToken", token], ["afterEventId", after]])}`, signal);
          events.push(...(answer.events || []));
          token = answer.nextPageToken || "";
        } while (token && events.length < EVENTS_MAX);
        draw();
      } while (again);
    } catch (error) {
      if (!signal.aborted) show(list, failure(error, read));
    } finally {
      reading = false;
    }
  }

  function draw() {
    const words = field.value.toLowerCase();
    const rows = events.filter((one) => `${one.kind} ${one.text} ${one.task} ${one.worker} ${one.by}`.toLowerCase().includes(words));
    show(list, rows.length ? table("events", ["Nr", "Time", "What", "Task", "Worker", "By", ""], rows.map((one) => h("tr", { "data-row": "", tabindex: "0", "data-key": String(one.eventId) },
      cell("Nr", h("span", { class: "num" }, String(one.eventId))), cell("Time", moment(one.createTime, "clock")),
      cell("What", h("code", {}, one.kind || ""), " ", h("span", { class: "sentence" }, one.text || "")),
      cell("Task", h("span", { class: "mono" }, one.task ? `${one.task}${one.attemptNumber ? ` #${one.attemptNumber}` : ""}` : "")),
      cell("Worker", h("span", { class: "mono" }, last(one.worker))), cell("By", one.by || ""),
      cell("", one.forced ? h("span", { class: "muted", title: "The coordinator went on only after this was on its disk" }, "synced first") : ""))))
      : empty(events.length ? "No event matches." : "Nothing is recorded yet."));
  }
  field.addEventListener("input", draw);

  let timer;
  return {
    element,
    start() {
      if (started) return;
      started = true;
      read();
    },
    /** The job has changed, so there may be more. */
    changed() {
      if (!started) return;
      clearTimeout(timer);
      timer = setTimeout(() => signal.aborted || read(), SOON);
    },
  };
}
