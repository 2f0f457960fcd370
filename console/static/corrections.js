// The list of corrections: confirm one of two, undo, and hear of new ones.

import { on, readOnly, renew, showTrouble } from "/static/console.js";
import { add, flush, inTheWay, nameAfter, onSent, waiting } from "/static/correct-queue.js";

const RELOAD_MS = 400;
const PAUSE_MS = 3000; // each reload looks at every image of the lists
const status = document.getElementById("queue");
let timer = 0;
let lastReload = 0;

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    lastReload = Date.now();
    renew("live");
  }, Math.max(RELOAD_MS, lastReload + PAUSE_MS - Date.now()));
}

function showQueue() {
  const count = waiting().length;
  status.textContent = count ? `Waiting to be stored: ${count}. ${inTheWay()}` : "";
}

function clicked(event) {
  const button = event.target.closest("button[data-name]");
  if (!button) return;
  const { name, image, etag, withdraws } = button.dataset;
  const label = (text) => JSON.parse(text);
  const item = {
    name: nameAfter([name]), image, etag, from: label(button.dataset.from),
    to: withdraws ? null : label(button.dataset.to), withdraws: withdraws || null,
  };
  try {
    add([item]);
    button.disabled = true;
  } catch (error) {
    showTrouble(error.message);
  }
}

on("corrections", schedule); // also whenever the connection is made: what happened before was not heard
onSent(({ refused }) => {
  if (refused) showTrouble(refused);
  showQueue();
});
if (!readOnly) {
  document.getElementById("main").addEventListener("click", clicked);
  flush();
}
showQueue();
