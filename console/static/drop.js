// The drop page: plans what is to be sent, sends it several files at a time, asks before it
// replaces anything, and starts each folder when its last file is there.

import { foreign, make, number, timeLeft } from "/static/console.js";
import { Refused, Slots, fingerprint, request, write } from "/static/drop_send.js";
import { Source, dropped, forget, remember, remembered } from "/static/drop_sources.js";

const MOST_SHOWN = 100;
const MOST_WAITING = 1000; // files that are planned and not sent; more wait on the disk
const DRAW_MS = 200;
const LIVE_MS = 5000;
const RATE_MS = 10000;

const place = (id) => document.getElementById(id);
const zone = place("zone");
const partBytes = Number(zone.dataset.partBytes);
const filesAtOnce = Number(zone.dataset.filesAtOnce);
const plannedFiles = Number(zone.dataset.plannedFiles);
const slots = new Slots(filesAtOnce);

const totals = { files: 0, bytes: 0, settled: 0, sent: 0, same: 0, skipped: 0, sentBytes: 0, settledBytes: 0 };
const active = new Map(); // task -> bytes that are there
const questions = []; // { task, answer }
const problems = []; // { task, sentence }
const leftOut = new Map(); // reason -> count
const folders = new Map(); // name -> Folder
const queue = [];
let forAll = null; // what a person has decided for all further questions
let pauseSentence = "";
let open = 0; // drops that are still being listed
let wake = [];

const files = (count) => `${number(count)} ${count === 1 ? "file" : "files"}`;

function bytes(count) {
  if (count < 1e3) return `${number(Math.round(count))} bytes`;
  const [size, unit] = count < 1e6 ? [count / 1e3, "kB"] : count < 1e9 ? [count / 1e6, "MB"] : [count / 1e9, "GB"];
  return `${size < 10 ? size.toFixed(1) : Math.round(size).toLocaleString("en")} ${unit}`;
}

const pause = (sentence) => {
  pauseSentence = sentence;
  draw();
};

// ---------------------------------------------------------------- one drop

/** The folder of the inbox that a path is in; null for a single file. */
const folderOf = (path) => (path.includes("/") ? path.split("/")[0] : null);

class Drop {
  constructor(source, into, id = crypto.randomUUID()) {
    Object.assign(this, { source, into, id, total: 0, done: 0, isListed: false, at: Date.now() });
    this.isKept = false;
    this.handles = []; // known when all files are listed
    this.ignored = new Set(); // paths
  }

  async run() {
    open += 1;
    await this.keep();
    let batch = [];
    const starts = new Set(); // folders of this drop, which are started when it is listed
    for await (const { path, file, error } of this.source.files()) {
      const target = this.into && !path.includes("/") ? `${this.into}/${path}` : path;
      const task = { drop: this, source: path, path: target, file, size: file?.size ?? 0 };
      this.total += 1;
      totals.files += 1;
      totals.bytes += task.size;
      const name = folderOf(target);
      if (name !== null) {
        starts.add(name);
        folder(name).open(task);
      }
      if (error) fail(task, "It cannot be read on this machine.");
      else batch.push(task);
      if (batch.length === plannedFiles) {
        await plan(batch);
        batch = [];
      }
      draw();
    }
    if (batch.length > 0) await plan(batch);
    if (this.total === 0) fail({ path: this.source.names.join(", ") }, "It holds no files.");
    this.isListed = true;
    open -= 1;
    for (const name of starts) folder(name).drops.delete(this);
    for (const name of starts) await folder(name).settle();
    draw();
    this.handles = await this.source.wholeHandles(this.total - this.ignored.size, this.ignored);
    await this.keep(true);
  }

  /** Remember what is not finished, and forget what is. */
  async keep(isForced = false) {
    if (this.isListed && this.done === this.total) {
      await forget(this.id);
      return;
    }
    if (!isForced && this.isKept && Date.now() - this.at < 2000) return;
    this.isKept = true;
    this.at = Date.now();
    const { id, into, at, done, total, handles } = this;
    await remember({ id, into, at, done, total, handles, names: this.source.names.slice(0, 3) });
  }
}

class Folder {
  constructor(name) {
    Object.assign(this, { name, left: 0, images: 0, failed: 0, drops: new Set(), state: "open" });
  }

  open(task) {
    this.left += 1;
    this.drops.add(task.drop);
    this.state = "open";
    task.folder = this;
  }

  /** Start the folder if all its files are there, or if a person says so. */
  async settle(isForced = false) {
    if (this.left > 0 || this.drops.size > 0 || this.state !== "open") return;
    if (this.images === 0 || (this.failed > 0 && !isForced)) return;
    this.state = "starting";
    draw();
    try {
      await request("POST", "/api/drop/ready", { json: { folder: this.name }, pause });
      this.state = this.left > 0 ? "open" : "started";
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.state = "open";
      this.sentence = error.message;
    }
    draw();
  }
}

function folder(name) {
  if (!folders.has(name)) folders.set(name, new Folder(name));
  return folders.get(name);
}

// ---------------------------------------------------------------- files

async function plan(tasks) {
  while (queue.length > MOST_WAITING) await new Promise((done) => setTimeout(done, DRAW_MS));
  let states;
  try {
    const json = { files: tasks.map(({ path, size }) => ({ path, size })) };
    ({ files: states } = await request("POST", "/api/drop/plan", { json, pause }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    for (const task of tasks) fail(task, error.message);
    return;
  }
  tasks.forEach((task, index) => {
    const { state, reason } = states[index];
    if (state === "refused") {
      if (!task.isRefused) task.drop.done += 1; // nothing to go on with after a reload
      task.isRefused = true;
      fail(task, `${reason[0].toUpperCase()}${reason.slice(1)}.`);
    } else if (state === "ignored" || state === "marker") {
      task.drop.ignored.add(task.source);
      if (state === "ignored") leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
      totals.files -= 1;
      totals.bytes -= task.size;
      end(task, null);
    } else {
      task.there = state === "there" ? states[index] : null;
      queue.push(task);
    }
  });
  wake.splice(0).forEach((start) => start());
}

async function work() {
  for (;;) {
    const task = queue.shift();
    if (task === undefined) {
      await new Promise((done) => wake.push(done));
      continue;
    }
    active.set(task, 0);
    draw();
    try {
      await send(task);
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      fail(task, error instanceof Refused ? error.message : "The page has a defect: reload it, and drop the same again.");
    }
    active.delete(task);
    draw();
  }
}

/** Send one file, unless its key holds the same already; ask if it holds something else. */
async function send(task) {
  const { file, size } = task;
  if (task.there && !task.etag && task.there.size !== size) {
    decide(task);
    return;
  }
  task.print ??= await fingerprint(file, partBytes);
  const json = () => ({ path: task.path, size, fingerprint: task.print.fingerprint });
  if (task.numbered) {
    const { state, path } = await request("POST", "/api/drop/number", { json: { ...json(), path: task.numbered }, pause });
    task.path = path;
    if (state === "same") {
      end(task, "same");
      return;
    }
  } else if (task.there && !task.etag) {
    if (await compare(task, json())) return;
  }
  const progress = (loaded) => {
    active.set(task, Math.min(loaded, size));
    draw();
  };
  const state = await write({ ...task, partBytes, slots, progress, pause });
  if (state === "written") {
    end(task, "sent");
    return;
  }
  task.etag = undefined; // another upload came first
  if (!(await compare(task, json()))) await send(task);
}

/** Whether the file is settled: its key holds the same, or the person has to decide. */
async function compare(task, json) {
  const there = await request("POST", "/api/drop/compare", { json, pause });
  if (there.state === "same") {
    end(task, "same");
    return true;
  }
  task.there = there.state === "there" ? there : null;
  if (task.there) decide(task);
  return Boolean(task.there);
}

function decide(task) {
  if (forAll) answer(task, forAll);
  else questions.push(task);
  draw();
}

function answer(task, choice) {
  if (choice === "skip") {
    end(task, "skipped");
    return;
  }
  if (choice === "replace") task.etag = task.there.etag;
  else task.numbered = task.path;
  queue.push(task);
  wake.splice(0).forEach((start) => start());
}

function end(task, outcome) {
  task.drop.done += 1;
  if (outcome) {
    totals[outcome] += 1;
    totals.settled += 1;
    totals.settledBytes += task.size;
    if (outcome === "sent") totals.sentBytes += task.size;
  }
  if (task.folder) {
    task.folder.left -= 1;
    if (outcome) task.folder.images += 1;
    task.folder.settle();
  }
  task.file = task.print = undefined;
  task.drop.keep();
}

function fail(task, sentence) {
  problems.push({ task, sentence });
  if (task.folder) {
    task.folder.left -= 1;
    task.folder.failed += 1;
  }
  draw();
}

function tryAgain() {
  const again = problems.splice(0);
  for (const { task } of again) {
    if (!task.folder) continue;
    task.folder.failed -= 1;
    task.folder.left += 1;
  }
  plan(again.map(({ task }) => task).filter((task) => task.file));
  for (const { task, sentence } of again) if (!task.file) fail(task, sentence);
  draw();
}

// ---------------------------------------------------------------- what is shown

let isDrawing = false;
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  setTimeout(() => {
    isDrawing = false;
    drawNow();
  }, DRAW_MS);
}

const isBusy = () => open > 0 || queue.length > 0 || active.size > 0;

const samples = [];
function rate(now, done) {
  samples.push([now, done]);
  while (samples.length > 2 && now - samples[0][0] > RATE_MS) samples.shift();
  const [[since, before]] = samples;
  return now > since ? Math.max(0, (done - before) * 1000 / (now - since)) : 0;
}

function summary() {
  const loaded = [...active.values()].reduce((sum, one) => sum + one, 0);
  const perSecond = rate(performance.now(), totals.sentBytes + loaded);
  const done = totals.settledBytes + loaded;
  const sofar = open > 0 ? " so far" : "";
  const parts = [`${number(totals.settled)} of ${files(totals.files)}${sofar}`, `${bytes(done)} of ${bytes(totals.bytes)}`];
  if (isBusy() && perSecond > 0) {
    parts.push(`${bytes(perSecond)}/s`);
    if (open === 0) parts.push(timeLeft((totals.bytes - done) / perSecond));
  }
  const detail = [[totals.same, "already there"], [totals.skipped, "skipped"], [problems.length, "not sent"],
    [questions.length, "waiting for your decision"]];
  for (const [count, what] of detail) if (count > 0) parts.push(`${number(count)} ${what}`);
  const state = isBusy() ? "" : questions.length + problems.length > 0 ? "Stopped: " : "Done: ";
  place("whole").value = totals.bytes > 0 ? done / totals.bytes : Number(!isBusy());
  return `${state}${parts.join(", ")}.`;
}

let spokenAt = 0;
let spoken = "";
function speak(sentence) {
  const isLate = Date.now() - spokenAt > LIVE_MS || !isBusy();
  if (!isLate || sentence === spoken) return;
  [spoken, spokenAt] = [sentence, Date.now()];
  place("live").textContent = sentence;
}

function drawNow() {
  place("progress").hidden = totals.files === 0 && leftOut.size === 0 && open === 0 && problems.length === 0;
  const sentence = summary();
  place("summary").textContent = sentence;
  speak(sentence);
  if (place("pause").textContent !== pauseSentence) place("pause").textContent = pauseSentence;
  place("pause").hidden = pauseSentence === "";
  drawActive();
  drawFolders();
  drawQuestions();
  drawProblems();
  place("left-out").hidden = leftOut.size === 0;
  place("left-out").querySelector("ul").replaceChildren(
    ...[...leftOut].map(([reason, count]) => make("li", {}, `${files(count)}: ${reason}`)),
  );
}

const rows = new Map(); // task -> its row, so that a row that stays is not made again
function drawActive() {
  for (const [task, row] of rows) {
    if (active.has(task)) continue;
    row.remove();
    rows.delete(task);
  }
  for (const [task, loaded] of active) {
    if (!rows.has(task)) {
      const bar = make("progress", { max: "1", value: "0", "aria-label": task.path });
      const row = make("li", {}, make("span", {}, foreign(task.path), ` ${bytes(task.size)}`), bar);
      rows.set(task, row);
      place("active").append(row);
    }
    rows.get(task).querySelector("progress").value = task.size > 0 ? loaded / task.size : 1;
  }
}

const shown = new Map(); // place -> what it shows, so that a button that stays keeps the focus
function fill(list, key, build) {
  if (shown.get(list) === key) return;
  shown.set(list, key);
  list.replaceChildren(...build());
}

function drawFolders() {
  const all = [...folders.values()].slice(-MOST_SHOWN);
  const key = JSON.stringify(all.map((one) => [one.name, one.state, one.left > 0, one.failed, one.images > 0, one.drops.size, one.sentence]));
  fill(place("folders"), key, () => all.map((one) => make("li", {}, make("b", {}, foreign(one.name)), ": ", ...stateOf(one))));
}

function stateOf(one) {
  if (one.state === "started") {
    const watch = make("a", { href: `/watch?key=${encodeURIComponent(`inbox/${one.name}/`)}` }, "Watch its answers");
    return ["all files are there, and it is started. ", watch];
  }
  if (one.state === "starting") return ["all files are there; it is being started."];
  if (one.left > 0 || one.drops.size > 0) return ["files are being sent."];
  if (one.images === 0) return ["nothing in it is an image that can be sent."];
  const start = make("button", { type: "button" }, "Start it without them");
  start.addEventListener("click", () => one.settle(true));
  return [one.sentence ?? `not started, because ${files(one.failed)} could not be sent. `, start];
}

function drawQuestions() {
  place("questions").hidden = questions.length === 0;
  const list = place("questions").querySelector("ul");
  const some = questions.slice(0, MOST_SHOWN);
  fill(list, JSON.stringify([some.map((task) => task.path)]), () => some.map((task) => {
    const label = `${task.path}: ${bytes(task.there.size)} in the inbox, ${bytes(task.size)} here`;
    const choices = [["replace", "Replace"], ["both", "Keep both"], ["skip", "Skip"]].map(([choice, text]) => {
      const button = make("button", { type: "button", "aria-label": `${text}: ${label}` }, text);
      button.addEventListener("click", () => choose(task, choice));
      return button;
    });
    return make("li", { class: "row" }, make("span", {}, foreign(task.path), ` ${bytes(task.there.size)} there, ${bytes(task.size)} here`), ...choices);
  }));
  place("questions").querySelector(".more").textContent = more(questions.length);
}

function choose(task, choice) {
  const isForAll = place("all").checked;
  const chosen = isForAll ? questions.splice(0) : questions.splice(questions.indexOf(task), 1);
  if (isForAll) forAll = choice;
  for (const one of chosen) answer(one, choice);
  drawNow();
  const next = place("questions").querySelector("ul button") ?? zone.querySelector("input");
  next.focus();
}

function drawProblems() {
  place("problems").hidden = problems.length === 0;
  const list = place("problems").querySelector("ul");
  const some = problems.slice(0, MOST_SHOWN);
  fill(list, JSON.stringify(some.map(({ task, sentence }) => [task.path, sentence])), () => some.map(
    ({ task, sentence }) => make("li", {}, foreign(task.path), `: ${sentence}`),
  ));
  place("problems").querySelector(".more").textContent = more(problems.length);
}

const more = (count) => (count > MOST_SHOWN ? `and ${number(count - MOST_SHOWN)} more` : "");

// ---------------------------------------------------------------- dropping

function start(source, into = place("into").value, id = undefined) {
  new Drop(source, into.trim().replaceAll("/", ""), id).run().catch((error) => {
    console.error(error);
    pause("The page has a defect: reload it, and drop the same again.");
  });
}

for (const id of ["files", "folder"]) {
  place(id).addEventListener("change", (event) => {
    const chosen = [...event.target.files];
    event.target.value = "";
    if (chosen.length > 0) start(new Source({ files: chosen }));
  });
}

const isOfFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!isOfFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  zone.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!isOfFiles(event)) return;
  event.preventDefault();
  zone.classList.remove("over");
  dropped(event.dataTransfer).then((source) => start(source));
});
place("again").addEventListener("click", tryAgain);
place("all").addEventListener("change", () => { forAll = null; });
window.addEventListener("beforeunload", (event) => {
  if (isBusy() || questions.length > 0) event.preventDefault();
});

async function showUnfinished() {
  for (const drop of await remembered()) {
    const box = make("div", { class: "box row" });
    const names = drop.names.flatMap((name, index) => (index > 0 ? [", ", foreign(name)] : [foreign(name)]));
    const text = make("span", {}, "An upload was interrupted: ", ...names, ". ");
    const dismiss = make("button", { type: "button" }, "Dismiss");
    dismiss.addEventListener("click", () => { forget(drop.id); box.remove(); });
    if (drop.handles?.length > 0) {
      const go = make("button", { type: "button", class: "first" }, "Go on");
      go.addEventListener("click", async () => {
        for (const handle of drop.handles) {
          if (await handle.requestPermission({ mode: "read" }) !== "granted") return;
        }
        box.remove();
        start(new Source({ handles: drop.handles }), drop.into, drop.id);
      });
      box.append(text, go, dismiss);
    } else {
      text.append("Drop or choose the same again: it goes on where it was.");
      box.append(text, dismiss);
    }
    place("unfinished").append(box);
  }
}

place("handles").textContent = "showDirectoryPicker" in window
  ? "This browser remembers what was dropped, so that one click goes on; what was chosen by a button is to be chosen again."
  : "This browser does not remember files.";
for (let index = 0; index < filesAtOnce; index += 1) work();
showUnfinished();
