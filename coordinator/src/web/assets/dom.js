// Makes elements. Text goes in as text: nothing here or elsewhere reads markup.

/** Makes an element: attributes, listeners (`onclick`), and children that are nodes or texts. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an element of a drawing. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false && child !== ""));
  return element;
}

/** Replaces what is in an element, unless it would look the same. */
export function show(element, ...children) {
  const made = children.flat(9).filter((child) => child !== undefined && child !== null && child !== false);
  const fresh = document.createElement("div");
  fresh.append(...made);
  if (fresh.childNodes.length === element.childNodes.length) {
    const nodes = [...fresh.childNodes];
    if (nodes.every((node, i) => node.isEqualNode(element.childNodes[i])) && !element.dataset.always) {
      // Listeners of equal elements close over the same names; the old ones serve.
      return;
    }
  }
  const focused = element.contains(document.activeElement) && document.activeElement.dataset.key;
  element.replaceChildren(...fresh.childNodes);
  if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** Shows a state: shape and word, in the colour of its tone. */
export function chip({ word, shape, tone }, further) {
  return h("span", { class: `chip ${tone}` }, h("span", { class: "shape", "aria-hidden": "true" }, shape), word, further && h("span", { class: "further" }, further));
}

/** Shows a moment that goes on being true: how long ago, or how long since. */
export function moment(stamp, kind = "ago") {
  if (!stamp) return h("span", { class: "none" }, "–");
  const at = new Date(stamp);
  const element = h("time", { datetime: stamp, title: at.toLocaleString(), "data-kind": kind });
  element.textContent = wording(element, Date.now());
  return element;
}

let words;
/** Keeps every moment on the page true, once a second. */
export function tick(vocabulary) {
  words = vocabulary;
  setInterval(() => {
    for (const element of document.querySelectorAll("time[data-kind]")) {
      const text = wording(element, Date.now());
      if (text !== element.textContent) element.textContent = text;
    }
  }, 1000);
}

function wording(element, now) {
  const at = Date.parse(element.getAttribute("datetime"));
  if (element.dataset.kind === "since") return words.span(now - at);
  if (element.dataset.kind === "until") return words.span(at - now);
  if (element.dataset.kind === "clock") {
    const clock = new Date(at);
    return `${clock.toLocaleTimeString([], { hour12: false })}.${String(clock.getMilliseconds()).padStart(3, "0")}`;
  }
  return words.ago(now - at);
}

/** Shows a bar of how much is done; the number stands beside it. */
export function bar(share, tone = "run", label = "done") {
  const inner = h("span", { class: `fill ${tone}` });
  inner.style.width = `${Math.round(share * 1000) / 10}%`;
  return h("span", { class: "bar", role: "img", "aria-label": `${Math.round(share * 100)} % ${label}` }, inner);
}

/** Shows a list's head and rows. */
export function table(label, heads, rows) {
  return h("table", { "aria-label": label },
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows));
}

/** Makes a cell that names its column where the table is too narrow for a head. */
export function cell(label, ...children) {
  const inner = children.flat(9).filter((child) => child !== undefined && child !== null && child !== false && child !== "");
  return h("td", { "data-label": label }, inner.length ? h("div", {}, inner) : null);
}

/** Says that there is nothing, and what would be here. */
export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "lead" }, title), more.length ? h("p", {}, more) : null);
}

/** Says what went wrong, and what to do. */
export function failure(error, again) {
  return h("div", { class: "failure", role: "alert" },
    h("p", { class: "lead" }, error.message),
    h("p", {}, error.reason ? h("code", {}, error.reason) : null, error.hint ? ` ${error.hint}` : null),
    again ? h("button", { onclick: again }, "Try again") : null);
}

/** Shows something that can be copied. */
export function copyable(text, shown = text) {
  return h("button", {
    class: "copy mono", title: `${text}\nClick to copy`, "aria-label": `copy ${text}`,
    onclick: async (event) => {
      event.preventDefault();
      event.stopPropagation();
      const button = event.currentTarget;
      try {
        await navigator.clipboard.writeText(text);
        button.dataset.said = "copied";
      } catch {
        button.dataset.said = "select and copy by hand";
      }
      setTimeout(() => delete button.dataset.said, 1500);
    },
  }, shown);
}
