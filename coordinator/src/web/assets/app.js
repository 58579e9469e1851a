// The frame of the page: where one is, what is alive, and the keys.

import { h, show, tick } from "./dom.js";
import * as words from "./words.js";
import { tokens, hasToken, forget, get } from "./api.js";
import { askToken, tell } from "./dialog.js";
import { jobsView } from "./jobs.js";
import { jobView } from "./job.js";
import { workersView } from "./workers.js";
import { casesView } from "./cases.js";
import { txnsView } from "./txns.js";
import { targetsView } from "./targets.js";
import { runsView } from "./runs.js";

const VIEWS = [
  { at: /^\/(?:jobs\/?)?$/, make: jobsView, tab: "/" },
  { at: /^\/jobs\/([^/]+)\/?$/, make: jobView, tab: "/" },
  { at: /^\/names\/([^/]+)\/?$/, make: runsView, tab: "/" },
  { at: /^\/workers\/?$/, make: workersView, tab: "/workers" },
  { at: /^\/cases\/?$/, make: casesView, tab: "/cases" },
  { at: /^\/txns\/?$/, make: txnsView, tab: "/txns" },
  { at: /^\/targets\/?$/, make: targetsView, tab: "/targets" },
];
const TABS = [["/", "Jobs"], ["/workers", "Workers"], ["/cases", "Cases"], ["/txns", "Transactions"], ["/targets", "Targets"]];
const CASES_EVERY = 10_000;

const main = document.getElementById("main");
const nav = h("nav", { "aria-label": "views" });
const alive = h("span", { class: "alive", role: "status" });
const theme = h("button", { class: "quiet", "aria-label": "light or dark", title: "Light, dark, or as the machine is set", onclick: turn });
const leave = h("button", { class: "quiet", onclick: () => { forget(); location.reload(); } }, "Forget token");
let current;
let tab = "/";
let cases = 0;

function shell() {
  document.getElementById("top").append(
    h("a", { class: "mark", href: "/", "aria-label": "Votum, jobs" }, "Votum"), nav,
    h("div", { class: "tools" }, alive, leave, theme, h("button", { class: "quiet", title: "Keys (?)", "aria-label": "keys", onclick: keys }, "?")));
  turn();
}

function frame() {
  leave.hidden = !hasToken();
  show(nav, TABS.map(([href, word]) => h("a", { href, "aria-current": href === tab ? "page" : null }, word,
    href === "/cases" && cases ? h("span", { class: "count" }, String(cases)) : null)));
}

/** Shows where the connection stands, in a word; nothing of a view that has none. */
function connection(state) {
  alive.hidden = state === "none";
  const [shape, word, tone] = {
    live: ["●", "live", "good"], waiting: ["◌", "reconnecting", "ask"], refused: ["✕", "refused", "bad"],
    ended: ["–", "ended", "idle"],
  }[state] || ["○", "connecting", "idle"];
  alive.className = `alive chip ${tone}`;
  show(alive, h("span", { class: "shape", "aria-hidden": "true" }, shape), word);
}

function open() {
  const path = location.pathname;
  const found = VIEWS.find((view) => view.at.test(path));
  current?.abort();
  current = new AbortController();
  connection();
  tab = found?.tab;
  frame();
  main.replaceChildren();
  delete main.dataset.key;
  document.title = "Votum";
  if (!found) {
    connection("none");
    main.append(h("div", { class: "empty" }, h("p", { class: "lead" }, "There is nothing here."), h("p", {}, h("a", { href: "/" }, "All jobs"))));
    return;
  }
  const name = found.at.exec(path)[1];
  found.make({ main, signal: current.signal, connection, name: name && decodeURIComponent(name), go, key, counted });
}

/** Goes to another view. */
function go(href, replace = false) {
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  if (!replace) {
    open();
    scrollTo(0, 0);
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", open);

// ---- keys

const bound = new Map();
/** Binds a key for as long as the view is shown. */
function key(signal, letter, act) {
  bound.set(letter, act);
  signal.addEventListener("abort", () => bound.get(letter) === act && bound.delete(letter));
}

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches?.("input:not([type=range], [type=checkbox]), textarea, select");
  if (event.key === "Escape" && typing) return event.target.blur();
  if (typing) return undefined;
  if (event.key === "?") return keys();
  if (event.key === "/") {
    const field = main.querySelector("input[type=search]");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    }
    return undefined;
  }
  if (event.key === "j" || event.key === "k") return step(event.key === "j" ? 1 : -1);
  if (event.key === "Enter" && event.target.matches("[data-row]")) {
    event.target.querySelector("a[href], button.link")?.click();
    return undefined;
  }
  return bound.get(event.key)?.(event);
});

function step(by) {
  const rows = [...main.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement.closest?.("[data-row]"));
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function keys() {
  const rows = [["/", "filter or search"], ["j k", "next, previous row"], ["Enter", "open the row"],
    ["t a o l e s", "of a job: timeline, tasks, outputs, logs, events, spec"], ["g", "of a job: its graph"], ["h", "of a job: look back at it as of an event, and to live again"], ["Esc", "leave a field, close a dialog"], ["?", "this list"]];
  tell("Keys", h("dl", { class: "keys" }, rows.map(([what, does]) => [h("dt", {}, what.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, does)])));
}

// ---- light and dark

function turn(event) {
  const root = document.documentElement;
  const order = [undefined, "light", "dark"];
  if (event) {
    const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try {
      if (next) localStorage.setItem("votum-theme", next);
      else localStorage.removeItem("votum-theme");
    } catch { /* It holds until the page is left. */ }
  }
  theme.textContent = { light: "☀ light", dark: "☾ dark" }[root.dataset.theme] || "◑ auto";
}

/** Shows how many cases are open. */
function counted(number) {
  cases = number;
  frame();
}

async function count() {
  try {
    counted(((await get("cases?pageSize=100")).cases || []).length);
  } catch { /* The view says what is wrong. */ }
}

tokens.prompt = async (message, wrong) => {
  const given = await askToken(message, wrong);
  setTimeout(frame, 0);
  return given;
};
tick(words);
shell();
open();
count();
setInterval(() => document.visibilityState === "visible" && count(), CASES_EVERY);
