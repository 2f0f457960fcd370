// The watch page: folders and singles as they are answered, and what `status` says of them.

import { ask, foreign, make, moment, number, on, timeLeft, visible } from "/static/console.js";

const RENEW_MS = 3000; // of what is said of one key
const REST = 10; // a look that took so long is repeated after 10 times as long
const VIEW_MS = 30000; // the console looks at the stage for a minute after it was asked
const LIVE_MS = 10000;

const place = (id) => document.getElementById(id);
const watch = place("watch");
const key = watch.dataset.key;

const count = (value, what) => `${number(value)} ${what}${value === 1 ? "" : "s"}`;

const sentences = (all) => all.map((one) => make("li", {}, make("bdi", {}, visible(one))));

/** Images a second; a minute where they are few. `rate` is that of a second. */
function speed(rate) {
  if (rate >= 1) return `${number(Math.round(rate))} a second`;
  return rate * 60 < 1 ? "less than 1 a minute" : `${Math.round(rate * 60)} a minute`;
}

/** The rate and the time left, while answers come. */
const pace = ({ rate, seconds_left: seconds }) => (seconds === null ? "" : `${speed(rate)}, ${timeLeft(seconds)}`);

/** Rows of a table by a name, changed only where they are others: the focus stays where it is. */
function table(body, rows, name, cells) {
  const before = new Map([...body.children].map((row) => [row.dataset.name, row]));
  rows.forEach((row, index) => {
    const text = JSON.stringify(row);
    let element = before.get(name(row));
    before.delete(name(row));
    if (element?.dataset.shown !== text) {
      const made = make("tr", { "data-name": name(row), "data-shown": text }, ...cells(row));
      if (element) element.replaceWith(made);
      element = made;
    }
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  });
  for (const gone of before.values()) gone.remove();
}

const address = (page, parameter, value) => `${page}?${new URLSearchParams({ [parameter]: value })}`;
const stored = (path) => `/reports/${path.split("/").map(encodeURIComponent).join("/")}`;

function folderCells(row) {
  const name = row.folder.replace(/\/$/, "");
  const links = [make("a", { href: address("/look", "folder", `inbox/${row.folder}`), "aria-label": `Gallery of ${name}` }, "Gallery")];
  if (row.page) links.push(" · ", make("a", { href: stored(row.page), "aria-label": `Report of ${name}` }, "Report"));
  const state = make("td", {}, row.state);
  if (row.waits?.length > 0) state.append(make("ul", { class: "waits" }, ...sentences(row.waits)));
  return [
    make("th", { scope: "row" }, make("a", { href: address("/watch", "key", `inbox/${row.folder}`) }, foreign(name))),
    state,
    make("td", {}, ...progress(row, name)),
    make("td", { class: "n rejected" }, row.rejected ? number(row.rejected) : ""),
    make("td", {}, moment(row.updated)),
    make("td", { class: "more" }, ...links),
  ];
}

function progress(row, name) {
  if (!row.live) return row.images === null ? [""] : [count(row.images, "image")];
  const answers = Math.min(row.answers, row.images);
  const text = [`${number(answers)} of ${number(row.images)}`, pace(row)].filter(Boolean).join(", ");
  return [make("progress", { max: Math.max(1, row.images), value: answers, "aria-label": `Answers of ${name}` }), text];
}

function singleCells(row) {
  const score = row.score === undefined ? "" : row.score.toFixed(2);
  const answer = {
    waiting: () => [make("span", { class: "quiet" }, "waiting")],
    classified: () => [row.label === undefined ? make("span", { class: "quiet" }, "no label") : foreign(row.label)],
    rejected: () => [make("span", { class: "bad" }, `rejected, ${row.code}: `), make("bdi", {}, row.message)],
  }[row.state]();
  return [
    make("th", { scope: "row" }, make("a", { href: address("/watch", "key", row.key) }, foreign(row.key.replace(/^inbox\//, "")))),
    make("td", {}, ...answer),
    make("td", { class: "n" }, score),
    make("td", {}, moment(row.at)),
  ];
}

function show(picture) {
  const { folders, singles, findings, is_whole: isWhole } = picture;
  for (const id of ["folders-part", "singles-part", "stage-part"]) place(id).hidden = false;
  table(place("folders").tBodies[0], folders.rows, (row) => row.folder, folderCells);
  place("folders").hidden = folders.rows.length === 0;
  place("no-folders").hidden = folders.rows.length > 0;
  place("more-folders").hidden = folders.count <= folders.rows.length;
  const more = `These are the last ${number(folders.rows.length)} of ${number(folders.count)}${isWhole ? "" : " or more"}`;
  place("more-folders").replaceChildren(`${more}. The address /watch?key=NAME shows any other, and `, make("code", {}, "./sortbox ls folders"), " lists them by name.");
  table(place("singles").tBodies[0], singles.rows, (row) => row.key, singleCells);
  place("singles").hidden = singles.rows.length === 0;
  place("no-singles").hidden = singles.rows.length > 0;
  const newest = singles.count > singles.rows.length ? ` These are the newest ${number(singles.rows.length)}.` : "";
  const of = `${number(singles.answers)} of ${count(singles.count, "image")}${isWhole ? "" : " or more"} answered`;
  place("singles-summary").textContent = singles.count > 0 ? `${[of, pace(singles)].filter(Boolean).join(", ")}.${newest}` : "";
  stuckSingle(singles.stuck);
  findingsOf(findings);
  const live = folders.rows.filter((row) => row.live);
  const inFolders = live.map((row) => `${row.folder.replace(/\/$/, "")}: ${number(row.answers)} of ${number(row.images)}`);
  speak([...inFolders.slice(0, 3), singles.count > 0 ? of : ""].filter(Boolean).join("; "));
}

/** What the single image that has waited longest waits for, where none has been answered for a while. */
function stuckSingle(stuck) {
  const list = place("singles-stuck");
  list.hidden = stuck === null;
  const text = JSON.stringify(stuck);
  if (list.hidden || list.dataset.shown === text) return;
  list.dataset.shown = text;
  const link = make("a", { href: address("/watch", "key", stuck.key) }, foreign(stuck.key.replace(/^inbox\//, "")));
  list.replaceChildren(make("li", {}, "No answer has come for a while. It has waited longest: ", link), ...sentences(stuck.waits));
}

function findingsOf(findings) {
  const text = JSON.stringify(findings);
  const list = place("findings");
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...sentences(findings.map((one) => one.sentence)));
}

let spokenAt = 0;
function speak(sentence) {
  if (Date.now() - spokenAt < LIVE_MS || place("live").textContent === sentence) return;
  spokenAt = Date.now();
  place("live").textContent = sentence;
}

function settled(sentence = "") {
  watch.setAttribute("aria-busy", "false");
  place("waiting").textContent = sentence;
  place("waiting").hidden = sentence === "";
}

// ---------------------------------------------------------------- the whole stage

async function showStage(picture) {
  try {
    show(picture ?? await ask("/api/watch"));
    settled();
  } catch (error) {
    settled(error.message);
  }
}

// ---------------------------------------------------------------- one image or folder

let isAsking = false;
let renewal;

async function showKey() {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(renewal);
  const started = performance.now();
  try {
    const answer = await ask(address("/api/watch", "key", key));
    place("explained").hidden = false;
    findingsOf(answer.findings);
    place("links").replaceChildren(...linksOf(answer.key));
    speak(answer.findings[0]?.sentence ?? "");
    settled();
  } catch (error) {
    place("explained").hidden = true;
    settled(error.message);
  }
  isAsking = false;
  renewal = setTimeout(showKey, Math.max(RENEW_MS, REST * (performance.now() - started)));
}

function linksOf(found) {
  if (found.endsWith("/")) {
    const name = found.slice("inbox/".length, -1);
    return [
      make("a", { href: address("/look", "folder", found) }, "Gallery"),
      make("a", { href: stored(`outbox/${name}/_report.html`) }, "Report"),
      make("a", { href: address("/drop", "folder", name) }, "Add files"),
    ];
  }
  return [
    make("a", { href: address("/look/image", "image", found) }, "In the gallery"),
    make("a", { href: address("/original", "image", found) }, "Image"),
    make("a", { href: address("/result", "image", found) }, "Answer as JSON"),
  ];
}

if (key) on("work", () => showKey());
else {
  on("work", showStage);
  setInterval(() => document.hidden || showStage(null), VIEW_MS);
  document.addEventListener("visibilitychange", () => document.hidden || showStage(null));
}
