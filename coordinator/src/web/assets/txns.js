// Open transactions: who was asked, who is in doubt, who has acknowledged.

import { h, show, chip, moment, table, cell, empty, failure } from "./dom.js";
import { stateOf, last } from "./words.js";
import { get, keepFresh, post } from "./api.js";
import { confirm, toast } from "./dialog.js";

export const VOTES = {
  VOTE_YES: { word: "YES", shape: "●", tone: "good" },
  VOTE_NO: { word: "NO", shape: "✕", tone: "bad" },
  VOTE_READ_ONLY: { word: "read only", shape: "–", tone: "idle" },
};
export const NO_VOTE = { word: "not yet", shape: "○", tone: "idle" };

export function txnsView({ main, signal, connection }) {
  const list = h("div", { class: "cards" });
  document.title = "Transactions · Votum";
  main.append(h("h1", {}, "Transactions"), h("p", { class: "muted" }, "Jobs between their first round of votes and the last acknowledgement."), list);

  async function load() {
    try {
      const { txns = [] } = await get("txns?pageSize=200", signal);
      txns.sort((a, b) => (a.stageTime || "").localeCompare(b.stageTime || ""));
      show(list, txns.length ? txns.map((txn) => card(txn, load)) : empty("No transaction is open.", "Every decision has been carried out everywhere."));
    } catch (error) {
      if (signal.aborted) return;
      show(list, failure(error, load));
    }
  }
  keepFresh(load, { signal, on: connection });
}

function card(txn, again) {
  const job = txn.name.split("/")[1];
  return h("article", { class: "card wide", "data-row": "", "data-key": txn.name, tabindex: "0" },
    h("header", {}, h("h2", { class: "mono" }, h("a", { href: `/jobs/${job}` }, job)), chip(stateOf(txn.stage)),
      h("span", { class: "muted" }, "for ", moment(txn.stageTime, "since")), txn.txnId ? h("code", { class: "path" }, txn.txnId) : null),
    table("participants", ["Participant", "Worker", "Vote", "In doubt", "Applied", "COMMIT sent", ""], (txn.participants || []).map((one) => {
      const worker = last(one.participant?.worker);
      return h("tr", {},
        cell("Participant", h("span", { class: "mono" }, worker)),
        cell("Worker", one.workerState ? chip(stateOf(one.workerState)) : "not known any more"),
        cell("Vote", chip(VOTES[one.participant?.vote] || NO_VOTE), one.voteTime ? h("span", { class: "further" }, moment(one.voteTime, "clock")) : null),
        cell("In doubt", one.inDoubt ? chip({ word: "in doubt", shape: "◇", tone: "ask" }) : "no"),
        cell("Applied", one.participant?.acknowledged ? chip({ word: "applied", shape: "●", tone: "good" }) : "not yet"),
        cell("COMMIT sent", one.commitsSent ? h("span", {}, `${one.commitsSent}× `, moment(one.commitSentTime)) : "–"),
        cell("", one.workerState === "WORKER_STATE_LOST" && txn.stage === "TXN_STAGE_COMMITTING" && !one.participant?.acknowledged
          ? h("button", { class: "danger", onclick: () => force(job, worker, again) }, "Give up…") : null));
    })));
}

function force(job, worker, again) {
  confirm({
    title: `Give ${worker} up in ${job}?`, verb: "Give up", tone: "danger", type: job, reason: "required",
    text: ["COMMIT is decided and stays decided. The job ends without this worker and is MIXED until it comes back and publishes. It stays in the job's history for ever."],
    act: ({ reason }) => post(`jobs/${job}/txn/force`, { worker: `workers/${worker}`, reason, confirm: job }),
  }).then((done) => { if (done) { toast(`${worker} was given up`); again(); } });
}
