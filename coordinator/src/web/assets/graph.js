// Lays a job's tasks out in layers. Pure: tasks in, coordinates out.

/** Returns for each task the tasks that come before it, from dependencies and inputs. */
export function edgesOf(spec) {
  const edges = [];
  for (const task of spec?.tasks || []) {
    const before = new Set(task.dependsOn || []);
    for (const input of task.inputs || []) {
      if (input.taskOutput?.taskId) before.add(input.taskOutput.taskId);
    }
    for (const from of [...before].sort()) edges.push([from, task.taskId]);
  }
  return edges;
}

/**
 * Puts nodes into layers so that every edge goes forward: a node lies one layer behind the last
 * of those before it (longest path). Nodes of a cycle, which a checked job has not, lie in layer 0.
 */
export function layersOf(nodes, edges) {
  const layer = new Map(nodes.map((node) => [node, 0]));
  const missing = new Map(nodes.map((node) => [node, 0]));
  const after = new Map(nodes.map((node) => [node, []]));
  for (const [from, to] of edges) {
    if (!layer.has(from) || !layer.has(to)) continue;
    after.get(from).push(to);
    missing.set(to, missing.get(to) + 1);
  }
  const ready = nodes.filter((node) => missing.get(node) === 0);
  for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
    for (const to of after.get(next)) {
      layer.set(to, Math.max(layer.get(to), layer.get(next) + 1));
      missing.set(to, missing.get(to) - 1);
      if (missing.get(to) === 0) ready.push(to);
    }
  }
  return layer;
}

/**
 * Lays a graph out. Long edges are led through points in the layers between; the order within a
 * layer is that of the middle of the neighbours (barycentre), swept forth and back.
 *
 * @returns {{nodes: Map<string, {x: number, y: number}>, edges: {from: string, to: string,
 *   points: {x: number, y: number}[]}[], width: number, height: number}} where x and y are the
 *   corner of a node, and an edge begins at the end of one node and ends at the start of another.
 */
export function layout(nodes, edges, size) {
  const layer = layersOf(nodes, edges);
  const layers = [];
  const put = (node, at) => (layers[at] ||= []).push(node);
  for (const node of nodes) put(node, layer.get(node));
  const near = new Map(nodes.map((node) => [node, []]));
  const chains = [];
  let bends = 0;
  for (const [from, to] of edges) {
    if (!layer.has(from) || !layer.has(to) || layer.get(from) >= layer.get(to)) continue;
    const chain = [from];
    for (let at = layer.get(from) + 1; at < layer.get(to); at += 1) {
      const bend = { bend: bends++ };
      near.set(bend, []);
      layer.set(bend, at);
      put(bend, at);
      chain.push(bend);
    }
    chain.push(to);
    for (let i = 1; i < chain.length; i += 1) {
      near.get(chain[i - 1]).push(chain[i]);
      near.get(chain[i]).push(chain[i - 1]);
    }
    chains.push({ from, to, chain });
  }
  order(layers, near, layer);
  return place(layers, chains, near, layer, size);
}

function order(layers, near, layer) {
  const rank = new Map();
  for (const row of layers) row.forEach((node, i) => rank.set(node, i));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forth = sweep % 2 === 0;
    const rows = forth ? layers.slice(1) : layers.slice(0, -1).reverse();
    for (const row of rows) {
      const middle = new Map();
      for (const node of row) {
        const at = layer.get(node) + (forth ? -1 : 1);
        const ranks = near.get(node).filter((one) => layer.get(one) === at).map((one) => rank.get(one));
        const sum = ranks.reduce((a, b) => a + b, 0);
        middle.set(node, ranks.length ? sum / ranks.length : rank.get(node));
      }
      row.sort((a, b) => middle.get(a) - middle.get(b) || rank.get(a) - rank.get(b));
      row.forEach((node, i) => rank.set(node, i));
    }
  }
}

function place(layers, chains, near, layer, size) {
  const isBend = (node) => typeof node === "object";
  const breadth = (node) => (isBend(node) ? size.bend : size.breadth) + size.gap;
  const middle = new Map();
  for (const row of layers) {
    let across = 0;
    for (const node of row) {
      middle.set(node, across + breadth(node) / 2);
      across += breadth(node);
    }
  }
  // Draws each node to the middle of its neighbours, as far as those beside it let it.
  for (let pass = 0; pass < SWEEPS; pass += 1) {
    const rows = pass % 2 === 0 ? layers : [...layers].reverse();
    for (const row of rows) {
      const wish = row.map((node) => {
        const all = near.get(node).map((one) => middle.get(one));
        return all.length ? all.reduce((a, b) => a + b, 0) / all.length : middle.get(node);
      });
      settle(row, wish, breadth, middle);
    }
  }
  let least = Infinity;
  for (const node of middle.keys()) least = Math.min(least, middle.get(node) - breadth(node) / 2);
  for (const [node, at] of middle) middle.set(node, at - least);

  const along = (at) => at * (size.length + size.step);
  const point = (length, across) =>
    size.down ? { x: across, y: length } : { x: length, y: across };
  const corners = new Map();
  let far = 0;
  for (const [node, at] of middle) {
    far = Math.max(far, at + breadth(node) / 2);
    if (!isBend(node)) corners.set(node, point(along(layer.get(node)), at - size.breadth / 2));
  }
  const edges = chains.map(({ from, to, chain }) => ({
    from,
    to,
    points: chain.flatMap((node, i) => {
      const start = along(layer.get(node));
      const ends = [];
      if (i > 0) ends.push(point(start, middle.get(node)));
      if (i < chain.length - 1) ends.push(point(start + size.length, middle.get(node)));
      return ends;
    }),
  }));
  const length = layers.length ? along(layers.length - 1) + size.length : 0;
  const extent = point(length, far);
  return { nodes: corners, edges, width: extent.x, height: extent.y };
}

// Keeps the order and the distances, and stays close to what is wished: pools that would
// overlap are moved together.
function settle(row, wish, breadth, middle) {
  const pools = [];
  row.forEach((node, i) => {
    const half = breadth(node) / 2;
    pools.push({ sum: wish[i] - half, count: 1, length: 2 * half, nodes: [node] });
    while (pools.length > 1) {
      const [a, b] = pools.slice(-2);
      if (a.sum / a.count + a.length <= b.sum / b.count) break;
      pools.pop();
      a.sum += b.sum - a.length * b.count;
      a.count += b.count;
      a.length += b.length;
      a.nodes.push(...b.nodes);
    }
  });
  for (const pool of pools) {
    let at = pool.sum / pool.count;
    for (const node of pool.nodes) {
      middle.set(node, at + breadth(node) / 2);
      at += breadth(node);
    }
  }
}

/** Returns the curve of an edge for the `d` of an SVG path. */
export function curve(points, down) {
  let d = `M${points[0].x},${points[0].y}`;
  for (let i = 1; i < points.length; i += 1) {
    const a = points[i - 1];
    const b = points[i];
    const half = down ? (b.y - a.y) / 2 : (b.x - a.x) / 2;
    d += down
      ? ` C${a.x},${a.y + half} ${b.x},${b.y - half} ${b.x},${b.y}`
      : ` C${a.x + half},${a.y} ${b.x - half},${b.y} ${b.x},${b.y}`;
  }
  return d;
}

/** With more tasks than this a job is a table. */
export const NODES_MAX = 300;
const SWEEPS = 8;
