// The runs of one job name, newest first: what each task came to, how long each run took.

import { h, show, chip, moment, bar, empty, failure } from "./dom.js";
import { stateOf, span, counted } from "./words.js";
import { follow, jobsPage, query } from "./api.js";
import { gridOf } from "./grid.js";

const PAGE = 20;
const AT_MOST_EVERY = 1000;

export function runsView({ main, signal, connection, name, go }) {
  const at = new URLSearchParams(location.search);
  const told = h("p", { class: "muted" });
  const list = h("div", { class: "list" });
  const pages = h("div", { class: "pages" });
  document.title = `${name} · Votum`;
  main.append(h("div", { class: "jobhead" }, h("div", { class: "title" }, h("a", { class: "back", href: "/" }, "Jobs"), h("h1", { class: "mono" }, name))), told, list, pages);

  const tokens = [at.get("page") || ""];
  let jobs = [];
  let next = "";
  let asked = 0;

  async function load() {
    const mine = ++asked;
    try {
      const page = await jobsPage([["displayName", name], ["view", "JOB_VIEW_FULL"]], tokens.at(-1), PAGE, signal);
      if (mine !== asked) return;
      ({ jobs, next } = page);
      draw();
    } catch (error) {
      if (!signal.aborted && mine === asked) show(list, failure(error, load));
    }
  }

  function draw() {
    const grid = gridOf(jobs, Date.now());
    show(told, grid.over ? [`${counted(grid.over, "run")} on this page ${grid.over === 1 ? "has" : "have"} ended, ${grid.committed} with COMMIT: ${Math.round((100 * grid.committed) / grid.over)} %`,
      grid.median !== undefined ? `; median ${span(grid.median)}` : ""] : "No run on this page has ended yet");
    show(list, jobs.length ? picture(grid) : next ? empty("No run among those that were looked at so far.", "Older ones follow.")
      : empty(`There is no run of ${name}.`, "Its records may have been removed after their retention. ", h("a", { href: "/" }, "All jobs")),
    grid.omitted ? h("p", { class: "muted" }, `The first ${grid.tasks.length} tasks; ${grid.omitted} further ones are on each run's page.`) : null);
    show(pages,
      tokens.length > 1 && h("button", { onclick: () => { tokens.pop(); turn(); } }, "← Newer"),
      h("span", { class: "muted" }, jobs.length ? `${counted(jobs.length, "run")} on this page` : ""),
      next && h("button", { onclick: () => { tokens.push(next); turn(); } }, "Older →"));
  }

  function picture(grid) {
    return h("table", { class: "grid", "aria-label": `runs of ${name}` },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Run"), h("th", { scope: "col" }, "Took"), h("th", { scope: "col" }, "Received"),
        grid.tasks.map((task) => h("th", { scope: "col", class: "task mono", title: task }, h("span", {}, task))))),
      h("tbody", {}, grid.rows.map((row) => line(row, grid.tasks))));
  }

  function line(row, tasks) {
    const state = stateOf(row.state);
    const short = row.id.startsWith(`${name}-`) ? row.id.slice(name.length + 1) : row.id;
    return h("tr", { "data-row": "", "data-key": row.id, tabindex: "0" },
      h("th", { scope: "row" }, chip(state), " ", h("a", { class: "mono id", href: `/jobs/${row.id}`, title: row.id }, short)),
      h("td", {}, h("span", { class: "progress" }, bar(row.share, state.tone, "of the longest run on this page"), h("span", { class: "num" }, row.open ? moment(row.received, "since") : span(row.took)))),
      h("td", {}, moment(row.received)),
      tasks.map((task) => h("td", { class: "task" }, square(task, row.cells.get(task)))));
  }

  function square(task, one) {
    if (!one) return h("span", { class: "none", title: `${task}: not in this run` }, "–");
    const { word, shape, tone } = stateOf(one.state);
    const says = `${task}: ${word}${one.worker ? ` on ${one.worker}` : ""}${one.attempts > 1 ? `, ${one.attempts} attempts` : ""}${one.took !== undefined ? `, ${span(one.took)}` : ""}`;
    return h("span", { class: `square ${tone}`, title: says, role: "img", "aria-label": says }, shape, one.attempts > 1 ? h("sup", {}, String(one.attempts)) : null);
  }

  function turn() {
    go(`/names/${encodeURIComponent(name)}${query([["page", tokens.at(-1)]])}`, true);
    load();
  }

  let timer;
  const soon = () => {
    timer ||= setTimeout(() => { timer = undefined; if (!signal.aborted) load(); }, AT_MOST_EVERY);
  };
  follow("jobs:watch", ({ job, deletedJob, missed }) => {
    if (missed || deletedJob || job?.displayName === name) soon();
  }, {
    signal,
    on: (state, error) => {
      connection(state);
      if (state === "live") load();
      if (state === "refused") show(list, failure(error));
    },
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
}
