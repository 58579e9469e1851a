// The durable events of a job, read once for all who show them, and read on as they grow.

import { get, query } from "./api.js";

const PAGE = 500;
/** So many events are kept here; `votum events` has all of them. */
export const EVENTS_MAX = 5000;
const SOON = 300;

/** Makes the history; it reads nothing before it is started. `tell` hears of each reading's end. */
export function historyOf({ name, signal, tell }) {
  const history = { events: [], more: false, error: undefined, started: false, known: false };
  let reading;
  let again = false;
  let timer;

  async function read() {
    again = true;
    reading ||= rounds().finally(() => (reading = undefined));
    return reading;
  }

  async function rounds() {
    try {
      while (again && history.events.length < EVENTS_MAX) {
        again = false;
        history.more = await page();
        again ||= history.more;
      }
      history.error = undefined;
      history.known = true;
    } catch (error) {
      if (signal.aborted) return;
      history.error = error;
    }
    tell();
  }

  async function page() {
    const after = history.events.at(-1)?.eventId;
    const answer = await get(`jobs/${name}/events${query([["pageSize", PAGE], ["afterEventId", after]])}`, signal);
    history.events.push(...(answer.events || []));
    return Boolean(answer.nextPageToken);
  }

  return Object.assign(history, {
    read,
    /** Begins to read, if nobody has yet. */
    start() {
      if (history.started) return;
      history.started = true;
      read();
    },
    /** The job has changed, so there may be more. */
    changed() {
      if (!history.started) return;
      clearTimeout(timer);
      timer = setTimeout(() => signal.aborted || read(), SOON);
    },
  });
}
