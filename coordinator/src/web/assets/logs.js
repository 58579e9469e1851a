// What tasks write, as they write it. What they write is text, whatever it looks like.

import { h, show } from "./dom.js";
import { follow } from "./api.js";
import { plain } from "./words.js";

const LINES_MAX = 5000;
const LINE_MAX = 4000;

/** Makes the panel; it follows nothing before it is shown. */
export function logsPanel({ name, signal, task }) {
  const lines = h("div", { class: "lines", tabindex: "0", role: "log", "aria-label": "logs" });
  const field = h("input", { type: "search", placeholder: "search the lines", "aria-label": "search", autocomplete: "off" });
  const tail = h("input", { type: "checkbox", checked: true });
  const wrap = h("input", { type: "checkbox", checked: true });
  const said = h("span", { class: "muted" });
  const element = h("div", { class: "logs wrap" }, h("div", { class: "filters" }, field,
    h("label", { class: "check" }, tail, "follow"), h("label", { class: "check" }, wrap, "wrap"), h("button", { onclick: download }, "Download"), said), lines);
  wrap.addEventListener("change", () => element.classList.toggle("wrap", wrap.checked));
  field.addEventListener("input", () => { for (const line of lines.children) fit(line); });

  const streams = new Map();
  let waiting = [];
  let due = false;
  let dropped = 0;
  let current;
  let scope;

  function take({ attempt, stream, offset, data }) {
    const id = `${attempt} ${stream}`;
    const known = streams.get(id) || { decoder: new TextDecoder(), rest: "", next: 0 };
    streams.set(id, known);
    const bytes = Uint8Array.from(atob(data || ""), (letter) => letter.charCodeAt(0));
    const from = Number(offset || 0);
    if (from + bytes.length <= known.next) return;
    if (from > known.next && known.next > 0) push(attempt, stream, `… ${from - known.next} bytes were not kept …`);
    const text = known.rest + known.decoder.decode(from < known.next ? bytes.slice(known.next - from) : bytes, { stream: true });
    known.next = from + bytes.length;
    const parts = text.split("\n");
    known.rest = parts.pop();
    // A line without an end does not grow for ever.
    if (known.rest.length > LINE_MAX) {
      parts.push(known.rest);
      known.rest = "";
    }
    for (const part of parts) push(attempt, stream, part);
  }

  function push(attempt, stream, text) {
    waiting.push({ attempt, stream, text });
    if (waiting.length > LINES_MAX) {
      dropped += waiting.length - LINES_MAX;
      waiting = waiting.slice(-LINES_MAX);
    }
    if (due) return;
    due = true;
    requestAnimationFrame(draw);
  }

  function draw() {
    due = false;
    lines.append(...waiting.map(lineOf));
    waiting = [];
    while (lines.childElementCount > LINES_MAX) {
      lines.firstElementChild.remove();
      dropped += 1;
    }
    said.textContent = dropped ? `${dropped} earlier lines are not shown` : "";
    if (tail.checked) lines.scrollTop = lines.scrollHeight;
  }

  function lineOf({ attempt, stream, text }) {
    const parts = attempt.split("/");
    const who = `${parts[2] === "tasks" ? "" : `${parts[2].slice(0, -1)} `}${parts[3]}${parts[5] === "1" ? "" : ` #${parts[5]}`}`;
    const isError = stream === "LOG_STREAM_STDERR";
    const line = h("div", { class: `line${isError ? " err" : ""}` }, h("span", { class: "who" }, who), h("span", { class: "from" }, isError ? "err" : ""), h("span", { class: "text" }));
    line.lastChild.textContent = plain(text).slice(0, LINE_MAX);
    fit(line);
    return line;
  }

  function fit(line) {
    line.hidden = field.value !== "" && !line.textContent.toLowerCase().includes(field.value.toLowerCase());
  }

  function download() {
    const text = [...lines.children].map((line) => [...line.children].map((part) => part.textContent).join("\t")).join("\n");
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: `${name}.log` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function start() {
    if (current && scope === task()) return;
    current?.abort();
    current = new AbortController();
    const mine = current;
    signal.addEventListener("abort", () => mine.abort(), { signal: mine.signal });
    scope = task();
    streams.clear();
    waiting = [];
    dropped = 0;
    lines.replaceChildren();
    said.textContent = scope ? `of ${scope}` : "";
    const path = scope ? `jobs/${name}/tasks/${scope}/logs` : `jobs/${name}/logs`;
    follow(`${path}?follow=true`, take, {
      signal: mine.signal,
      on: (how, error) => {
        if (how === "refused") show(said, error.message);
        if (how === "waiting") show(said, "a worker that keeps logs cannot be reached; trying again");
        if (how === "live" && !dropped) show(said, scope ? `of ${scope}` : "");
      },
      ended: () => {
        for (const [id, known] of streams) if (known.rest) push(...id.split(" "), known.rest);
        if (!lines.childElementCount && !waiting.length) show(lines, h("p", { class: "muted" }, scope ? `${scope} has written nothing.` : "Nothing was written."));
      },
    });
  }

  return { element, start, scope: () => current && element.isConnected && start() };
}
