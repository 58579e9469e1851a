// The list of jobs: filtered and paged by the coordinator, kept true by its stream of changes.

import { h, show, chip, moment, bar, table, cell, empty, failure } from "./dom.js";
import { stateOf, last, progress, readFilter, matches, counted } from "./words.js";
import { get, follow, query, jobsPage } from "./api.js";

const PAGE = 50;
const ATTENTION_EVERY = 10_000;
const ASKING = [["states", "JOB_STATE_AWAITING_APPROVAL"], ["states", "JOB_STATE_QUARANTINED"], ["paused", "true"]];
const ASKING_MAX = 6;
const OPEN_STATES = ["RECEIVED", "QUEUED", "RUNNING", "AWAITING_APPROVAL", "PREPARING", "COMMITTING", "ABORTING", "QUARANTINED"];

export function jobsView({ main, signal, connection, go }) {
  const at = new URLSearchParams(location.search);
  const field = h("input", { type: "search", name: "filter", placeholder: "state:running  name:nightly  label:team=sales  the start of an id, or a filter as of votum list --filter", "aria-label": "filter", autocomplete: "off", spellcheck: "false", value: at.get("q") || "" });
  const told = h("p", { class: "problem", role: "alert" });
  const strip = h("div", { class: "attention" });
  const counts = h("div", { class: "counts", role: "group", "aria-label": "open jobs by state" });
  const list = h("div", { class: "list jobs" });
  const pages = h("div", { class: "pages" });
  document.title = "Jobs · Votum";
  main.append(h("h1", { class: "sr" }, "Jobs"), strip, h("div", { class: "filters" }, field, counts), told, list, pages);

  const tokens = [at.get("page") || ""];
  let filter = readFilter(field.value);
  let jobs = new Map();
  let following = "";
  let asked = 0;
  let fresh = 0;

  async function load() {
    const mine = ++asked;
    told.textContent = filter.problem;
    if (filter.problem) return;
    try {
      const page = await jobsPage(filter.query, tokens.at(-1), PAGE, signal);
      if (mine !== asked) return;
      jobs = new Map(page.jobs.map((job) => [job.name, job]));
      following = page.next;
      fresh = 0;
      draw();
    } catch (error) {
      if (!signal.aborted && mine === asked) show(list, failure(error, load));
    }
  }

  function draw() {
    const rows = [...jobs.values()];
    if (!rows.length) {
      show(list, following ? empty("No job matches among those that were looked at so far.", "Older ones follow.")
        : field.value ? empty("No job matches this filter.", "Jobs are found by ", h("code", {}, "state:"), ", ", h("code", {}, "name:"), ", ", h("code", {}, "label:key=value"), ", the start of their id, or a filter such as ", h("code", {}, "by = ana AND ended > -24h"), ".")
        : tokens.length > 1 ? empty("There are no further jobs.")
          : empty("No job has been handed in yet.", "Hand one in with ", h("code", {}, "votum submit job.yaml"), "; ", h("code", {}, "votum init"), " writes an example."));
    } else show(list, table("jobs", ["State", "Job", "Progress", "What it does", "By", "Received"], rows.map(row)));
    show(pages,
      tokens.length > 1 && h("button", { onclick: () => { tokens.pop(); turn(); } }, "← Newer"),
      h("span", { class: "muted" }, rows.length ? `${counted(rows.length, "job")} on this page` : ""),
      fresh > 0 && tokens.length > 1 && h("button", { onclick: () => { tokens.length = 1; tokens[0] = ""; turn(); } }, `${counted(fresh, "newer job")}: to the first page`),
      following && h("button", { onclick: () => { tokens.push(following); turn(); } }, "Older →"));
  }

  function turn() {
    const address = query([["q", field.value.trim()], ["page", tokens.at(-1)]]);
    go(`/${address}`, true);
    load();
  }

  async function look() {
    try {
      const [cluster, cases, asking] = await Promise.all([
        get("cluster", signal), get("cases?pageSize=5", signal), jobsPage(ASKING, "", ASKING_MAX, signal)]);
      attention(cluster, cases.cases || [], asking.jobs);
      show(counts, OPEN_STATES.map((word) => {
        const name = `JOB_STATE_${word}`;
        const number = Number(cluster.jobCounts?.[name] || 0);
        if (!number) return null;
        const state = stateOf(name);
        return h("button", { class: `chip ${state.tone}`, title: `only ${state.word}`, onclick: () => { field.value = `state:${word.toLowerCase()}`; change(); } },
          h("span", { class: "shape", "aria-hidden": "true" }, state.shape), `${state.word} `, h("b", {}, String(number)));
      }));
    } catch { /* The list says what is wrong. */ }
  }

  function attention(cluster, cases, asking) {
    const items = [
      cluster.staleLog && h("li", {}, "The coordinator's log is older than what a worker has seen: no job is admitted, decided or discarded until that is settled in ", h("a", { href: "/cases" }, "the cases"), "."),
      // Of a job that is a case, the case says more.
      ...asking.filter((job) => !cases.some((one) => one.name.startsWith(`${job.name}/`))).map((job) => h("li", {}, chip(job.pause ? { word: "held", shape: "‖", tone: "ask" } : stateOf(job.state)), " ", h("a", { class: "mono", href: `/jobs/${last(job.name)}` }, last(job.name)), " ", h("span", { class: "muted" }, job.stateMessage || ""))),
      ...cases.map((one) => h("li", {}, chip({ word: "case", shape: "◇", tone: "ask" }), " ", h("a", { class: "mono", href: `/cases#${one.name}` }, one.name.replace(/^jobs\//, "")), " ", h("span", { class: "muted" }, one.message || ""))),
      Number(cluster.workerCounts?.WORKER_STATE_LOST || 0) > 0 && h("li", {}, chip(stateOf("WORKER_STATE_LOST")), " ", h("a", { href: "/workers" }, counted(Number(cluster.workerCounts.WORKER_STATE_LOST), "worker"))),
    ].filter(Boolean);
    show(strip, items.length ? h("section", { "aria-label": "needs a person" }, h("h2", {}, "Needs a person"), h("ul", {}, items)) : null);
  }

  function change() {
    filter = readFilter(field.value);
    tokens.length = 1;
    tokens[0] = "";
    turn();
  }

  let typing;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(change, 200);
  });

  let due = false;
  function drawSoon() {
    if (due) return;
    due = true;
    setTimeout(() => { due = false; if (!signal.aborted) draw(); }, 100);
  }

  let again;
  function loadSoon() {
    again ??= setTimeout(() => { again = undefined; load(); }, 1000);
  }

  function changed({ job, deletedJob, missed }) {
    if (missed) return load();
    if (deletedJob) {
      if (jobs.delete(deletedJob)) drawSoon();
      return undefined;
    }
    const fits = matches(job, filter.query);
    if (fits === null) return loadSoon();
    if (jobs.has(job.name)) {
      if (fits === false) jobs.delete(job.name);
      else jobs.set(job.name, job);
    } else {
      if (!fits || filter.problem) return undefined;
      const newest = jobs.values().next().value;
      const isNew = !newest || (job.createTime || "") >= (newest.createTime || "");
      if (!isNew) return undefined;
      if (tokens.length > 1) fresh += 1;
      else {
        jobs = new Map([[job.name, job], ...jobs].slice(0, PAGE));
        if (jobs.size === PAGE && !following) load();
      }
    }
    return drawSoon();
  }

  follow("jobs:watch", changed, {
    signal,
    on: (state, error) => {
      connection(state);
      // What changed while nobody followed is in the list.
      if (state === "live") load();
      if (state === "refused") show(list, failure(error));
    },
  });
  load();
  look();
  const timer = setInterval(() => document.visibilityState === "visible" && look(), ATTENTION_EVERY);
  signal.addEventListener("abort", () => { clearInterval(timer); clearTimeout(typing); clearTimeout(again); });
}

function row(job) {
  const id = last(job.name);
  const { made, busy, all, share } = progress(job);
  const state = job.pause ? { word: `held · ${stateOf(job.state).word}`, shape: "‖", tone: "ask" } : stateOf(job.state);
  return h("tr", { "data-row": "", "data-key": id, tabindex: "0" },
    cell("State", chip(state)),
    cell("Job", h("a", { class: "mono id", href: `/jobs/${id}` }, id)),
    cell("Progress", h("span", { class: "progress" }, bar(share, state.tone, "of the tasks staged"), h("span", { class: "num" }, `${made}/${all}`), busy ? h("span", { class: "muted" }, `${busy} running`) : null)),
    cell("What", h("span", { class: "sentence" }, job.stateMessage || "")),
    cell("By", h("span", { class: "muted" }, job.creator || "")),
    cell("Received", moment(job.createTime)));
}
