// What every page shares: requests that write, live events, and sentences of what goes wrong.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export const readOnly = meta("read-only") === "yes";

/**
 * Send a request to the console. Answers the JSON of the reply; throws an Error whose message is
 * the sentence for the person.
 */
export async function send(path, { method = "POST", json, body, signal, headers = {} } = {}) {
  const all = { "X-CSRF-Token": meta("csrf"), ...headers };
  if (json !== undefined) all["Content-Type"] = "application/json";
  let reply;
  try {
    reply = await fetch(path, {
      method, signal, headers: all, body: json === undefined ? body : JSON.stringify(json),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The console does not answer. Is `./sortbox console` still running?");
  }
  const isJson = reply.headers.get("Content-Type")?.startsWith("application/json");
  const answer = isJson ? await reply.json() : { error: await reply.text() };
  if (!reply.ok) throw new Error(answer.error || `The console answered ${reply.status}.`);
  return answer;
}

/** Ask the console for JSON; fails as `send` does. */
export const ask = (path, options = {}) => send(path, { ...options, method: "GET" });

const listeners = new Map();
const RETRY_MS = 2000;
let source = null;
let retry = 0;

/**
 * Call `listener` with the data of each event of a topic. It is called with null whenever the
 * connection is made, also again: what happened before was not heard, so ask for the present state.
 */
export function on(topic, listener) {
  if (!listeners.has(topic)) {
    listeners.set(topic, new Set());
    if (source) hear(topic);
  }
  listeners.get(topic).add(listener);
  if (source?.readyState === EventSource.OPEN) listener(null);
}

function hear(topic) {
  source.addEventListener(topic, (event) => {
    for (const listener of listeners.get(topic)) listener(JSON.parse(event.data));
  });
}

/** A browser has six connections for all its tabs: one that nobody sees gives up its own. */
function connect() {
  clearTimeout(retry);
  source?.close();
  source = document.hidden ? null : new EventSource("/events");
  if (!source) return;
  for (const topic of listeners.keys()) hear(topic);
  source.addEventListener("open", () => {
    showTrouble("");
    for (const all of listeners.values()) for (const listener of all) listener(null);
  });
  source.addEventListener("error", ({ target }) => {
    showTrouble("The console does not answer; this page tries again. Is `./sortbox console` still running?");
    // A browser tries again by itself, but not after an answer that is no stream.
    if (target === source && target.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY_MS);
  });
}

/** A sentence above the page; an empty one removes it. */
export function showTrouble(sentence) {
  const place = document.getElementById("trouble");
  if (place.dataset.sentence !== sentence) place.replaceChildren(...commands(sentence));
  place.dataset.sentence = sentence;
  place.hidden = sentence === "";
}

/** A sentence of ours, with what stands in backticks as code. */
export const commands = (sentence) =>
  sentence.split(/`([^`]+)`/).map((part, at) => (at % 2 ? make("code", {}, part) : part));

/** An element: `make("p", { class: "quiet" }, "text", child)`. Text is never markup. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Text of strangers: control characters and invisible ones as escapes, so that it has one line. */
export function visible(text) {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) =>
    Array.from({ length: one.length }, (_, at) =>
      `\\u${one.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""));
}

/** As `visible`, shortened, in an element that keeps its direction to itself. */
export function foreign(text, most = 120) {
  const whole = visible(text);
  const shown = whole.length > most ? `${whole.slice(0, most / 2)}…${whole.slice(-most / 2)}` : whole;
  return make("bdi", shown === whole ? {} : { title: whole }, shown);
}

export const number = (value) => value.toLocaleString("en");

export function timeLeft(seconds) {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min left` : `about ${Math.round(seconds / 3600)} h left`;
}

/** A time of this place: of today without its day. `text` is UTC, and shown when it is pointed at. */
export function moment(text) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return make("span", {}, text ?? "");
  const isToday = at.toDateString() === new Date().toDateString();
  return make("time", { datetime: text, title: text }, isToday ? at.toLocaleTimeString() : at.toLocaleString());
}

/** The times of a page, which come in UTC. */
function localise(page) {
  for (const time of page.querySelectorAll("time")) time.replaceWith(moment(time.dateTime));
}

const stale = new Set(); // ids of sections
let isRenewing = false;

/** What an element is, in a page that was fetched again. */
const likenessOf = (element) => [element.localName, element.getAttribute("href"), JSON.stringify(element.dataset),
  element.getAttribute("aria-label") ?? element.textContent].join(" ");

/**
 * Fetch this page again, and put in its sections of these ids; the focus stays. One fetch at a time:
 * a call meanwhile has the page fetched once more.
 */
export async function renew(...ids) {
  for (const id of ids) stale.add(id);
  if (isRenewing) return;
  isRenewing = true;
  try {
    while (stale.size) {
      const now = [...stale];
      stale.clear();
      const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!reply.ok) return; // the event "trouble" says why
      const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
      localise(fresh);
      for (const id of now) putIn(document.getElementById(id), fresh.getElementById(id));
    }
  } catch {
    // The connection for events says that the console does not answer.
  } finally {
    isRenewing = false;
  }
}

function putIn(old, now) {
  if (!old || !now || old.isEqualNode(now)) return;
  const focused = old.contains(document.activeElement) ? likenessOf(document.activeElement) : null;
  const section = document.importNode(now, true);
  old.replaceWith(section);
  if (focused) [...section.querySelectorAll("*")].find((one) => likenessOf(one) === focused)?.focus({ preventScroll: true });
}

on("trouble", (trouble) => trouble && showTrouble(trouble.sentence));
localise(document);
connect();
// After all scripts of the page.
document.addEventListener("DOMContentLoaded", () => { document.getElementById("main").inert = false; });
document.addEventListener("visibilitychange", connect);
