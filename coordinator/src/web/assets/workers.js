// The workers: what they have room for, what they run, hold and are in doubt about.

import { h, show, chip, moment, bar, empty, failure, copyable } from "./dom.js";
import { stateOf, last, bytes, counted } from "./words.js";
import { get, keepFresh, post } from "./api.js";
import { confirm, toast } from "./dialog.js";

export function workersView({ main, signal, connection }) {
  const list = h("div", { class: "cards" });
  document.title = "Workers · Votum";
  main.append(h("h1", {}, "Workers"), list);

  async function load() {
    try {
      const [{ workers = [] }, { txns = [] }] = await Promise.all([get("workers?pageSize=1000", signal), get("txns?pageSize=1000&inDoubt=true", signal)]);
      const doubts = new Map();
      for (const txn of txns) {
        for (const one of txn.participants || []) {
          if (!one.inDoubt) continue;
          const worker = last(one.participant?.worker);
          doubts.set(worker, [...(doubts.get(worker) || []), txn.name.split("/")[1]]);
        }
      }
      show(list, workers.length ? workers.map((worker) => card(worker, doubts.get(last(worker.name)) || [], load))
        : empty("No worker has connected yet.", "Start one with ", h("code", {}, "votum-worker --coordinator HOST:PORT"), "."));
    } catch (error) {
      if (signal.aborted) return;
      show(list, failure(error, load));
    }
  }
  keepFresh(load, { signal, on: connection });
}

function card(worker, doubts, again) {
  const name = last(worker.name);
  const running = worker.runningAttempts || [];
  const slots = Number(worker.slots || 0);
  const holding = (worker.holdingJobs || []).filter((job) => !(worker.keepingJobs || []).includes(job));
  const drains = Boolean(worker.drain);
  return h("article", { class: "card", "data-row": "", "data-key": name, tabindex: "0" },
    h("header", {}, h("h2", { class: "mono" }, name), chip(stateOf(worker.state)),
      h("span", { class: "buttons" }, drains
        ? h("button", { onclick: () => resume(name, again) }, "Resume")
        : h("button", { onclick: () => drain(name, running.length, again) }, "Drain…"))),
    drains && h("p", { class: "note" }, `Drained by ${worker.drain.creator || "somebody"}${worker.drain.reason ? `: ${worker.drain.reason}` : ""}`),
    h("dl", { class: "facts" },
      fact("Slots", h("span", { class: "progress" }, bar(slots ? running.length / slots : 0, "run", "of the slots in use"), h("span", { class: "num" }, `${running.length}/${slots}`))),
      fact("Free space", worker.freeBytes === undefined ? "not told yet" : bytes(worker.freeBytes)),
      fact("Last heard", moment(worker.lastSeenTime)),
      fact("In doubt", doubts.length ? jobs(doubts) : "nothing"),
      fact("Runs", running.length ? h("ul", {}, running.map((one) => attempt(one))) : "nothing"),
      fact("Holds for", holding.length ? jobs(holding.map(last)) : "no job"),
      worker.keepingJobs?.length ? fact("Keeps for a rescue", jobs(worker.keepingJobs.map(last))) : null,
      worker.jobDamages?.length ? fact("Cannot read", h("ul", {}, worker.jobDamages.map((one) => h("li", {}, h("a", { class: "mono", href: `/${one.job}` }, last(one.job)), ` ${one.problem}`)))) : null,
      fact("Publishes below", h("ul", {}, (worker.publishRoots || []).map((root) => h("li", { class: "mono path" }, root)))),
      Object.keys(worker.labels || {}).length ? fact("Labels", h("ul", {}, Object.entries(worker.labels).map(([key, value]) => h("li", {}, h("code", {}, `${key}=${value}`))))) : null,
      fact("Version", `${worker.version || "?"}, protocol ${worker.protocolVersion ?? "?"}`),
      fact("Installation", copyable(worker.uid || "", (worker.uid || "").slice(0, 8)))));
}

function fact(word, ...what) {
  return [h("dt", {}, word), h("dd", {}, what)];
}

function jobs(ids) {
  const shown = ids.slice(0, 8).map((id) => h("li", {}, h("a", { class: "mono", href: `/jobs/${id}` }, id)));
  return h("ul", {}, shown, ids.length > 8 ? h("li", { class: "muted" }, `and ${counted(ids.length - 8, "other")}`) : null);
}

function attempt(name) {
  const [, job, , task, , number] = name.split("/");
  return h("li", {}, h("a", { class: "mono", href: `/jobs/${job}` }, `${job}/${task}`), ` attempt ${number}`);
}

function drain(name, running, again) {
  confirm({
    title: `Drain ${name}?`, verb: "Drain", reason: "wanted",
    text: [`It is given no further attempts. ${running ? `${counted(running, "attempt")} that run there go on to their end.` : "Nothing runs there."} What is staged there still counts.`],
    act: ({ reason }) => post(`workers/${name}/drain`, { reason }),
  }).then((done) => { if (done) { toast(`${name} is drained`); again(); } });
}

function resume(name, again) {
  confirm({ title: `Resume ${name}?`, verb: "Resume", text: ["It takes attempts again."], act: () => post(`workers/${name}/resume`) })
    .then((done) => { if (done) { toast(`${name} takes attempts again`); again(); } });
}

