// Draws the graph of a job: every task from the first second, with its word and how far it is.

import { h, s, show } from "./dom.js";
import { stateOf, last, cut, span } from "./words.js";
import { edgesOf, layout, curve, NODES_MAX } from "./graph.js";

const kept = new WeakMap();
const NARROW = 640;
const SHRINK_MAX = 0.74;

/** Draws or updates the graph; `select` is told which task was chosen, `list` shows all as a table. */
export function drawGraph(section, job, chosen, select, list) {
  const tasks = job.tasks || [];
  if (tasks.length > NODES_MAX) {
    show(section, h("p", { class: "muted" }, `${tasks.length} tasks are too many for a picture. `, h("button", { onclick: list }, "See them as a table")));
    return;
  }
  if (!tasks.length) {
    show(section, h("p", { class: "muted" }, "The spec of this job is not kept any more."));
    return;
  }
  const down = section.clientWidth < NARROW;
  const names = tasks.map((task) => last(task.name));
  let drawn = kept.get(section);
  if (!drawn || drawn.down !== down || drawn.names !== names.join(" ") || !section.contains(drawn.svg)) {
    drawn = make(job, names, down, select);
    kept.set(section, drawn);
    section.replaceChildren(h("div", { class: "canvas" }, drawn.svg));
  }
  for (const task of tasks) update(drawn.nodes.get(last(task.name)), task, chosen);
  const states = new Map(tasks.map((task) => [last(task.name), task.state]));
  for (const { from, path } of drawn.edges) path.setAttribute("class", `edge ${stateOf(states.get(from)).tone}`);
}

function make(job, names, down, select) {
  const size = down ? { length: 50, breadth: 150, step: 34, gap: 14, bend: 10, down } : { length: 184, breadth: 50, step: 52, gap: 16, bend: 8, down };
  const [width, height] = down ? [size.breadth, size.length] : [size.length, size.breadth];
  const plan = layout(names, edgesOf(job.spec), size);
  const edges = plan.edges.map(({ from, points }) => ({ from, path: s("path", { d: curve(points, down), class: "edge" }) }));
  const nodes = new Map();
  const groups = [];
  for (const [name, { x, y }] of plan.nodes) {
    const room = down ? 17 : 21;
    const title = s("title", {}, name);
    const word = s("text", { x: 12, y: 38, class: "word" });
    const done = s("rect", { x: 1, y: height - 4, width: 0, height: 3, class: "done" });
    const group = s("g", { class: "node", transform: `translate(${x},${y})`, tabindex: "0", role: "button", "data-task": name,
      onclick: () => select(name),
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        select(name);
      } }, title, s("rect", { class: "box", width, height, rx: 5 }), s("rect", { class: "edge-of", width: 4, height, rx: 2 }),
    s("text", { x: 12, y: 20, class: "name" }, cut(name, room)), word, done);
    groups.push(group);
    nodes.set(name, { group, title, word, done, name, width, room });
  }
  const pad = 4;
  const svg = s("svg", { width: plan.width + 2 * pad, height: plan.height + 2 * pad, viewBox: `${-pad} ${-pad} ${plan.width + 2 * pad} ${plan.height + 2 * pad}`, role: "group", "aria-label": "the graph of the job" },
    s("g", { "aria-hidden": "true" }, edges.map(({ path }) => path)), groups);
  // A wide graph shrinks a little before it is scrolled.
  svg.style.minWidth = `${Math.round((plan.width + 2 * pad) * SHRINK_MAX)}px`;
  return { svg, nodes, edges, down, names: names.join(" ") };
}

function update(node, task, chosen) {
  if (!node) return;
  const { word, shape, tone } = stateOf(task.state);
  const running = task.state === "TASK_STATE_RUNNING";
  const share = task.progress?.fraction;
  const worker = last(task.worker);
  const attempts = (task.attempts?.length || 0) + Number(task.omittedAttemptCount || 0);
  let text = `${shape} ${word}`;
  if (running && share !== undefined) text += ` ${Math.round(share * 100)} %`;
  if (worker) text += ` · ${worker}`;
  if (attempts > 1) text += ` · #${attempts}`;
  node.group.setAttribute("class", `node ${tone}${node.name === chosen ? " chosen" : ""}`);
  node.group.setAttribute("aria-label", `task ${node.name}, ${word}${worker ? ` on ${worker}` : ""}`);
  node.group.setAttribute("aria-pressed", String(node.name === chosen));
  node.word.textContent = cut(text, node.room + 4);
  const ends = task.progress?.estimatedEndTime;
  const left = running && ends ? `, about ${span(Date.parse(ends) - Date.now())} left` : "";
  node.title.textContent = `${node.name}: ${word}${worker ? ` on ${worker}` : ""}${left}`;
  node.done.setAttribute("width", running && share !== undefined ? Math.max(0, Math.min(1, share)) * (node.width - 2) : 0);
}
