// What only a person can decide, each with its evidence and what the log makes legal.

import { h, show, chip, moment, empty, failure } from "./dom.js";
import { get, keepFresh, post } from "./api.js";
import { confirm, toast } from "./dialog.js";

const KINDS = {
  CASE_KIND_EFFECT: "effect", CASE_KIND_COMPENSATION: "compensation",
  CASE_KIND_LOST_PARTICIPANT: "lost participant", CASE_KIND_QUARANTINE: "records that cannot be read",
  CASE_KIND_STALE_LOG: "stale log",
};
const ACTIONS = {
  CASE_ACTION_RETRY: { verb: "Try again", means: "It is tried again with a fresh budget and under the same key." },
  CASE_ACTION_DONE: { verb: "It is done", means: "It took effect, by an earlier try or by hand; nothing more is done." },
  CASE_ACTION_GIVE_UP: { verb: "Give up", means: "It stays undone. This is recorded for ever and cannot be taken back.", tone: "danger" },
  CASE_ACTION_COMMIT: { verb: "It has committed", means: "The job counts as committed; what is left of its commit is carried out. This cannot be taken back.", tone: "danger" },
  CASE_ACTION_ABORT: { verb: "Abort", means: "The job aborts, and its workers let go of what they have staged of it. This cannot be taken back.", tone: "danger" },
  CASE_ACTION_RESUME: { verb: "Let it go on", means: "Nothing was decided about the job: it goes on once the log is trusted." },
  CASE_ACTION_TRUST: { verb: "Trust the log", means: "The log counts as complete, and the coordinator starts again from it. What it does not know is taken for aborted from then on.", tone: "danger" },
};

const CASES_MAX = 50;

export function casesView({ main, signal, connection, counted }) {
  const list = h("div", { class: "cards" });
  document.title = "Cases · Votum";
  main.append(h("h1", {}, "Cases"), h("p", { class: "muted" }, "What the coordinator must not decide by itself."), list);
  let shown = "";

  async function load() {
    try {
      const { cases = [] } = await get(`cases?pageSize=${CASES_MAX}`, signal);
      if (cases.length < CASES_MAX) counted(cases.length);
      const whole = await Promise.all(cases.map((one) => get(path(one.name), signal).then((answer) => answer.case, () => one)));
      show(list, whole.length ? whole.map((one) => card(one, load)) : empty("No case is open.", "Effects that do not succeed, lost participants of a decided commit and unreadable records would stand here."));
      const wanted = location.hash.slice(1);
      if (wanted && wanted !== shown) {
        shown = wanted;
        document.getElementById(wanted)?.focus();
      }
    } catch (error) {
      if (signal.aborted) return;
      show(list, failure(error, load));
    }
  }
  keepFresh(load, { signal, on: connection });
}

/** Returns the path of a case from its name: what is in it may be any letter. */
function path(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}

/** Takes a name apart: the stale log is a case of no job. */
function parts(name) {
  const [kind, job, , subject] = name.split("/");
  return kind === "jobs" ? { job, subject } : { subject: job };
}

function card(one, again) {
  const { job, subject } = parts(one.name);
  return h("article", { class: "card case", id: one.name, "data-row": "", "data-key": one.name, tabindex: "-1" },
    h("header", {}, chip({ word: KINDS[one.kind] || "case", shape: "◇", tone: "ask" }), h("h2", { class: "mono" }, subject),
      job ? h("a", { class: "mono", href: `/jobs/${job}` }, job) : null, h("span", { class: "muted" }, "since ", moment(one.createTime))),
    h("p", { class: "lead" }, one.message || ""),
    h("p", {}, h("code", {}, one.reason || "")),
    one.evidence?.length ? h("details", { open: true }, h("summary", {}, "Evidence"), h("ol", { class: "evidence" },
      one.evidence.map((fact) => h("li", {}, moment(fact.createTime, "clock"), " ", fact.text || "")))) : null,
    one.actions?.length
      ? h("div", { class: "buttons" }, one.actions.map((action) => h("button", { class: ACTIONS[action]?.tone || "", onclick: () => resolve(one.name, action, again) }, `${ACTIONS[action]?.verb || action}…`)))
      : h("p", { class: "note" }, "Nothing can be decided here yet: see above what comes first."));
}

function resolve(name, action, again) {
  const { verb, means, tone } = ACTIONS[action] || { verb: action, means: "" };
  const { job, subject } = parts(name);
  confirm({
    title: `${verb}: ${subject}`, verb, tone, reason: "required", type: tone ? job || subject : undefined,
    text: [means],
    act: ({ reason }) => post(`${path(name)}/resolve`, { action, reason }),
  }).then((done) => { if (done) { toast("The case is decided"); again(); } });
}
