import { ask, make, renew } from "/static/console.js";
import { confirmAndStart, valuesOf, whenEnded } from "/static/actions.js";

const form = document.getElementById("train");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { with_corrections: corrections, tune, ...values } = valuesOf(form);
  const text = corrections
    ? ["The corrections are downloaded and joined to the data, and a model is trained on both. Nothing that answers now changes: promote the job afterwards."]
    : ["Nothing that answers now changes: promote the job afterwards."];
  const verb = corrections ? "train-corrections" : tune ? "tune" : "train";
  confirmAndStart(verb, corrections && tune ? { ...values, tune } : values, { text, label: "Train" });
});

const jobs = document.getElementById("jobs");
if (jobs) {
  whenEnded(() => renew("jobs"));
  setInterval(() => document.hidden || renew("jobs"), 3000);
}

// ---- the curves of one job

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [480, 220, 48, 26, 12, 12];
const SPLITS = ["train", "validation"];

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function chart(title, metric, epochs) {
  const series = SPLITS.map((split) => [split, epochs
    .filter((row) => Number.isFinite(row[`${split}_${metric}`]))
    .map((row) => [row.epoch, row[`${split}_${metric}`]])]).filter(([, points]) => points.length);
  const all = series.flatMap(([, points]) => points);
  const xs = all.map(([x]) => x);
  const ys = all.map(([, y]) => y);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const x = (value) => LEFT + (x1 > x0 ? (value - x0) / (x1 - x0) : 0.5) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (y1 > y0 ? (value - y0) / (y1 - y0) : 0.5) * (HEIGHT - TOP - BOTTOM);
  const last = series.map(([split, points]) => `${split} ${points.at(-1)[1].toFixed(4)}`).join(", ");
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img", "aria-label": `${title}: ${last}` });
  svg.append(
    shape("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM }),
    shape("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    shape("text", { x: LEFT - 6, y: TOP + 6, "text-anchor": "end" }, y1.toPrecision(3)),
    shape("text", { x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end" }, y0.toPrecision(3)),
    shape("text", { x: LEFT, y: HEIGHT - 8 }, `epoch ${x0}`),
    shape("text", { x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, `${x1}`),
  );
  for (const [split, points] of series) {
    svg.append(shape("polyline", { class: split, points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
    const [a, b] = points.at(-1);
    svg.append(shape("circle", { class: split, cx: x(a), cy: y(b), r: 3 }));
  }
  const legend = series.map(([split, points]) =>
    make("span", { class: split }, `${split} ${points.at(-1)[1].toFixed(4)}`));
  return make("figure", {}, make("figcaption", {}, `${title} `, make("span", { class: "legend" }, ...legend)), svg);
}

const curves = document.getElementById("curves");

async function draw() {
  let read;
  try {
    read = await ask(`/api/jobs/${curves.dataset.job}/curves`);
  } catch (error) {
    document.getElementById("job-doing").textContent = ` · ${error.message}`;
    setTimeout(draw, 5000);
    return;
  }
  const epochs = read.epochs.length;
  const doing = read.live ? ` · ${read.doing}${read.of ? `, epoch ${epochs} of ${read.of}` : ""}` : "";
  document.getElementById("job-state").textContent = read.live ? read.secondary || read.status : read.status;
  document.getElementById("job-doing").textContent = read.problem ? ` · ${read.problem}` : doing;
  if (epochs) curves.replaceChildren(chart("Loss", "loss", read.epochs), chart("Accuracy", "accuracy", read.epochs));
  if (read.live) setTimeout(draw, 2000);
  else if (curves.dataset.live === "yes") location.reload(); // its report and result are there now
  else if (!epochs) curves.firstElementChild.textContent = "Its log has no epochs.";
}

if (curves) draw();
