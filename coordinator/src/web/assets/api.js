// Asks the coordinator. A token, if one is needed, stays in this tab and goes in a header.

/** What the coordinator refused, in its own words. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message || `the coordinator answered with status ${status}`);
    this.status = status;
    this.reason = error?.reason || "";
    this.hint = HINTS[this.reason] || (status === 0 ? "Is the coordinator running? The page tries again by itself." : "");
  }
}

const HINTS = {
  NOT_ALLOWED: "Your role does not cover this; ask an operator.",
  QUOTA_EXCEEDED: "Close other tabs of this page, or wait a moment.",
  RECOVERING: "The coordinator has just started and reads its journal; it answers soon.",
};

let asking;
/** Asks the person for a token once, however many requests want it. */
export const tokens = { prompt: async () => null };

function kept() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

/** Forgets the token, if there is one. */
export function forget() {
  try {
    sessionStorage.removeItem(TOKEN);
  } catch { /* There is nothing to forget. */ }
}

/** Says whether a token is in use. */
export function hasToken() {
  return Boolean(kept());
}

async function request(method, path, body, signal) {
  for (let round = 0; ; round += 1) {
    const headers = {};
    const token = kept();
    if (token) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let response;
    try {
      response = await fetch(`/api/v1/${path}`, {
        method, headers, signal, cache: "no-store",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refused(0, { message: "the coordinator cannot be reached" });
    }
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    if (response.status === 401 && round < 3) {
      asking ||= tokens.prompt(answer.error?.message, Boolean(token)).finally(() => (asking = undefined));
      const given = await asking;
      if (given) {
        try {
          sessionStorage.setItem(TOKEN, given);
        } catch { /* It is asked for again. */ }
        continue;
      }
    }
    throw new Refused(response.status, answer.error);
  }
}

/** Writes parameters as a query. */
export function query(pairs) {
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== undefined && value !== "")).toString();
  return text ? `?${text}` : "";
}

/** Reads something. */
export async function get(path, signal) {
  return (await request("GET", path, undefined, signal)).json();
}

/**
 * Reads a page of jobs. The coordinator looks at so many jobs at a time and may answer with fewer
 * than were asked for, or none, though others follow: then it is asked to look on, some times.
 */
export async function jobsPage(pairs, token, size, signal, looks = LOOKS_MAX) {
  const jobs = [];
  let next = token;
  for (let look = 0; look < looks; look += 1) {
    const answer = await get(`jobs${query([...pairs, ["pageSize", size - jobs.length], ["pageToken", next]])}`, signal);
    jobs.push(...(answer.jobs || []));
    next = answer.nextPageToken || "";
    if (!next || jobs.length >= size) break;
  }
  return { jobs, next };
}

/** Changes something. */
export async function post(path, body = {}) {
  return (await request("POST", path, body)).json();
}

/** Removes something. */
export async function remove(path) {
  return (await request("DELETE", path)).json();
}

/**
 * Follows a stream and calls `take` with each message until it ends or is aborted; connects
 * again after a failure, with growing patience. `on` is told of the connection's state.
 */
export async function follow(path, take, { signal, on = () => {}, ended = () => {} }) {
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    try {
      const response = await request("GET", path, undefined, signal);
      on("live");
      wait = FIRST_WAIT;
      if (await read(response.body, take)) {
        ended();
        return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429) {
        on("refused", error);
        return;
      }
    }
    if (signal.aborted) return;
    on("waiting");
    await new Promise((done) => {
      const timer = setTimeout(done, wait);
      signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
    });
    wait = Math.min(wait * 2, LAST_WAIT);
  }
}

/**
 * Calls `load` whenever a job has changed, at most once in a while, and now and then for what
 * changes without a job: a worker that falls silent, its free space.
 */
export function keepFresh(load, { signal, on }) {
  let timer;
  let due = 0;
  const soon = (wait) => {
    const at = Date.now() + wait;
    if (timer && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(turn, wait);
  };
  async function turn() {
    timer = undefined;
    due = 0;
    if (document.visibilityState === "visible") await load();
    if (!signal.aborted) soon(FRESH_AT_LEAST);
  }
  follow("jobs:watch", () => soon(FRESH_AT_MOST), { signal, on: (state, error) => {
    on(state, error);
    // What changed while nobody followed.
    if (state === "live") soon(0);
  } });
  soon(0);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

// Returns whether the stream came to its own end.
async function read(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    text += value;
    let at;
    while ((at = text.indexOf("\n\n")) >= 0) {
      const event = text.slice(0, at).split("\n");
      text = text.slice(at + 2);
      const kind = event.find((line) => line.startsWith("event: "))?.slice(7);
      const data = event.find((line) => line.startsWith("data: "))?.slice(6);
      if (kind === "end") return true;
      if (kind === "error") {
        const error = JSON.parse(data).error;
        if (["NOT_FOUND", "FAILED_PRECONDITION", "INVALID_ARGUMENT"].includes(error.code)) throw new Refused(400, error);
        throw new Refused(503, error);
      }
      if (data) take(JSON.parse(data));
    }
  }
}

const LOOKS_MAX = 10;
const TOKEN = "votum-token";
const FIRST_WAIT = 500;
const LAST_WAIT = 10_000;
const FRESH_AT_MOST = 400;
const FRESH_AT_LEAST = 3000;
