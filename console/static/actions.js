// Starting a command of ./sortbox, and watching it: its lines, its end, and a button that stops it.

import { ask, make, on, readOnly, send, showTrouble } from "/static/console.js";

const place = (id) => document.getElementById(id);
const SHOWN_CHARACTERS = 200_000;

const panel = place("action");
let end = 0;
let reading = false;
let finished = () => {};
let lastState = "";

/** Call `listener` with each action of the panel that ends while this page is open. */
export function whenEnded(listener) {
  finished = listener;
}

function show(action) {
  panel.hidden = false;
  if (panel.dataset.id !== action.id) {
    panel.dataset.id = action.id;
    place("action-log").textContent = "";
    end = 0;
    lastState = "";
  }
  place("action-title").textContent = action.title;
  const steps = action.commands.length;
  const which = action.running && steps > 1 ? `, ${action.step + 1} of ${steps}` : "";
  const state = `${action.state}${which}`;
  if (place("action-state").textContent !== state) place("action-state").textContent = state;
  place("action-state").className = action.code ? "bad" : action.running ? "quiet" : "good";
  place("action-commands").textContent = action.commands.join("\n");
  place("action-stop").hidden = readOnly || !action.running;
}

const TRAINS = ["train", "tune", "train-corrections"];

/** What one does next, by the lines of an action that is done: links to what it has made. */
function showNext(action) {
  const next = place("action-next");
  const text = place("action-log").textContent;
  const links = [];
  const job = text.match(/^job: ([a-zA-Z0-9-]{1,63})$/m)?.[1];
  const preview = text.match(/^page: .*?([\w.-]+\.html)$/m)?.[1];
  if (TRAINS.includes(action.verb) && job) {
    links.push([`/train?job=${job}`, "Its curves and report"]);
    if (action.code === 0 && !readOnly) links.push([`/models?job=${job}`, "Promote it"]);
  } else if (action.verb === "preview" && preview) links.push([`/reports/previews/${preview}`, "What would change"]);
  next.hidden = action.running || !links.length;
  next.replaceChildren(...links.map(([href, words]) => make("a", { href, class: "button" }, words)));
}

function append(text) {
  const log = place("action-log");
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  log.append(text);
  if (log.textContent.length > SHOWN_CHARACTERS) {
    log.textContent = `…\n${log.textContent.slice(-SHOWN_CHARACTERS / 2)}`;
  }
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

/** All that this page has not shown of the panel's action. */
async function read() {
  if (reading || !panel.dataset.id) return;
  reading = true;
  try {
    for (;;) {
      const action = await ask(`/api/actions/${panel.dataset.id}?from=${end}`);
      show(action);
      append(action.text);
      end = action.to;
      if (action.to === action.from) {
        showNext(action);
        if (!action.running && lastState === "running") finished(action);
        lastState = action.running ? "running" : "ended";
        break;
      }
    }
  } catch (error) {
    showTrouble(error.message);
  } finally {
    reading = false;
  }
}

on("action", (event) => {
  if (event === null) {
    read();
    return;
  }
  const isHere = event.id === panel.dataset.id;
  if (!isHere && (!event.running || panel.dataset.pinned)) return;
  show(event);
  read();
});

place("action-stop").addEventListener("click", async () => {
  try {
    const { sentence } = await send(`/api/actions/${panel.dataset.id}/stop`);
    place("action-state").textContent = sentence;
  } catch (error) {
    showTrouble(error.message);
  }
});

/**
 * Show what an action runs and costs, and start it if the person agrees. `text` is a list of
 * sentences on what happens. Answers the action, or null.
 */
export async function confirmAndStart(verb, fields, { text = [], label = "Start" } = {}) {
  const query = new URLSearchParams({ ...fields, verb });
  let order;
  try {
    order = await ask(`/api/order?${query}`);
  } catch (error) {
    showTrouble(error.message);
    return null;
  }
  showTrouble("");
  place("confirm-title").textContent = `${order.title}?`;
  place("confirm-text").replaceChildren(...text.map((sentence) => make("p", {}, sentence)));
  place("confirm-cost").textContent = order.cost ? `Cost: ${order.cost}` : "";
  place("confirm-cost").hidden = !order.cost;
  place("confirm-commands").textContent = order.commands.join("\n");
  place("confirm-trouble").hidden = true;
  place("confirm-yes").textContent = label;
  const dialog = place("confirm");
  dialog.showModal();
  place("confirm-no").focus();
  return new Promise((resolve) => {
    const yes = async () => {
      place("confirm-yes").disabled = true;
      try {
        const action = await start(verb, fields);
        dialog.close();
        resolve(action);
      } catch (error) {
        place("confirm-trouble").textContent = error.message;
        place("confirm-trouble").hidden = false;
      } finally {
        place("confirm-yes").disabled = false;
      }
    };
    place("confirm-yes").addEventListener("click", yes);
    dialog.addEventListener("close", () => {
      place("confirm-yes").removeEventListener("click", yes);
      resolve(null);
    }, { once: true });
  });
}

/** Start an action at once; fails with the sentence. */
export async function start(verb, fields) {
  const action = await send("/api/actions", { json: { verb, fields } });
  show(action);
  lastState = "running";
  panel.scrollIntoView({ block: "nearest" });
  read();
  return action;
}

/** The fields of a form that are filled in; a box that is ticked is "on". */
export function valuesOf(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
}

/** Fetch this page again, and put in its sections of these ids. */
export async function renew(...ids) {
  let reply;
  try {
    reply = await fetch(location.href, { headers: { Accept: "text/html" } });
  } catch {
    return; // the frame says that the console does not answer
  }
  if (!reply.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const id of ids) {
    const [old, now] = [place(id), fresh.getElementById(id)];
    if (!old || !now || old.contains(document.activeElement) || old.isEqualNode(now)) continue;
    old.replaceWith(document.importNode(now, true));
  }
}

// Buttons that start one action: <button data-verb="stop" data-fields='{"job": "…"}' data-text="…">
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-verb]");
  if (!button) return;
  const text = button.dataset.text ? [button.dataset.text] : [];
  const fields = JSON.parse(button.dataset.fields || "{}");
  confirmAndStart(button.dataset.verb, fields, { text, label: button.dataset.label || "Start" });
});
