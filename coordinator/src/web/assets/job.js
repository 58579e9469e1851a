// One job: where it stands and why, its graph, its commit, and everything known about it.

import { h, show, chip, moment, bar, empty, failure } from "./dom.js";
import { stateOf, last, progress, isFinal, counted } from "./words.js";
import { get, follow } from "./api.js";
import { drawGraph } from "./picture.js";
import { NODES_MAX } from "./graph.js";
import { strip, pastStrip } from "./commit.js";
import { actions } from "./actions.js";
import { taskPanel, tasksPanel } from "./tasks.js";
import { drawTimeline, outputsTable, pastOutputsTable, specText } from "./tabs.js";
import { logsPanel } from "./logs.js";
import { eventsPanel } from "./events.js";
import { historyOf } from "./history.js";
import { foldOf } from "./fold.js";
import { pastBar } from "./past.js";

const NOTES_MAX = 8;
const TABS = [["timeline", "Timeline", "t"], ["tasks", "Tasks", "a"], ["outputs", "Outputs", "o"], ["logs", "Logs", "l"], ["events", "Events", "e"], ["spec", "Spec", "s"]];

export function jobView({ main, signal, connection, name, key, go }) {
  document.title = `${name} · Votum`;
  const at = new URLSearchParams(location.search);
  const state = { job: null, staleLog: false, txn: null, task: at.get("task") || "", tab: TABS.some(([id]) => id === at.get("tab")) ? at.get("tab") : "timeline", name, votes: new Map(), asOf: Number.parseInt(at.get("event") || "", 10) || 0 };
  const head = h("div", { class: "jobhead" });
  const graph = h("section", { class: "graph", "aria-label": "graph" });
  const panel = h("aside", { class: "panel", "aria-label": "task", hidden: true });
  const commit = h("section", { class: "commit", "aria-label": "commit" });
  const tabs = h("div", { class: "tabs", role: "tablist" });
  const body = h("section", { class: "tab" });
  const history = historyOf({ name, signal, tell: readOn });
  const past = pastBar({ history, choose });
  main.append(past.element, head, h("div", { class: "picture" }, graph, panel), commit, tabs, body);

  const logs = logsPanel({ name, signal, task: () => state.task });
  const events = eventsPanel({ history, choose });
  const tasks = tasksPanel({ select });
  const act = actions({ state, go });

  function select(task) {
    state.task = state.task === task ? "" : task;
    address();
    draw();
    logs.scope();
  }

  function open(tab) {
    state.tab = tab;
    address();
    draw();
    tabs.querySelector(`[data-key=${tab}]`)?.focus({ preventScroll: true });
  }

  /** Shows the job as of an event, or live again. */
  function choose(event) {
    const wasLive = !state.asOf;
    state.asOf = Math.max(0, event);
    address();
    history.start();
    draw();
    if (wasLive && state.asOf) past.focus();
  }

  function lookBack() {
    choose(state.asOf ? 0 : Infinity);
  }

  function readOn() {
    const count = history.events.length;
    if (state.asOf > count && count) {
      state.asOf = count;
      address();
    }
    if (state.asOf || state.tab === "events") drawSoon();
  }

  function shown() {
    if (!state.asOf) return state.job;
    const told = history.events.slice(0, state.asOf);
    return told.length ? foldOf(name, state.job.spec, told) : null;
  }

  function address() {
    const parts = new URLSearchParams();
    if (Number.isFinite(state.asOf) && state.asOf) parts.set("event", state.asOf);
    if (state.tab !== "timeline") parts.set("tab", state.tab);
    if (state.task) parts.set("task", state.task);
    go(`/jobs/${name}${parts.size ? `?${parts}` : ""}`, true);
  }

  function draw() {
    if (!state.job) return;
    const job = shown();
    past.draw(state.asOf, job, state.job);
    if (!job) return;
    drawHead(head, job, state.asOf ? [] : casesOf(job, state.staleLog), state.asOf ? null : [...act.buttons(job), h("button", { class: "quiet", "data-key": "look back", title: "The job as of any of its events (key h)", onclick: lookBack }, "Look back")]);
    drawGraph(graph, job, state.task, select, () => open("tasks"));
    const task = (job.tasks || []).find((one) => last(one.name) === state.task);
    panel.hidden = !task;
    show(panel, task ? taskPanel(task, job, { close: () => select(state.task), logs: () => open("logs"), retry: act.retryTask }) : null);
    show(commit, state.asOf ? pastStrip(job) : strip(job, state.txn, state.votes));
    show(tabs, TABS.map(([id, word, letter]) => h("button", { role: "tab", id: `tab-${id}`, "data-key": id, "aria-selected": String(id === state.tab), title: `key ${letter}`, onclick: () => open(id) }, word)));
    drawTab(job);
  }

  function drawTab(job) {
    const own = { events, tasks, logs: state.asOf ? undefined : logs }[state.tab];
    if (own) {
      if (body.firstChild !== own.element) body.replaceChildren(own.element);
      own.start(job, state.asOf);
      return;
    }
    if (state.tab === "timeline") {
      if (!body.querySelector(".timeline")) body.replaceChildren(h("div", { class: "timeline" }));
      drawTimeline(body.querySelector(".timeline"), job);
    } else if (state.tab === "outputs") show(body, state.asOf ? pastOutputsTable(job) : outputsTable(job));
    else if (state.tab === "logs") show(body, empty("Logs are not among the events.", "What tasks wrote lies with the workers: live has all of it that is kept."));
    else show(body, specText(job));
  }

  async function look() {
    const { job } = state;
    const open = ["JOB_STATE_PREPARING", "JOB_STATE_COMMITTING", "JOB_STATE_ABORTING"].includes(job.state);
    if (!open) return;
    try {
      // Asked for by the list, in which one that has just ended is simply not.
      const { txns = [] } = await get("txns?pageSize=1000", signal);
      state.txn = txns.find((txn) => txn.name === `jobs/${name}/txn`) || null;
      for (const one of state.txn?.participants || []) {
        state.votes.set(one.participant?.worker, { vote: one.voteTime, applied: one.acknowledgeTime });
      }
      draw();
    } catch { /* The stream of the job says what is wrong. */ }
  }

  function take({ job }) {
    const moved = job.state !== state.job?.state;
    if (!state.job && !at.get("tab") && job.tasks?.length > NODES_MAX) state.tab = "tasks";
    state.job = job;
    if (isFinal(job)) state.txn = null;
    history.changed();
    if (moved) look();
    drawSoon();
  }

  async function lookAtLog() {
    try {
      state.staleLog = Boolean((await get("cluster", signal)).staleLog);
      drawSoon();
    } catch { /* The stream of the job says what is wrong. */ }
  }

  let due = false;
  function drawSoon() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      if (!signal.aborted) draw();
    });
  }

  follow(`jobs/${name}/watch`, take, {
    signal,
    on: (how, error) => {
      connection(how);
      if (how === "live") lookAtLog();
      if (how === "refused") show(main, error.status === 404 || error.reason === "JOB_NOT_FOUND"
        ? empty(`There is no job ${name}.`, "Its records may have been removed after its retention. ", h("a", { href: "/" }, "All jobs"))
        : failure(error));
    },
    ended: () => connection("ended"),
  });
  const timer = setInterval(() => {
    if (state.job && !state.asOf && !isFinal(state.job) && state.tab === "timeline" && document.visibilityState === "visible") drawTab(state.job);
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  for (const [id, , letter] of TABS) key(signal, letter, () => open(id));
  key(signal, "h", lookBack);
  key(signal, "g", () => graph.querySelector(".node.chosen, .node")?.focus());
  if (state.asOf) history.start();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      draw();
    }
  }, { signal });
}

/** Names the cases that a job is: what only a person can decide. */
function casesOf(job, staleLog) {
  return [
    ...(job.hooks || []).filter((hook) => hook.state === "HOOK_STATE_PARKED").map((hook) => hook.hookId),
    ...(job.heldBackBy || []).map((worker) => `worker:${last(worker)}`),
    job.quarantine && "log:damaged",
    staleLog && !isFinal(job) && "log:stale",
  ].filter(Boolean);
}

function drawHead(head, job, cases, buttons) {
  const id = last(job.name);
  const state = stateOf(job.state);
  const { made, busy, all, share } = progress(job);
  document.title = `${state.shape} ${id} · Votum`;
  const forced = (job.forcedOutcomes || []).filter((one) => one.contradictsDecision && !one.healTime);
  show(head,
    h("div", { class: "title" }, h("a", { class: "back", href: "/" }, "Jobs"), h("h1", { class: "mono" }, id), chip(state),
      job.pause ? chip({ word: "held", shape: "‖", tone: "ask" }) : null, forced.length ? chip({ word: "mixed", shape: "⚠", tone: "bad" }) : null,
      buttons ? h("div", { class: "buttons" }, buttons) : null),
    job.spec?.description ? h("p", {}, job.spec.description) : null,
    h("p", { class: "lead" }, job.stateMessage || ""),
    job.error?.message && !job.stateMessage?.includes(job.error.message) ? h("p", { class: "note bad" }, "Why: ", job.error.message) : null,
    cases.length ? h("p", { class: "note" }, "A person has to decide: ", cases.map((one, i) => [i ? ", " : "", h("a", { class: "mono", href: `/cases#${job.name}/cases/${one}` }, one)])) : null,
    job.pause ? h("p", { class: "note" }, `Held by ${job.pause.by || "a failed task"}${job.pause.reason ? `: ${job.pause.reason}` : ""}`) : null,
    job.quarantine ? h("ul", { class: "note" }, (job.quarantine.damages || []).map((one) => h("li", {}, `record ${one.recordNumber}: ${one.problem}`))) : null,
    job.notes?.length ? h("ul", { class: "note" }, job.notes.slice(-NOTES_MAX).map((one) => h("li", {}, one))) : null,
    (job.workerDamages || []).map((one) => h("p", { class: "note" }, `${last(one.worker)} cannot read its records: ${one.problem}`)),
    h("p", { class: "meta" },
      h("span", { class: "progress" }, bar(share, state.tone, "of the tasks staged"), h("span", { class: "num" }, `${made}/${all}`), busy ? ` ${counted(busy, "task")} running` : ""),
      h("span", {}, "received ", moment(job.createTime), job.creator ? ` by ${job.creator}` : ""),
      job.decideTime ? h("span", {}, job.decision === "DECISION_COMMIT" ? "COMMIT " : "ABORT ", moment(job.decideTime)) : null,
      job.endTime ? h("span", {}, "applied ", moment(job.endTime)) : null,
      job.displayName ? h("a", { href: `/names/${encodeURIComponent(job.displayName)}` }, "all runs") : null,
      job.queue?.holder ? h("span", {}, "waits for ", h("a", { class: "mono", href: `/${job.queue.holder}` }, last(job.queue.holder))) : null,
      job.rescuedFrom ? h("span", {}, "rescued from ", h("a", { class: "mono", href: `/${job.rescuedFrom}` }, last(job.rescuedFrom))) : null,
      job.rescuedBy ? h("span", {}, "rescued by ", h("a", { class: "mono", href: `/${job.rescuedBy}` }, last(job.rescuedBy))) : null,
      Object.entries(job.spec?.labels || {}).map(([key, value]) => h("code", {}, `${key}=${value}`))));
}
