// Starting a command of ./sortbox, and watching it: its lines, its end, and a button that stops it.

import { ask, commands, make, on, readOnly, send, showTrouble } from "/static/console.js";

const place = (id) => document.getElementById(id);
const SHOWN_CHARACTERS = 200_000;
const RETRY_MS = 2000;

const panel = place("action");
let end = 0; // of the log that is shown, in bytes
let isRunning = "running" in panel.dataset; // at the last look
let isReading = false;
let isStale = false; // something was heard since the last look
let hasFailed = false; // the last look
let finished = () => {};

/** Call `listener` with each action of the panel that ends while this page is open. */
export function whenEnded(listener) {
  finished = listener;
}

function show(action) {
  panel.hidden = false;
  if (panel.dataset.id !== action.id) {
    panel.dataset.id = action.id;
    place("action-log").textContent = "";
    place("action-next").hidden = true;
    end = 0;
    isRunning = action.running;
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
const INTERRUPTED = 130; // the command has ended, and the job has not

/** What one does next, by the lines of an action that is done: links to what it has made. */
function showNext(action) {
  const next = place("action-next");
  const text = place("action-log").textContent;
  const links = [];
  const job = text.match(/^job: ([a-zA-Z0-9-]{1,63})$/m)?.[1];
  const preview = text.match(/^page: .*?([\w.-]+\.html)$/m)?.[1];
  if (TRAINS.includes(action.verb) && job) {
    links.push([`/train?job=${job}`, action.code === INTERRUPTED ? "The job goes on: watch or stop it" : "Its curves and report"]);
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

/** Show all that this page has not shown of the panel's action; while it reads, it looks again. */
async function read() {
  isStale = true;
  if (isReading) return;
  isReading = true;
  try {
    while (isStale && panel.dataset.id) {
      isStale = false;
      const { id } = panel.dataset;
      const action = await ask(`/api/actions/${id}?from=${end}`);
      if (hasFailed) showTrouble("");
      hasFailed = false;
      if (panel.dataset.id !== id) continue; // another one took the panel, and is read next
      show(action);
      append(action.text);
      end = action.to;
      if (action.to !== action.from) isStale = true;
      else look(action);
    }
  } catch (error) {
    showTrouble(error.message);
    hasFailed = true;
    setTimeout(read, RETRY_MS); // an end is heard once
  } finally {
    isReading = false;
  }
}

/** An action of which all lines are shown. */
function look(action) {
  showNext(action);
  const hasEnded = isRunning && !action.running;
  isRunning = action.running;
  if (hasEnded) finished(action);
}

/** Whether an action takes the panel: it runs, the page is about such, and none runs here. */
const takesPanel = (action) => action.running && !isRunning && panel.dataset.hears.split(" ").includes(action.verb);

on("action", (event) => {
  if (event !== null && event.id !== panel.dataset.id) {
    if (!takesPanel(event)) return;
    show(event);
  }
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

let isAsking = false;

/**
 * Show what an action runs and costs, and start it if the person agrees. `text` is a list of
 * sentences on what happens. A second click asks nothing more.
 */
export async function confirmAndStart(verb, fields, { text = [], label = "Start" } = {}) {
  if (isAsking || place("confirm").open) return;
  isAsking = true;
  try {
    const order = await ask(`/api/order?${new URLSearchParams({ ...fields, verb })}`);
    showTrouble("");
    place("confirm-title").textContent = `${order.title}?`;
    place("confirm-text").replaceChildren(...text.map((sentence) => make("p", {}, sentence)));
    place("confirm-cost").textContent = order.cost ? `Cost: ${order.cost}` : "";
    place("confirm-cost").hidden = !order.cost;
    place("confirm-commands").textContent = order.commands.join("\n");
    place("confirm-trouble").hidden = true;
    place("confirm-yes").textContent = label;
    place("confirm-yes").onclick = () => agree(verb, fields);
    place("confirm").showModal();
    place("confirm-no").focus();
  } catch (error) {
    showTrouble(error.message);
  } finally {
    isAsking = false;
  }
}

async function agree(verb, fields) {
  place("confirm-yes").disabled = true;
  try {
    await start(verb, fields);
    place("confirm").close();
  } catch (error) {
    if (!place("confirm").open) showTrouble(error.message);
    place("confirm-trouble").replaceChildren(...commands(error.message));
    place("confirm-trouble").hidden = false;
  } finally {
    place("confirm-yes").disabled = false;
  }
}

/** Start an action at once; answers it, or fails with the sentence. */
export async function start(verb, fields) {
  const action = await send("/api/actions", { json: { verb, fields } });
  show(action);
  isRunning = true; // its end is said, also where it is over already
  panel.scrollIntoView({ block: "nearest" });
  read();
  return action;
}

/** The fields of a form that are filled in; a box that is ticked is "on". */
export function valuesOf(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
}

// Buttons that start one action: <button data-verb="stop" data-fields='{"job": "…"}' data-text="…">
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-verb]");
  if (!button) return;
  const text = button.dataset.text ? [button.dataset.text] : [];
  const fields = JSON.parse(button.dataset.fields || "{}");
  confirmAndStart(button.dataset.verb, fields, { text, label: button.dataset.label || "Start" });
});
