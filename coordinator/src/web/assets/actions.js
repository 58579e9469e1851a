// What a person may do to a job, each behind a question.

import { h } from "./dom.js";
import { last, bytes, isFinal, counted } from "./words.js";
import { post, remove } from "./api.js";
import { confirm, tell, toast } from "./dialog.js";

const SHOWN_MAX = 12;

/** Draws what lets the coordinator recognise a repeated request: a UUID. */
const drawRequestId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("").replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");

/** Returns the buttons that fit where a job stands. Listeners read the job anew. */
export function actions({ state, go }) {
  const { name } = state;
  const path = (deed) => `jobs/${name}/${deed}`;
  const said = (text) => (done) => done && toast(text);

  const cancel = () => confirm({
    title: `Cancel ${name}?`, verb: "Cancel the job", tone: "danger", type: name, reason: "wanted",
    text: [state.job.state === "JOB_STATE_ABORTED" ? "What the aborted job keeps for a rescue is given up and discarded." : "What runs is stopped, and everything that was staged is discarded on every worker. Nothing becomes visible."],
    act: ({ reason }) => post(path("cancel"), { reason }),
  }).then(said("The job aborts"));

  const pause = () => {
    const stop = h("input", { type: "checkbox", name: "stop" });
    return confirm({
      title: `Hold ${name}?`, verb: "Hold it", reason: "wanted",
      text: ["No new attempts are placed and no votes are asked for until it goes on. Its timeout goes on counting."],
      fields: [h("label", { class: "check" }, stop, "also ask what runs to stop")],
      act: ({ reason, form }) => post(path("pause"), { reason, stopRunning: form.has("stop") }),
    }).then(said("The job is held"));
  };

  const unpause = () => confirm({ title: `Let ${name} go on?`, verb: "Go on", text: ["Tasks that failed for good meanwhile get a fresh round of attempts."], act: () => post(path("unpause")) }).then(said("The job goes on"));
  const retry = () => confirm({ title: `Try again now?`, verb: "Try now", text: ["Tasks that wait for another attempt, or whose last failure holds the job, are tried at once."], act: () => post(path("retry")) }).then(said("Tried at once"));
  const retryTask = (task) => confirm({ title: `Try ${task} again now?`, verb: "Try now", text: ["It does not wait for the end of its backoff."], act: () => post(path(`tasks/${task}/retry`)) }).then(said(`${task} is tried at once`));

  const answer = (reject) => {
    const { job } = state;
    const outputs = (job.tasks || []).flatMap((task) => task.outputs || []).filter((one) => one.publishPath);
    const findings = job.dryVote?.findings || [];
    const etag = job.approval?.etag;
    return confirm({
      title: reject ? `Reject ${name}?` : `Approve ${name}?`, verb: reject ? "Reject" : "Approve", tone: reject ? "danger" : "", type: reject ? name : undefined, reason: reject ? "required" : "wanted",
      text: [reject ? "The job aborts and everything that was staged is discarded." : "The vote begins. If everybody votes YES, this becomes visible:",
        reject ? "" : h("ul", { class: "outputs" }, outputs.slice(0, SHOWN_MAX).map((one) => h("li", {}, h("b", { class: "mono" }, last(one.worker)), " ", h("span", { class: "mono path" }, one.publishPath), ` ${bytes(one.sizeBytes)}`)), outputs.length > SHOWN_MAX ? h("li", {}, `and ${counted(outputs.length - SHOWN_MAX, "other")}`) : null),
        findings.length ? h("ul", { class: "note" }, findings.map((one) => h("li", {}, `${last(one.worker)}: ${one.message}`))) : ""],
      act: ({ reason }) => post(path("approve"), { reject, reason, etag }),
    }).then(said(reject ? "The job was rejected" : "The vote begins"));
  };

  const dryVote = () => confirm({ title: "Hold a dry vote?", verb: "Ask the workers", text: ["Every worker says what would stand in the way of a commit. Nobody promises anything."], act: () => post(path("dry-vote")) })
    .then((done) => done && tell("Dry vote", done.dryVote?.findings?.length
      ? h("ul", {}, done.dryVote.findings.map((one) => h("li", {}, h("b", { class: "mono" }, last(one.worker)), ` ${one.message} `, h("code", {}, one.reason || ""))))
      : h("p", {}, "Nothing stands in the way."), done.dryVote?.complete ? null : h("p", { class: "muted" }, "Not every task is staged, so this is not the whole picture.")));

  const rescue = async () => {
    let plan;
    try {
      plan = await post(path("rescue"), { validateOnly: true });
    } catch (error) {
      tell("It cannot be rescued", h("p", {}, error.message));
      return;
    }
    const requestId = drawRequestId();
    confirm({
      title: `Rescue ${name}?`, verb: "Rescue", text: ["A job of the same spec takes over what is still staged and runs the rest:",
        h("ul", { class: "outputs" }, (plan.tasks || []).slice(0, SHOWN_MAX).map((one) => h("li", {}, h("b", { class: "mono" }, one.task), one.worker ? ` taken over from ${last(one.worker)}` : ` runs again: ${one.reason || ""}`)))],
      act: () => post(path("rescue"), { requestId }),
    }).then((done) => done?.job && go(`/jobs/${last(done.job.name)}`));
  };

  const revert = async () => {
    let plan;
    try {
      plan = await post(path("revert"), { validateOnly: true });
    } catch (error) {
      tell("It cannot be reverted", h("p", {}, error.message));
      return;
    }
    const targets = plan.targets || [];
    const then = (one) => (one.job ? `shows ${last(one.job)} again` : one.ordinary ? "shows what no job had published" : "is gone: it was new");
    const requestId = drawRequestId();
    confirm({
      title: `Revert ${name}?`, verb: "Revert", tone: "danger", type: name, reason: "wanted",
      text: ["A job of its own puts back what stood there before, on all workers or on none. Effects stay done.",
        h("ul", { class: "outputs" }, targets.slice(0, SHOWN_MAX).map((one) => h("li", {}, h("b", { class: "mono" }, last(one.worker)), " ", h("span", { class: "mono path" }, one.path), ` ${then(one)}`)), targets.length > SHOWN_MAX ? h("li", {}, `and ${counted(targets.length - SHOWN_MAX, "other")}`) : null)],
      act: ({ reason }) => post(path("revert"), { requestId, reason }),
    }).then((done) => done?.job && go(`/jobs/${last(done.job.name)}`));
  };

  const forget = () => confirm({
    title: `Delete the records of ${name}?`, verb: "Delete", tone: "danger", type: name,
    text: ["What it published stays. Its history, logs and outputs' digests are gone."],
    act: () => remove(`jobs/${name}`),
  }).then((done) => done && go("/"));

  const button = (word, act, tone) => h("button", { class: tone || "", "data-key": word, onclick: act }, word);
  return {
    retryTask,
    buttons(job) {
      const decided = Boolean(job.decision);
      const failed = (job.tasks || []).some((task) => task.state === "TASK_STATE_RETRYING" || (job.pause && task.state === "TASK_STATE_FAILED"));
      const keeps = job.state === "JOB_STATE_ABORTED" && job.keepTime && !job.keptRelease && !job.rescuedBy;
      return [
        job.state === "JOB_STATE_AWAITING_APPROVAL" && [button("Approve…", () => answer(false), "primary"), button("Reject…", () => answer(true), "danger")],
        !decided && failed && button("Retry…", retry),
        !decided && job.state !== "JOB_STATE_QUARANTINED" && (job.pause ? button("Go on…", unpause) : button("Hold…", pause)),
        ["JOB_STATE_RUNNING", "JOB_STATE_AWAITING_APPROVAL"].includes(job.state) && button("Dry vote…", dryVote),
        !decided && job.state !== "JOB_STATE_QUARANTINED" && button("Cancel…", cancel, "danger"),
        keeps && [button("Rescue…", rescue), button("Give up what it keeps…", cancel, "danger")],
        job.state === "JOB_STATE_COMMITTED" && (job.tasks || []).some((task) => (task.outputs || []).some((one) => one.publishPath)) && button("Revert…", revert),
        isFinal(job) && job.state !== "JOB_STATE_QUARANTINED" && !keeps && button("Delete…", forget, "danger"),
      ];
    },
  };
}
