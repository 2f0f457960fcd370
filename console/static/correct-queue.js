// What people decide, on its way to S3. A decision is kept in the browser until the console has said
// that S3 has it: it survives the end of the tab, of the console and of the network.
//
// Each has a name of its own from the beginning, so that sending it again, also from two tabs at
// once, stores it once. Each has a key of its own in localStorage, so that tabs do not overwrite each
// other's. A browser keeps some 5 MB for an address: about 10,000 decisions.

import { ask, on, readOnly, send } from "/static/console.js";

const MOST_SENT = 100;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})-[0-9a-f]{16}$/;

/** The labels to choose from: {model, labels, others, trouble, bucket}. */
export const choices = await ask("/api/corrections/labels");

const prefix = `sortbox-correction:${choices.bucket}:`;
const listeners = new Set();
let lastMoment = 0;
let trouble = "";
let sending = false;
let timer = 0;
let wait = FIRST_WAIT_MS;

/** Milliseconds since 1970 of a correction's name. */
const momentOf = (name) => Date.parse(name.replace(NAME, "$1-$2-$3T$4:$5:$6Z"));

/** A name for a correction that is made now, later than those of `known`, whatever the clocks, and
 *  than those of this page. */
export function nameAfter(known) {
  const moments = known.filter(Boolean).map((name) => momentOf(name) + 1);
  lastMoment = Math.max(Date.now(), lastMoment + 1, ...moments);
  const time = new Date(lastMoment).toISOString().replace(/[-:Z]/g, "");
  const nonce = crypto.getRandomValues(new Uint8Array(8));
  return `${time}-${Array.from(nonce, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Call `listener({ item, stored, refused })` with each decision that was stored or refused, and
 *  with {} whenever the number of those that wait, or what is in their way, has changed. */
export function onSent(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (event) => {
  for (const listener of listeners) listener(event);
};

/** The decisions that S3 has not confirmed, the oldest first. */
export function waiting() {
  const items = [];
  for (let at = 0; at < localStorage.length; at += 1) {
    const key = localStorage.key(at);
    if (!key.startsWith(prefix)) continue;
    try {
      items.push(JSON.parse(localStorage.getItem(key)));
    } catch {
      localStorage.removeItem(key);
    }
  }
  return items.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Why nothing is stored at present; empty if nothing is in the way. */
export const inTheWay = () => trouble;

/** Keep decisions and send them: [{name, image, etag, from, to, withdraws}].
 *  Throws an Error with a sentence if the browser keeps no more. */
export function add(items) {
  try {
    for (const item of items) localStorage.setItem(prefix + item.name, JSON.stringify(item));
  } catch {
    for (const item of items) localStorage.removeItem(prefix + item.name);
    throw new Error("This browser keeps no more corrections: wait until those before are stored.");
  }
  tell({});
  flush();
}

const isThere = (item) => localStorage.getItem(prefix + item.name) !== null;

/** Send what waits. Nothing is dropped before the console has answered for it. */
export async function flush() {
  clearTimeout(timer);
  if (sending || readOnly) return;
  sending = true;
  try {
    for (let items = next(); items.length; items = next()) {
      const { results } = await send("/api/corrections", { json: { items } });
      const more = results.map((result, at) => settle(items[at], result)).find(Boolean);
      if (more) throw new Error(more);
      wait = FIRST_WAIT_MS;
    }
    say("");
  } catch (error) {
    say(error.message);
    timer = setTimeout(flush, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  } finally {
    sending = false;
  }
}

const next = () => waiting().slice(0, MOST_SENT);

/** The sentence of what is to be sent again. */
function settle(item, { stored, refused, later }) {
  if (later) return later;
  if (!isThere(item)) return ""; // another tab has heard of it
  localStorage.removeItem(prefix + item.name);
  tell({ item, stored, refused });
  return "";
}

function say(sentence) {
  trouble = sentence;
  tell({});
}

addEventListener("storage", (event) => {
  if (event.key?.startsWith(prefix)) tell({});
});
addEventListener("online", flush);
on("corrections", (event) => event === null && flush());
