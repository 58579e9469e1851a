// The commit as it goes: votes, decision, and who has applied it, each with its time.

import { h, chip, moment, table, cell } from "./dom.js";
import { last, span, counted } from "./words.js";
import { VOTES, NO_VOTE } from "./txns.js";

const STAGED = ["TASK_STATE_STAGED", "TASK_STATE_PREPARED", "TASK_STATE_COMMITTED"];

/** Shows the strip of one job. */
export function strip(job, txn, times) {
  const open = new Map((txn?.participants || []).map((one) => [one.participant?.worker, one]));
  const participants = job.participants || [];
  const commit = job.decision === "DECISION_COMMIT";
  const abort = job.decision === "DECISION_ABORT";
  const applied = participants.filter((one) => one.acknowledged || one.vote === "VOTE_READ_ONLY").length;
  const voted = participants.filter((one) => VOTES[one.vote]).length;
  const staged = (job.tasks || []).filter((task) => STAGED.includes(task.state)).length;
  const all = (job.tasks || []).length;
  const steps = [
    phase("Tasks staged", `${staged} of ${all}`, staged === all && all > 0, staged === all ? lastEnd(job) : undefined),
    phase("Votes", job.prepareTime || participants.length ? `${voted} of ${participants.length}` : abort ? "not asked for" : "not asked yet", Boolean(job.decision) && !abort, job.prepareTime),
    phase("Decision", commit ? "COMMIT" : abort ? "ABORT" : "open", commit, job.decideTime, abort),
    phase(abort ? "Discarded" : "Applied", commit ? `${applied} of ${participants.length}` : abort ? (job.endTime ? "everywhere" : "not yet everywhere") : "–", Boolean(job.endTime) && commit, job.endTime, abort && Boolean(job.endTime)),
  ];
  return [
    h("ol", { class: "phases" }, steps),
    participants.length ? table("participants of the commit", ["Participant", "Vote", "Decision", abort ? "Told" : "Applied"], participants.map((one) => {
      const worker = last(one.worker);
      const seen = times.get(one.worker) || {};
      const doubt = open.get(one.worker)?.inDoubt;
      return h("tr", {},
        cell("Participant", h("a", { class: "mono", href: "/workers" }, worker)),
        cell("Vote", chip(VOTES[one.vote] || NO_VOTE), seen.vote ? h("span", { class: "further" }, moment(seen.vote, "clock")) : null,
          one.voteError ? h("span", { class: "why" }, one.voteError.message || "") : null),
        cell("Decision", commit ? chip({ word: "COMMIT", shape: "●", tone: "good" }) : abort ? chip({ word: "ABORT", shape: "✕", tone: "bad" })
          : doubt ? chip({ word: "in doubt", shape: "◇", tone: "ask" }) : "open",
        job.decideTime ? h("span", { class: "further" }, moment(job.decideTime, "clock")) : null),
        cell("Applied", one.acknowledged ? chip({ word: "applied", shape: "●", tone: "good" })
          : one.vote === "VOTE_READ_ONLY" ? "nothing to apply" : commit ? chip({ word: "not yet", shape: "○", tone: "ask" }) : "–",
        one.acknowledged && seen.applied ? h("span", { class: "further" }, moment(seen.applied, "clock")) : null));
    })) : null,
    job.prepareTime && job.decideTime ? h("p", { class: "muted" }, `${counted(participants.length, "participant")}; at most ${span(Date.parse(job.decideTime) - Date.parse(job.prepareTime))} in doubt`) : null,
    forced(job),
  ];
}

/** Shows what the events tell of a commit: its phases, and nothing of single votes. */
export function pastStrip(job) {
  const tasks = job.tasks || [];
  const staged = tasks.filter((task) => STAGED.includes(task.state)).length;
  const commit = job.decision === "DECISION_COMMIT";
  const abort = job.decision === "DECISION_ABORT";
  return h("ol", { class: "phases" },
    phase("Tasks staged", `${staged} of ${tasks.length}`, staged === tasks.length && staged > 0),
    phase("Votes", commit ? "all YES" : job.prepareTime ? "asked for" : "none recorded", commit, job.prepareTime),
    phase("Decision", commit ? "COMMIT" : abort ? "ABORT" : "open", commit, job.decideTime, abort),
    phase(abort ? "Discarded" : "Applied", job.endTime ? "everywhere" : job.decision ? "not everywhere yet" : "–", Boolean(job.endTime) && commit, job.endTime, abort && Boolean(job.endTime)));
}

function lastEnd(job) {
  const ends = (job.tasks || []).flatMap((task) => task.attempts || []).map((one) => one.endTime).filter(Boolean).sort();
  return ends.at(-1);
}

function phase(word, what, done, stamp, ill) {
  return h("li", { class: ill ? "ill" : done ? "done" : "" },
    h("span", { class: "phase" }, h("span", { "aria-hidden": "true" }, ill ? "✕ " : done ? "● " : "○ "), word), h("b", {}, what), stamp ? moment(stamp, "clock") : h("span", { class: "none" }, "–"));
}

function forced(job) {
  return (job.forcedOutcomes || []).map((one) => h("p", { class: "note bad" },
    `${last(one.worker)} was given up by ${one.by || "somebody"}: ${one.reason || ""}. `,
    one.healTime ? "It has caught up since." : one.contradictsDecision ? "The job is mixed until it comes back." : ""));
}
