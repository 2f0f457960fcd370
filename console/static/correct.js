// Correcting in the gallery by keyboard: 1 to 9 for likely labels, letters to find any other, n for
// none of these, c to confirm, u to undo. What is decided goes through the queue.

import { ask, foreign, make, moment, on, readOnly, visible } from "/static/console.js";
import { add, choices, flush, inTheWay, nameAfter, onSent, waiting } from "/static/correct-queue.js";
import * as gallery from "/static/gallery.js";
import { percent } from "/static/image.js";

const LIKELY = 9;
const MOST_MATCHES = 50;
const MOST_STATES = 10_000;
const ADDRESS_CHARACTERS = 8_000;
const SHOW_MS = 50;
const NONE = "none of these";

const place = document.getElementById("correct");
const states = new Map(); // version -> what holds of it; the oldest first
const rows = new Map(); // version -> row, of what the gallery has shown
const recent = []; // labels, in the order of their first choice, so that numbers stay
const done = []; // actions of this page, for undo: names by version
let storedHere = 0;
let showTimer = 0;

const versionOf = ({ image, etag }) => `${etag} ${image}`;
const labelOf = (row) => states.get(versionOf(row))?.to ?? (row.label || null);

// ---- What holds of images

function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST_STATES) map.delete(map.keys().next().value);
}

function setState(version, state) {
  if (state) keep(states, version, state);
  else states.delete(version);
  gallery.mark(version.slice(version.indexOf(" ") + 1), state ? markOf(state) : null);
}

function markOf({ to, differing, isWaiting }) {
  return `${to ?? NONE}${differing?.length ? " ?" : ""}${isWaiting ? " …" : ""}`;
}

/** Ask for what holds of versions: [{image, etag}]. */
async function askStates(versions) {
  let query = "";
  for (const { image, etag } of [...versions, { image: null }]) {
    const pair = image === null ? "" : `&${new URLSearchParams({ image, etag })}`;
    if (query && (image === null || query.length + pair.length > ADDRESS_CHARACTERS)) {
      const answer = await ask(`/api/corrections/states?${query.slice(1)}`);
      for (const state of answer.states) {
        if (!states.get(versionOf(state))?.isWaiting) setState(versionOf(state), state);
      }
      query = "";
    }
    query += pair;
  }
}

const quietly = (promise) => promise.catch((error) => say(error.message));

// ---- Deciding

const targets = () => {
  const selected = gallery.selection();
  return selected.length ? selected : [gallery.current()].filter(Boolean);
};

function item(row, to, withdraws = null) {
  const state = states.get(versionOf(row));
  const name = nameAfter([state?.name, withdraws]);
  return { name, image: row.image, etag: row.etag, from: row.label || null, to, withdraws };
}

/** Give the selected images a label, null for none of these. */
function decide(to) {
  const isNews = (row) => {
    const state = states.get(versionOf(row));
    return !state || state.to !== to || state.differing.length > 0;
  };
  const items = targets().filter(isNews).map((row) => item(row, to));
  if (to !== null && !recent.includes(to)) {
    recent.push(to);
    if (recent.length > LIKELY) recent.shift();
  }
  submit(items, to === null ? NONE : to);
  gallery.advance();
}

/** Confirm what holds: the correction, or the answer of the model. */
function confirm() {
  const items = [];
  for (const row of targets()) {
    const state = states.get(versionOf(row));
    const to = state ? state.to : row.label || null;
    if (!state && to === null) continue; // a rejection has no label
    if (!state || state.differing.length) items.push(item(row, to));
  }
  submit(items, "confirmed");
  gallery.advance();
}

function submit(items, what) {
  if (!items.length) {
    say("Nothing to store: it is so already.");
    return;
  }
  try {
    add(items);
  } catch (error) {
    say(error.message);
    return;
  }
  done.push(items.map(({ name, image, etag, from }) => ({ name, image, etag, label: from, before: states.get(`${etag} ${image}`) })));
  for (const one of items) {
    setState(versionOf(one), { name: one.name, to: one.to, from: one.from, who: "you", differing: [], isWaiting: true });
  }
  say(items.length === 1 ? `${visible(what)}: 1 image.` : `${visible(what)}: ${items.length} images.`);
}

function undo() {
  const action = done.pop();
  if (!action) {
    say("Nothing to undo on this page: the list of corrections has all of them.");
    return;
  }
  const items = action.map((one) => item(one, null, one.name));
  try {
    add(items);
  } catch (error) {
    done.push(action);
    say(error.message);
    return;
  }
  action.forEach((one, at) => setState(versionOf(one), one.before && { ...one.before, name: items[at].name }));
  say(items.length === 1 ? "Undone: 1 image." : `Undone: ${items.length} images.`);
}

// ---- What is shown

const current = make("div", { class: "correct-current" });
const likely = make("ol", { class: "correct-likely", "aria-label": "Likely labels" });
const input = make("input", {
  id: "correct-label", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", maxlength: "1000",
  "aria-expanded": "false", "aria-controls": "correct-matches", "aria-autocomplete": "list",
});
const matches = make("ul", { id: "correct-matches", role: "listbox", "aria-label": "Labels", hidden: true });
const status = make("p", { class: "quiet", role: "status" });
const queue = make("p", { role: "status" });
const question = make("dialog", { class: "correct-question", "aria-labelledby": "correct-asks" });
const buttons = make("div", { class: "row" });
let shortcuts = [];

function button(key, text, action) {
  const element = make("button", { type: "button" }, make("kbd", {}, key), ` ${text}`);
  element.addEventListener("click", () => {
    action();
    document.getElementById("gallery").focus({ preventScroll: true });
  });
  return element;
}

function say(sentence) {
  status.textContent = sentence;
  const large = document.getElementById("large");
  if (!large?.open) return;
  const note = large.querySelector(".correct-note") ?? make("p", { class: "correct-note", role: "status" });
  note.textContent = sentence;
  large.append(note);
}

function showQueue() {
  const count = waiting().length;
  const parts = [];
  if (storedHere) parts.push(`Stored: ${storedHere.toLocaleString("en")}.`);
  if (count) parts.push(`Waiting to be stored: ${count.toLocaleString("en")}.`);
  if (count && inTheWay()) parts.push(`${inTheWay()} They are kept in this browser.`);
  queue.className = count && inTheWay() ? "bad" : "good";
  if (queue.textContent !== parts.join(" ")) queue.textContent = parts.join(" ");
}

/** The labels with a number: those of the answer, then what was chosen here, then the model's. */
function likelyLabels(row) {
  const labels = new Map((row?.labels ?? []).map(([label, score]) => [label, score]));
  for (const label of [...recent, ...choices.labels.slice(0, LIKELY)]) {
    if (labels.size < LIKELY && !labels.has(label)) labels.set(label, null);
  }
  return [...labels].slice(0, LIKELY);
}

function show() {
  if (readOnly) return;
  const all = targets();
  place.hidden = all.length === 0;
  if (!all.length) return;
  const row = gallery.current() ?? all[0];
  const state = states.get(versionOf(row));
  current.replaceChildren(...(all.length > 1
    ? [make("p", {}, `${all.length.toLocaleString("en")} images are selected.`)]
    : [make("p", {}, answered(row)), ...(state ? [said(state)] : [])]));
  const labels = likelyLabels(row);
  if (labels.map(String).join("\n") !== shortcuts.map(String).join("\n") || !likely.children.length) {
    shortcuts = labels;
    likely.replaceChildren(...labels.map(([label, score], at) => {
      const element = button(String(at + 1), "", () => decide(label));
      element.append(foreign(label), make("span", { class: "quiet" }, ` ${percent(score)}`));
      return make("li", {}, element);
    }));
  }
  const chosen = all.length === 1 ? labelOf(row) : undefined;
  [...likely.querySelectorAll("button")].forEach((element, at) =>
    element.setAttribute("aria-pressed", shortcuts[at][0] === chosen));
}

function answered(row) {
  const answer = make("span", {}, row.status === "rejected" ? "Rejected: " : "Answer: ");
  answer.append(foreign(row.status === "rejected" ? row.code : row.label), ` ${percent(row.score)}`);
  return answer;
}

/** Who said what, and who differs. */
function said({ to, who, at, differing, isWaiting }) {
  const named = (label) => (label === null ? NONE : foreign(label));
  const words = make("div", { class: differing.length ? "bad" : "good" }, "Corrected: ", named(to));
  if (isWaiting) words.append(", not stored yet");
  else words.append(", ", foreign(who), ", ", moment(at));
  for (const other of differing) {
    words.append(make("p", {}, foreign(other.who), " says ", named(other.to), ", ", moment(other.at)));
  }
  if (differing.length) words.append(make("p", {}, "Press c to confirm the newer one, or choose another."));
  return words;
}

// ---- Any label, by typing

const fold = (text) => text.normalize("NFKC").toLowerCase();
const labels = [...choices.labels, ...choices.others].map((label) => [fold(label), label]);
let active = -1;

/** The labels that hold the text: first those that begin with it, then those with such a word. */
function matching(text) {
  const part = fold(text.trim());
  const rank = ([folded]) => (folded.startsWith(part) ? 0 : folded.includes(` ${part}`) ? 1 : 2);
  const fitting = labels.filter(([folded]) => folded.includes(part));
  return fitting.sort((one, other) => rank(one) - rank(other)).slice(0, MOST_MATCHES).map(([, label]) => label);
}

function showMatches() {
  active = -1;
  const text = input.value.trim();
  const fitting = text ? matching(text) : [];
  const options = fitting.map((label) => [foreign(label), () => choose(label)]);
  if (text && !fitting.some((label) => fold(label) === fold(text))) {
    options.push([make("span", {}, "Another label: “", foreign(text), "” …"), () => quietly(check(text))]);
  }
  matches.replaceChildren(...options.map(([shown, take], at) => {
    const option = make("li", { role: "option", id: `correct-match-${at}`, "aria-selected": "false" }, shown);
    option.addEventListener("mousedown", (event) => {
      event.preventDefault();
      take();
    });
    option.take = take;
    return option;
  }));
  matches.hidden = options.length === 0;
  input.setAttribute("aria-expanded", !matches.hidden);
  if (options.length) activate(0);
  else input.removeAttribute("aria-activedescendant");
}

function activate(at) {
  const options = matches.children;
  if (!options.length) return;
  options[active]?.setAttribute("aria-selected", "false");
  active = (at + options.length) % options.length;
  options[active].setAttribute("aria-selected", "true");
  options[active].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", options[active].id);
}

function leave() {
  input.value = "";
  showMatches();
  document.getElementById("gallery").focus({ preventScroll: true });
}

function choose(label) {
  leave();
  decide(label);
}

/** A text that no label holds may be spelled otherwise, mistyped, or a new class. */
async function check(text) {
  const answer = await ask(`/api/corrections/check?${new URLSearchParams({ label: text })}`);
  if (answer.labels.length === 1) choose(answer.labels[0]);
  else if (answer.labels.length) askFor(text, answer.labels, "may be one of several classes:", false);
  else askFor(text, answer.near === null ? [] : [answer.near], answer.error ?? sentenceOf(answer.near), !answer.error);
}

const sentenceOf = (near) => `is no class${choices.model ? ` of ${choices.model}` : ""}.${near === null ? "" : " Did you mean:"}`;

/** Ask what is meant: one of `offered`, a new class, or neither. */
function askFor(text, offered, sentence, mayBeNew) {
  const close = () => {
    question.close();
    question.remove();
    input.focus();
  };
  const answers = offered.map((label) => {
    const element = make("button", { type: "button", class: "first" }, foreign(label));
    element.addEventListener("click", () => {
      close();
      choose(label);
    });
    return element;
  });
  if (mayBeNew) {
    const element = make("button", { type: "button" }, "It is a new class");
    element.addEventListener("click", () => {
      close();
      labels.push([fold(text), text]);
      choose(text);
    });
    answers.push(element);
  }
  const back = make("button", { type: "button" }, "Back");
  back.addEventListener("click", close);
  const begins = sentence.startsWith("'");
  question.replaceChildren(
    make("p", { id: "correct-asks" }, ...(begins ? [visible(sentence)] : ["“", foreign(text), "” ", sentence])),
    make("div", { class: "row" }, ...answers, back));
  question.oncancel = close;
  document.body.append(question);
  question.showModal();
}

input.addEventListener("input", showMatches);
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") activate(active + 1);
  else if (event.key === "ArrowUp") activate(active - 1);
  else if (event.key === "Escape") leave();
  else if (event.key === "Enter" && !event.isComposing) matches.children[active]?.take();
  else return;
  event.preventDefault();
  event.stopPropagation();
});

// ---- Keys

const commands = { n: () => decide(null), c: confirm, u: undo };

function pressed(event) {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]") || question.open || place.hidden) return;
  if (document.getElementById("large")?.open && !/^[1-9ncu]$/.test(event.key)) return;
  if (/^[1-9]$/.test(event.key)) {
    if (shortcuts[event.key - 1]) decide(shortcuts[event.key - 1][0]);
  } else if (event.key in commands) commands[event.key]();
  else if (event.key === "/") input.focus();
  else if (/^\p{L}$/u.test(event.key)) {
    input.value = event.key;
    input.focus();
    showMatches();
  } else return;
  event.preventDefault();
}

function start() {
  gallery.onRows((loaded) => {
    for (const row of loaded) keep(rows, versionOf(row), row);
    quietly(askStates(loaded).then(show));
  });
  on("corrections", (event) => {
    if (event === null) return;
    const changed = event.changed ?? [...rows.values()].slice(-1000);
    quietly(refresh(changed.filter((one) => rows.has(versionOf(one)))));
  });
  if (readOnly) return;
  buttons.append(button("n", "None of these", () => decide(null)), button("c", "Confirm", confirm), button("u", "Undo", undo));
  place.replaceChildren(
    current, likely, make("label", { for: input.id }, "Any label: type its letters, after / for c, n and u"),
    make("div", { class: "correct-field" }, input, matches),
    ...(choices.trouble ? [make("p", { class: "bad" }, visible(choices.trouble))] : []),
    buttons, status, queue, make("p", {}, make("a", { href: "/corrections" }, "All corrections")));
  addEventListener("keydown", pressed);
  gallery.onChange(show);
  onSent(({ item: one, stored, refused }) => {
    if (one) sent(one, stored, refused);
    showSoon();
  });
  show();
  showQueue();
  flush();
}

function sent(one, stored, refused) {
  if (refused) say(visible(refused));
  else storedHere += 1;
  const state = states.get(versionOf(one));
  if (!state?.isWaiting || state.name === one.name) setState(versionOf(one), refused ? null : stored);
}

/** A request stores a hundred at once. */
function showSoon() {
  showTimer ||= setTimeout(() => {
    showTimer = 0;
    show();
    showQueue();
  }, SHOW_MS);
}

/** Others may have corrected, or taken back. */
async function refresh(versions) {
  for (const one of versions) if (!states.get(versionOf(one))?.isWaiting) states.delete(versionOf(one));
  await askStates(versions);
  for (const one of versions) if (!states.has(versionOf(one))) gallery.mark(one.image, null);
  show();
}

if (place) start();
