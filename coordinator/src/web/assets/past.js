// The bar over a job that one looks back at: which event it is as of, and the way to live.

import { h, show } from "./dom.js";
import { stateOf, span } from "./words.js";
import { sentence } from "./fold.js";

/** Makes the bar; `choose` is told the number of an event, or 0 for live. */
export function pastBar({ history, choose }) {
  const slider = h("input", { type: "range", min: 1, step: 1, "aria-label": "as of event", oninput: () => choose(Number(slider.value)) });
  const back = h("button", { "aria-label": "one event back", title: "one event back", onclick: () => choose(Number(slider.value) - 1) }, "‹");
  const on = h("button", { "aria-label": "one event on", title: "one event on", onclick: () => choose(Number(slider.value) + 1) }, "›");
  const live = h("button", { class: "primary", title: "key h", onclick: () => choose(0) }, "Back to live");
  const title = h("b", {});
  const told = h("p", { class: "told", role: "status" });
  const small = h("p", { class: "small" });
  const element = h("section", { class: "looking-back", "aria-label": "as of an event", hidden: true },
    h("div", { class: "past" }, h("div", { class: "reel" }, title, back, slider, on, live), told), small);

  return {
    element,
    focus: () => slider.focus({ preventScroll: true }),
    /** Shows where one is: the job as it was, and as it stands now. */
    draw(at, past, job) {
      element.hidden = !at;
      if (!at) return;
      const count = history.events.length;
      slider.max = String(Math.max(1, count));
      slider.value = String(at);
      back.disabled = at <= 1;
      on.disabled = at >= count;
      const event = history.events[at - 1];
      title.textContent = event ? `As of event ${at} of ${count}` : "Looking back";
      if (!event) {
        show(told, history.error ? history.error.message : history.known ? "No events of this job are kept." : "reading the history…");
        show(small);
        return;
      }
      const clock = new Date(past.asOf);
      slider.setAttribute("aria-valuetext", `event ${at}: ${sentence(event)}`);
      show(told, h("time", { datetime: clock.toISOString() }, clock.toLocaleString([], { hour12: false })), " ", h("code", {}, event.kind || ""), " ", sentence(event));
      const start = Date.parse(past.createTime || "");
      show(small, `This is the past${Number.isNaN(start) ? "" : `, ${span(past.asOf - start)} after the job was received`}; the job is now ${stateOf(job.state).word}. `,
        "Shown is what the durable events tell: single votes, progress and logs are not among them.",
        past.skipped ? ` ${past.skipped} of the events are of kinds that this page does not know.` : "",
        history.more ? ` The slider ends after ${count} events: the job has more.` : "");
    },
  };
}
