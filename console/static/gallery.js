// The gallery: a grid that holds the elements of what is in view, whatever the number of answers.
//
// Every filter, the order and the image that is open are in the URL. Others work with the gallery by
// what it exports: the selection, the current answer, and marks of corrections.

import { ask, commands, make, on, send, showTrouble, visible } from "/static/console.js";
import { nameOf, percent, show } from "/static/image.js";

const PAGE_ROWS = 200;
const PAGES_KEPT = 30;
const MOST_SELECTED = 2000;
const TILE_PIXELS = 160;
const GAP_PIXELS = 6;
const CAPTION_PIXELS = 58;
const NEIGHBOURS_PIXELS = 63; // three lines about neighbours
const HIGHEST_PIXELS = 15_000_000; // browsers end somewhat above
const PICTURES_AT_ONCE = 3; // a browser opens six connections, and one is for events
const PICTURES_KEPT = 1500;
const NAME_LETTERS = 120;
const REST_MS = 90;
const SELECT_TRIES = 100;
const RETRY_MS = 6000;
const RELOAD_MS = 2000;
const UNLIKE_MS = 3000; // the console fetches features while this page asks how far they are
const UNSURE = "0.5";
const NAMES = ["name", "label", "status", "decision", "unsure", "low", "high", "folder", "model", "since", "until", "sort", "seed"];

const $ = (id) => document.getElementById(id);
const grid = $("gallery");
const spacer = $("spacer");
const form = $("filters");
const dialog = $("large");

let query = new URLSearchParams(); // filters and order, without empty ones
let total = null; // null until the first page has come
let version = -1;
let known = null; // the last state that the console has published
let unlike = null; // of the order by neighbours: how many are compared, and the sentence about it
let generation = 0; // of the query: answers to an earlier one are dropped
let pages = new Map(); // page number -> rows, the most recently used last
let loading = new Map(); // page number -> AbortController
let columns = 1;
let tileWidth = TILE_PIXELS;
let rowHeight = TILE_PIXELS + CAPTION_PIXELS;
let cursor = -1;
let anchor = -1;
const chosen = new Map(); // image -> answer
const marks = new Map(); // image -> corrected label
const tiles = new Map(); // index -> tile
const spare = [];
const changeListeners = new Set();
const rowListeners = new Set();

// ---- What other modules use

/** The selected answers, in the order of their selection: {image, etag, status, label, …}. */
export const selection = () => [...chosen.values()];

/** The answer under the cursor; null if there is none, or it has not been loaded yet. */
export const current = () => rowAt(cursor) ?? null;

/** Call `listener` whenever the selection or the current answer changes. */
export function onChange(listener) {
  changeListeners.add(listener);
  return () => changeListeners.delete(listener);
}

/** Call `listener` with the answers of each page that is loaded, to mark them. */
export function onRows(listener) {
  rowListeners.add(listener);
  for (const rows of pages.values()) listener(rows);
  return () => rowListeners.delete(listener);
}

/** End the selection, and move on to the answer after it; an image that is shown large goes along. */
export function advance() {
  let last = cursor;
  if (chosen.size) {
    for (const [number, rows] of pages) {
      rows.forEach((row, at) => {
        if (chosen.has(row.image)) last = Math.max(last, number * PAGE_ROWS + at);
      });
    }
    chosen.clear();
  }
  if (dialog.open) step(last + 1 - cursor);
  else moveTo(last + 1);
}

/** Show a corrected label on an image; null removes it. */
export function mark(image, label) {
  if (label === null || label === undefined) marks.delete(image);
  else marks.set(image, label);
  for (const tile of tiles.values()) if (tile.row?.image === image) fillTile(tile, tile.row, true);
}

/** The filters and the order, as the parameters of a URL. */
export const filters = () => new URLSearchParams(query);

/** Show the answers of other filters, as if the person had chosen them. */
export function setFilters(parameters) {
  apply(new URLSearchParams(parameters), true);
}

// ---- The URL and the form

function readUrl() {
  const all = new URLSearchParams(location.search);
  return new URLSearchParams(NAMES.filter((name) => all.get(name)).map((name) => [name, all.get(name)]));
}

function writeUrl(push, image = null) {
  const all = new URLSearchParams(query);
  if (image !== null) all.set("image", image);
  const text = all.toString();
  const url = `${location.pathname}${text ? `?${text}` : ""}`;
  if (url === location.pathname + location.search) return;
  if (push) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}

/** The form as filters; `kind` is `status` or `unsure`. */
function readForm() {
  const values = new FormData(form);
  const all = new URLSearchParams();
  for (const name of NAMES) if (values.get(name)) all.set(name, values.get(name));
  const kind = values.get("kind");
  if (kind === "unsure") all.set("unsure", values.get("unsure") || UNSURE);
  else {
    all.delete("unsure");
    if (kind) all.set("status", kind);
  }
  if (all.get("sort") === "sample") all.set("seed", query.get("seed") ?? "1");
  return all;
}

function fillForm() {
  for (const element of form.elements) {
    if (!element.name || element.name === "kind") continue;
    const value = query.get(element.name) ?? "";
    if (element.tagName === "SELECT") offer(element, value);
    element.value = value;
  }
  $("f-kind").value = query.get("unsure") ? "unsure" : query.get("status") ?? "";
  $("shuffle").hidden = query.get("sort") !== "sample";
  const filtering = [...query.keys()].some((name) => name !== "sort" && name !== "seed");
  $("clear").hidden = !filtering;
  if (["decision", "low", "high", "folder", "model", "since", "until"].some((name) => query.has(name))) $("more").open = true;
}

/** A value of the URL may be none of those that are offered. */
function offer(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.append(make("option", { value }, visible(shortName(select.name, value))));
  }
}

const shortName = (name, value) => (name === "model" ? value.split(":sha256:")[0] : value);

function apply(next, push) {
  query = next;
  writeUrl(push);
  fillForm();
  reset();
}

function reset() {
  generation += 1;
  for (const controller of loading.values()) controller.abort();
  loading = new Map();
  pages = new Map();
  total = null;
  unlike = null;
  chosen.clear();
  cursor = anchor = -1;
  grid.scrollTop = 0;
  grid.setAttribute("aria-busy", "true");
  $("fresh").hidden = true;
  release(0, -1);
  grid.classList.toggle("unlike", isUnlike());
  load(0);
  if (isUnlike()) askUnlike();
  changed();
}

async function loadOptions() {
  const answer = await ask("/api/answers/options");
  for (const [name, options] of [["label", answer.labels], ["folder", answer.folders], ["model", answer.models], ["decision", answer.decisions]]) {
    const select = $(`f-${name}`);
    select.replaceChildren(select.options[0], ...options.map(({ value, count }) =>
      make("option", { value }, `${visible(shortName(name, value)).slice(0, 80)} (${count.toLocaleString("en")})`)));
    offer(select, query.get(name) ?? "");
    select.value = query.get(name) ?? "";
  }
  $("f-decision").parentElement.hidden = !answer.decisions.length && !query.get("decision"); // no model promises anything
  hearState(answer.state);
}

// ---- Answers

function rowAt(index) {
  return index < 0 ? undefined : pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
}

/** Load a page of answers; one that is being loaded is not loaded again. */
async function load(number) {
  if (pages.has(number) || loading.has(number)) return;
  const controller = new AbortController();
  const mine = generation;
  loading.set(number, controller);
  const parameters = new URLSearchParams(query);
  parameters.set("offset", number * PAGE_ROWS);
  parameters.set("limit", PAGE_ROWS);
  try {
    const answer = await ask(`/api/answers?${parameters}`, { signal: controller.signal });
    if (mine !== generation) return;
    showTrouble("");
    take(number, answer);
  } catch (error) {
    if (error.name === "AbortError" || mine !== generation) return;
    grid.removeAttribute("aria-busy");
    showTrouble(error.message);
  } finally {
    if (loading.get(number) === controller) loading.delete(number);
  }
}

function take(number, answer) {
  grid.removeAttribute("aria-busy");
  pages.set(number, answer.rows);
  for (const old of [...pages.keys()].slice(0, Math.max(0, pages.size - PAGES_KEPT))) pages.delete(old);
  if (total !== answer.total) {
    total = answer.total;
    layout();
  }
  version = answer.version;
  for (const listener of rowListeners) listener(answer.rows);
  say();
  if (cursor < 0 && total > 0) cursor = 0;
  render();
  askForPictures();
  changed();
}

/** The same filters again: the present answers stay in view until the new ones have come. */
async function reload() {
  const mine = ++generation;
  for (const controller of loading.values()) controller.abort();
  loading = new Map();
  const { first } = range();
  const number = Math.floor(first / PAGE_ROWS);
  const parameters = new URLSearchParams(query);
  parameters.set("offset", number * PAGE_ROWS);
  parameters.set("limit", PAGE_ROWS);
  try {
    const answer = await ask(`/api/answers?${parameters}`);
    if (mine !== generation) return;
    pages = new Map();
    $("fresh").hidden = true;
    take(number, answer);
  } catch (error) {
    if (mine === generation) showTrouble(error.message);
  }
}

function say() {
  const numbers = (total ?? 0).toLocaleString("en");
  const parts = [total === 1 ? "1 answer" : `${numbers} answers`];
  const reachable = Math.floor(HIGHEST_PIXELS / rowHeight) * columns;
  if (isUnlike() && unlike && total) parts.push(unlike.sentence);
  if (total > reachable) parts.push(`the first ${reachable.toLocaleString("en")} can be scrolled to: filter for others`);
  if (chosen.size) parts.push(`${chosen.size.toLocaleString("en")} selected`);
  if (known && !known.is_listed) parts.push("reading the outbox …");
  else if (known?.pending) parts.push(`${known.pending.toLocaleString("en")} more to read`);
  if ($("count").textContent !== parts.join(" · ")) $("count").textContent = parts.join(" · ");
  const empty = $("empty");
  empty.hidden = total !== 0;
  const row = $("gallery-row");
  const appears = row.hidden && total !== 0;
  row.hidden = total === 0;
  if (appears && document.activeElement === document.body) grid.focus({ preventScroll: true });
  $("keys").hidden = total === 0;
  if (total === 0) empty.replaceChildren(...emptyState());
}

function emptyState() {
  if (isUnlike()) return [make("p", {}, ...commands(unlike?.sentence ?? "Comparing …"))];
  if (query.size && known?.answers) {
    return [make("p", {}, "No answer is like that. Clear the filters to see all of them.")];
  }
  if (known && !known.is_listed) return [make("p", {}, "Reading the outbox …")];
  return [make("p", {}, "There are no answers yet."),
    make("p", {}, make("a", { href: "/drop" }, "Drop images"), " to have them answered.")];
}

// ---- Layout and tiles

function layout() {
  const width = grid.clientWidth - GAP_PIXELS;
  columns = Math.max(2, Math.floor(width / (TILE_PIXELS + GAP_PIXELS)));
  tileWidth = Math.floor(width / columns) - GAP_PIXELS;
  rowHeight = Math.round(tileWidth * 0.85) + CAPTION_PIXELS + (isUnlike() ? NEIGHBOURS_PIXELS : 0) + GAP_PIXELS;
  const rows = Math.ceil((total ?? 0) / columns);
  spacer.style.height = `${Math.min(rows * rowHeight + GAP_PIXELS, HIGHEST_PIXELS)}px`;
  for (const tile of tiles.values()) place(tile);
}

/** The indexes in view, and a row above and below. */
function range() {
  const top = Math.floor(grid.scrollTop / rowHeight) - 1;
  const bottom = Math.ceil((grid.scrollTop + grid.clientHeight) / rowHeight) + 1;
  return { first: Math.max(0, top * columns), last: Math.min((total ?? 0) - 1, bottom * columns - 1) };
}

let scheduled = false;
let restTimer = 0;

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    render();
  });
}

function render() {
  const { first, last } = range();
  release(first, last);
  for (let index = first; index <= last; index += 1) {
    const tile = tiles.get(index) ?? take_tile(index);
    const row = rowAt(index);
    if (tile.row !== row || !tile.filled) fillTile(tile, row);
    const isCurrent = index === cursor;
    if (tile.current !== isCurrent) {
      tile.current = isCurrent;
      tile.element.classList.toggle("current", isCurrent);
    }
    const isChosen = row !== undefined && chosen.has(row.image);
    if (tile.chosen !== isChosen) {
      tile.chosen = isChosen;
      tile.element.setAttribute("aria-selected", isChosen);
    }
  }
  if (cursor >= first && cursor <= last) grid.setAttribute("aria-activedescendant", `answer-${cursor}`);
  else grid.removeAttribute("aria-activedescendant");
  clearTimeout(restTimer);
  restTimer = setTimeout(rest, REST_MS);
}

/** What has to be asked for waits until the scrolling rests. */
function rest() {
  if (total === null) return;
  const { first, last } = range();
  if (last < first) return;
  const from = Math.floor(first / PAGE_ROWS);
  const to = Math.floor(last / PAGE_ROWS);
  for (const [number, controller] of loading) {
    if (number < from - 1 || number > to + 1) controller.abort();
  }
  for (let number = from; number <= to; number += 1) {
    const rows = pages.get(number);
    if (rows) { // now the most recently used
      pages.delete(number);
      pages.set(number, rows);
    }
    load(number);
  }
  if ((to + 1) * PAGE_ROWS < total) load(to + 1);
  askForPictures();
}

function take_tile(index) {
  const tile = spare.pop() ?? newTile();
  tile.index = index;
  tile.filled = false;
  tile.element.id = `answer-${index}`;
  tile.element.setAttribute("aria-posinset", index + 1);
  tile.element.setAttribute("aria-setsize", total);
  tile.element.hidden = false;
  tiles.set(index, tile);
  place(tile);
  return tile;
}

function newTile() {
  const img = make("img", { alt: "", hidden: true, draggable: "false" });
  img.decoding = "async";
  const format = make("span", { "aria-hidden": "true" });
  const label = make("bdi");
  const score = make("span");
  const name = make("bdi");
  const neighbours = make("div", { class: "neighbours" });
  const element = make("div", { class: "answer", role: "option", "aria-selected": "false" },
    make("div", { class: "picture" }, format, img), make("div", { class: "caption" }, label, score),
    make("div", { class: "name" }, name), neighbours);
  grid.append(element);
  const tile = { element, img, format, label, score, name, neighbours, row: undefined, filled: false, current: false, chosen: false, picture: "" };
  element.addEventListener("click", (event) => clicked(tile, event));
  element.addEventListener("dblclick", () => openAt(tile.index));
  return tile;
}

function place(tile) {
  const x = GAP_PIXELS + (tile.index % columns) * (tileWidth + GAP_PIXELS);
  const y = GAP_PIXELS + Math.floor(tile.index / columns) * rowHeight;
  const { style } = tile.element;
  style.width = `${tileWidth}px`;
  style.height = `${rowHeight - GAP_PIXELS}px`;
  style.transform = `translate(${x}px, ${y}px)`;
}

/** Take tiles that are out of view. */
function release(first, last) {
  for (const [index, tile] of tiles) {
    if (index >= first && index <= last) continue;
    tiles.delete(index);
    tile.element.hidden = true;
    tile.element.removeAttribute("id");
    spare.push(tile);
  }
}

function fillTile(tile, row, keepPicture = false) {
  tile.filled = true;
  tile.row = row;
  const { element } = tile;
  const corrected = row && marks.get(row.image);
  element.classList.toggle("rejected", row?.status === "rejected");
  element.classList.toggle("corrected", corrected !== undefined);
  const label = row ? corrected ?? (row.status === "rejected" ? row.code : row.label) : "";
  tile.label.textContent = visible(label).slice(0, NAME_LETTERS);
  tile.score.textContent = row && corrected === undefined ? percent(row.score) : "";
  tile.name.textContent = row ? visible(nameOf(row.image)).slice(0, NAME_LETTERS) : "";
  tile.format.textContent = row ? row.format || row.image.split(".").pop().slice(0, 5) : "";
  tile.neighbours.textContent = visible(row?.neighbours ?? "").slice(0, NAME_LETTERS);
  if (row) element.setAttribute("title", visible([row.image, row.neighbours].filter(Boolean).join(": ")).slice(0, 400));
  if (!keepPicture) showPicture(tile);
}

// ---- Pictures: a few at a time, for what is in view when the scrolling rests

const blobs = new Map(); // address -> Blob, or null where there is none; the oldest first
const later = new Map(); // address -> when to try again
const underway = new Map(); // address -> AbortController

const addressOf = (row) => `/api/thumbnail?${new URLSearchParams({ image: row.image, etag: row.etag })}`;

function showPicture(tile) {
  const address = tile.row ? addressOf(tile.row) : "";
  if (tile.picture === address && address) return;
  tile.picture = address;
  if (tile.url) URL.revokeObjectURL(tile.url);
  tile.url = "";
  const blob = address && blobs.get(address);
  tile.img.hidden = !blob;
  tile.format.hidden = Boolean(blob);
  if (blob) {
    tile.url = URL.createObjectURL(blob);
    tile.img.src = tile.url;
  } else tile.img.removeAttribute("src");
}

function askForPictures() {
  const now = Date.now();
  const needed = new Set();
  for (const [index, tile] of [...tiles].sort(([one], [other]) => one - other)) {
    if (tile.row && !blobs.has(tile.picture) && (later.get(tile.picture) ?? 0) <= now) needed.add(tile.picture);
  }
  for (const [address, controller] of underway) if (!needed.has(address)) controller.abort();
  for (const address of needed) {
    if (underway.size >= PICTURES_AT_ONCE) return;
    if (!underway.has(address)) fetchPicture(address);
  }
}

async function fetchPicture(address) {
  const controller = new AbortController();
  underway.set(address, controller);
  try {
    const reply = await fetch(address, { signal: controller.signal });
    if (reply.ok) keepPicture(address, await reply.blob());
    else if (reply.status === 404) keepPicture(address, null);
    else retryLater(address);
  } catch (error) {
    if (error.name !== "AbortError") retryLater(address);
  } finally {
    underway.delete(address);
    askForPictures();
  }
}

function keepPicture(address, blob) {
  blobs.set(address, blob);
  if (blobs.size > PICTURES_KEPT) blobs.delete(blobs.keys().next().value);
  for (const tile of tiles.values()) {
    if (tile.picture === address) {
      tile.picture = "";
      showPicture(tile);
    }
  }
}

function retryLater(address) {
  later.set(address, Date.now() + RETRY_MS);
  if (later.size > PICTURES_KEPT) later.delete(later.keys().next().value);
  setTimeout(askForPictures, RETRY_MS + 100);
}

// ---- Cursor, selection, and one image large

function changed() {
  for (const listener of changeListeners) listener();
}

function moveTo(index, extend = false) {
  if (!total) return;
  const from = anchor < 0 ? Math.max(cursor, 0) : anchor;
  cursor = Math.max(0, Math.min(index, total - 1));
  if (extend) {
    anchor = from;
    select(anchor, cursor);
  } else anchor = -1;
  const top = Math.floor(cursor / columns) * rowHeight;
  if (top < grid.scrollTop) grid.scrollTop = top;
  else if (top + rowHeight + GAP_PIXELS > grid.scrollTop + grid.clientHeight) {
    grid.scrollTop = top + rowHeight + GAP_PIXELS - grid.clientHeight;
  }
  render();
  rest();
  say();
  changed();
}

/** Select from one index to another; what lies between may have to be loaded first. */
async function select(from, to) {
  const [first, last] = from < to ? [from, to] : [to, from];
  const mine = generation;
  const end = Math.min(last, first + MOST_SELECTED - 1);
  const numbers = [];
  for (let number = Math.floor(first / PAGE_ROWS); number <= Math.floor(end / PAGE_ROWS); number += 1) numbers.push(number);
  await Promise.all(numbers.map(load));
  // A page may be under way already, or be given up because it is out of view.
  for (let tries = 0; tries < SELECT_TRIES && numbers.some((number) => !pages.has(number)); tries += 1) {
    if (mine !== generation || anchor !== from) return;
    await new Promise((done) => setTimeout(done, REST_MS));
    await Promise.all(numbers.map(load));
  }
  if (mine !== generation || anchor !== from) return;
  chosen.clear();
  for (let index = first; index <= end; index += 1) {
    const row = rowAt(index);
    if (row) chosen.set(row.image, row);
  }
  render();
  say();
  changed();
}

function toggle(index) {
  const row = rowAt(index);
  if (!row) return;
  if (chosen.has(row.image)) chosen.delete(row.image);
  else if (chosen.size < MOST_SELECTED) chosen.set(row.image, row);
  anchor = index;
  render();
  say();
  changed();
}

function clearSelection() {
  chosen.clear();
  anchor = -1;
  render();
  say();
  changed();
}

function clicked(tile, event) {
  grid.focus({ preventScroll: true });
  if (event.shiftKey) moveTo(tile.index, true);
  else if (event.ctrlKey || event.metaKey) {
    cursor = tile.index;
    toggle(tile.index);
  } else if (cursor === tile.index && event.detail === 1 && matchMedia("(pointer: coarse)").matches) openAt(tile.index);
  else {
    chosen.clear();
    moveTo(tile.index);
  }
}

const steps = {
  ArrowLeft: () => cursor - 1,
  ArrowRight: () => cursor + 1,
  ArrowUp: () => (cursor >= columns ? cursor - columns : cursor),
  ArrowDown: () => (cursor + columns < total ? cursor + columns : cursor),
  PageUp: () => cursor - columns * Math.max(1, Math.floor(grid.clientHeight / rowHeight)),
  PageDown: () => cursor + columns * Math.max(1, Math.floor(grid.clientHeight / rowHeight)),
  Home: () => 0,
  End: () => total - 1,
};

function pressed(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !total) return;
  if (event.key in steps) moveTo(steps[event.key](), event.shiftKey);
  else if (event.key === "Enter") openAt(cursor);
  else if (event.key === " ") toggle(cursor);
  else if (event.key === "Escape") clearSelection();
  else return;
  event.preventDefault();
}

let showing = null;

function openAt(index) {
  const row = rowAt(index);
  if (!row) return;
  cursor = index;
  open(row.image, true);
}

async function open(image, push) {
  showing?.abort();
  showing = new AbortController();
  const { signal } = showing;
  if (!dialog.open) {
    dialog.showModal();
    $("close").focus();
  }
  writeUrl(push, image);
  const content = $("large-content");
  try {
    await show(content, image, query, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    content.replaceChildren(make("p", { class: "bad", role: "alert" }, error.message));
  }
  $("before").disabled = cursor <= 0;
  $("next").disabled = cursor < 0 || cursor + 1 >= (total ?? 0);
}

$("before").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => dialog.close());

async function step(by) {
  const to = cursor + by;
  if (to < 0 || to >= (total ?? 0)) return;
  moveTo(to);
  await load(Math.floor(to / PAGE_ROWS));
  const row = rowAt(to);
  if (row && dialog.open) open(row.image, false);
}

dialog.addEventListener("close", () => {
  showing?.abort();
  writeUrl(false);
  grid.focus({ preventScroll: true });
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
  else return;
  event.preventDefault();
});

// ---- The order by neighbours

const isUnlike = () => query.get("sort") === "unlike";
let unlikeTimer = 0;

/** Hear how far the features are fetched; the order is made anew when the page asks for it again. */
async function askUnlike() {
  clearTimeout(unlikeTimer);
  const mine = generation;
  try {
    const answer = await ask(`/api/answers/unlike?${query}`);
    if (mine !== generation) return;
    unlike = answer;
    say();
    if (total === null || answer.compared <= total) return;
    if (total === 0 || (answer.missing === 0 && isResting())) reload();
    else $("fresh").hidden = false;
  } catch (error) {
    showTrouble(error.message);
  } finally {
    clearTimeout(unlikeTimer);
    if (isUnlike()) unlikeTimer = setTimeout(askUnlike, UNLIKE_MS);
  }
}

// ---- Live

let lastReload = 0;
let reloadTimer = 0;

const isResting = () => grid.scrollTop === 0 && cursor <= 0 && !chosen.size && !dialog.open;

function hearState(state) {
  known = state;
  say();
  if (total === null || state.version === version) return;
  if (!isResting()) {
    $("fresh").hidden = false;
    return;
  }
  clearTimeout(reloadTimer);
  reloadTimer = setTimeout(() => {
    lastReload = Date.now();
    reload();
  }, Math.max(0, lastReload + RELOAD_MS - Date.now()));
}

const trouble = (error) => showTrouble(error.message);

form.addEventListener("submit", (event) => event.preventDefault());
let typing = 0;
form.addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    if (form.checkValidity()) apply(readForm(), event.target.tagName === "SELECT");
  }, event.target.tagName === "SELECT" ? 0 : 250);
});
$("shuffle").addEventListener("click", () => {
  const next = new URLSearchParams(query);
  next.set("seed", 1 + Math.floor(Math.random() * 1_000_000));
  apply(next, true);
});
$("clear").addEventListener("click", () => {
  apply(new URLSearchParams([...query].filter(([name]) => name === "sort" || name === "seed")), true);
});
$("fresh").addEventListener("click", () => {
  clearSelection();
  reset();
});
$("refresh").addEventListener("click", () => {
  send("/api/answers/refresh").catch(trouble);
  loadOptions().catch(trouble);
});
grid.addEventListener("scroll", schedule, { passive: true });
grid.addEventListener("keydown", pressed);
new ResizeObserver(() => {
  const index = range().first;
  layout();
  if (grid.scrollTop > 0) grid.scrollTop = Math.floor(index / columns) * rowHeight;
  render();
}).observe(grid);
addEventListener("popstate", () => {
  const next = readUrl();
  const image = new URLSearchParams(location.search).get("image");
  if (next.toString() !== query.toString()) {
    query = next;
    fillForm();
    reset();
  }
  if (image) open(image, false);
  else if (dialog.open) dialog.close();
});
on("answers", (state) => (state ? hearState(state) : loadOptions().catch(trouble)));

query = readUrl();
fillForm();
reset();
const opened = new URLSearchParams(location.search).get("image");
if (opened) open(opened, false);
// The page takes no focus before its scripts are there.
document.addEventListener("DOMContentLoaded", () => grid.focus({ preventScroll: true }));
