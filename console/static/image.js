// One image with everything that is known of it: for the overlay of the gallery, and as a page.

import { ask, foreign, make, moment, visible } from "/static/console.js";

const MOST_LETTERS = 300; // of a value
const BROWSER_FORMATS = new Set(["jpeg", "png", "gif", "webp", "bmp"]);

const page = document.getElementById("image-page"); // null within the gallery

export const percent = (score) => (score === null || score === undefined ? "" : score.toFixed(2));

export const nameOf = (image) => image.slice(image.lastIndexOf("/") + 1);

const at = (path, image, more = {}) => `${path}?${new URLSearchParams({ image, ...more })}`;

/**
 * Show an image in `place`; `query` (URLSearchParams) is the order in which it has neighbours.
 * Answers what the console knows of it; throws what `ask` throws, or an AbortError.
 */
export async function show(place, image, query, signal) {
  const parameters = new URLSearchParams(query);
  parameters.set("image", image);
  if (page) parameters.set("neighbours", "yes"); // the gallery knows them
  const answer = await ask(`/api/answer?${parameters}`, { signal });
  place.replaceChildren(
    make("div", { class: "image-view" }, picture(answer), make("div", {}, ...about(answer))),
  );
  return answer;
}

function picture({ image, tile, document: result }) {
  const format = result?.source?.format ?? tile?.format ?? "";
  const img = make("img", { alt: `The image ${visible(nameOf(image))}` });
  const frame = make("div", { class: "stage-picture" }, img);
  const small = at("/api/thumbnail", image, { etag: result?.source?.etag ?? tile?.etag ?? "" });
  const sources = [at("/original", image), small];
  if (format && !BROWSER_FORMATS.has(format)) sources.shift();
  const next = () => {
    const source = sources.shift();
    if (source) img.src = source;
    else frame.replaceChildren(make("p", { class: "quiet" }, "No browser shows this image."));
  };
  img.addEventListener("error", next);
  next();
  return frame;
}

function about({ image, tile, document: result, bucket, result: key }) {
  const parts = page ? [] : [make("h2", {}, foreign(nameOf(image)))];
  if (!result) {
    const why = tile
      ? "The answer has just been deleted, or cannot be read. This is what was known of it."
      : "There is no answer.";
    parts.push(make("p", { class: "bad" }, why));
  }
  if (result?.status === "rejected") {
    parts.push(make("p", { class: "bad" }, "Rejected: ", foreign(result.code)));
    parts.push(make("p", {}, make("bdi", {}, visible(result.message))));
  } else {
    parts.push(bars(result?.labels ?? (tile?.labels ?? []).map(([label, score]) => ({ label, score }))));
  }
  if (tile?.neighbours) parts.push(make("p", {}, "Neighbours: ", foreign(tile.neighbours, MOST_LETTERS), "."));
  if (result?.decision) parts.push(make("p", {}, "Decision: ", make("b", {}, foreign(result.decision))));
  if (result) parts.push(summary(result));
  if (result?.previous) parts.push(previous(result.previous));
  parts.push(
    make("p", { class: "row" },
      make("a", { href: at("/original", image), target: "_blank", rel: "noopener" }, "Original"),
      make("a", { href: at("/result", image), target: "_blank", rel: "noopener" }, "JSON"),
      ...(page ? [] : [make("a", { href: at("/look/image", image) }, "Page of its own")])),
  );
  const rows = result ? [...flatten(result)] : [];
  parts.push(
    make("details", { open: true }, make("summary", {}, "Provenance"),
      make("table", {}, make("tbody", {}, ...[
        ["object", `s3://${bucket}/${image}`], ["result", `s3://${bucket}/${key}`], ...rows,
      ].map(([name, value]) =>
        make("tr", {}, make("th", { scope: "row" }, foreign(name)), make("td", {}, foreign(value, MOST_LETTERS))))))),
  );
  return parts;
}

function bars(labels) {
  return make("ol", { class: "bars", "aria-label": "Labels" }, ...labels.slice(0, 10).map(({ label, score }) => {
    const bar = make("i");
    bar.style.width = `${Math.max(0, Math.min(1, Number(score))) * 100}%`;
    return make("li", {}, foreign(label), make("span", {}, percent(Number(score))),
      make("div", { class: "bar", "aria-hidden": "true" }, bar));
  }));
}

function summary({ model, source, route, classified_at: when }) {
  const size = source?.width ? `${source.width} × ${source.height} ${source.format}` : "";
  const parts = [model ? `${model.name}:${model.version}` : "no model", route, size].filter(Boolean);
  return make("p", { class: "quiet" }, foreign(parts.join(" · ")), " · ", moment(when));
}

function previous(before) {
  const model = `${before.model?.name}:${before.model?.version}`;
  const answer = "code" in before ? [`rejected, `, foreign(before.code)] :
    [foreign(before.label), ` ${percent(before.score)}`];
  return make("p", { class: "quiet" }, "Before, by ", foreign(model), ": ", ...answer);
}

/** The values of a document by their paths: `source.etag`. */
function* flatten(value, path = "") {
  if (value !== null && typeof value === "object") {
    for (const [name, inner] of Object.entries(value)) {
      yield* flatten(inner, path ? `${path}.${name}` : name);
    }
  } else yield [path, value === null ? "none" : String(value)];
}

if (page) {
  const image = page.dataset.image;
  const query = new URLSearchParams(location.search);
  try {
    const answer = await show(page, image, query);
    const link = (to, text) => to &&
      make("a", { class: "button", href: `/look/image?${withImage(query, to)}` }, text);
    const around = answer.neighbours ?? {};
    const links = [link(around.before, "← Before"), link(around.after, "Next →")].filter(Boolean);
    page.prepend(make("p", { class: "row" }, ...links, make("a", { href: galleryOf(query) }, "All answers")));
    addEventListener("keydown", (event) => {
      const to = { ArrowLeft: around.before, ArrowRight: around.after }[event.key];
      if (to && !event.altKey && !event.ctrlKey && !event.metaKey) location.assign(`/look/image?${withImage(query, to)}`);
    });
  } catch (error) {
    page.replaceChildren(make("p", { class: "bad", role: "alert" }, error.message));
  }
}

function withImage(query, image) {
  const parameters = new URLSearchParams(query);
  parameters.set("image", image);
  return parameters;
}

function galleryOf(query) {
  const parameters = new URLSearchParams(query);
  parameters.delete("image");
  return `/look?${parameters}`;
}
