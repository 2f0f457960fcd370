import { on, renew, showTrouble } from "/static/console.js";
import { confirmAndStart, start, valuesOf, whenEnded } from "/static/actions.js";

const promote = document.getElementById("promote");
promote?.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = ["Both models answer the same test images first. If it is not worse, every image from then on is answered by it; what is answered already stays until a reclassification."];
  confirmAndStart("promote", valuesOf(promote), { text, label: "Promote" });
});
document.getElementById("preview")?.addEventListener("click", () => {
  const text = ["The model answers a sample of the inbox on this machine, and a page shows what would change, with pictures. Nothing is changed."];
  confirmAndStart("preview", { job: promote.elements.job.value }, { text, label: "Preview" });
});

// A reclassification is started after a dry run of the same values, whose count and cost are shown.
const form = document.getElementById("renew");
const button = document.getElementById("start-renewal");
let dryRun = null; // { id, values } of the last one, while the form is as it was then
let counted = null; // { values, lines } of it, once it has ended well

function allow(count) {
  counted = count;
  button.disabled = count === null;
  document.getElementById("renewal-hint").textContent =
    count === null ? "Run a dry run first." : `As the dry run of ${count.values.prefix} counted.`;
}

form?.addEventListener("input", () => {
  dryRun = null;
  allow(null);
});
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const mine = { id: null, values: valuesOf(form) };
  dryRun = mine;
  allow(null);
  try {
    showTrouble("");
    mine.id = (await start("reclassify", { ...mine.values, dry_run: "on" })).id;
  } catch (error) {
    showTrouble(error.message);
  }
});
button?.addEventListener("click", () => {
  confirmAndStart("reclassify", counted.values, { text: counted.lines, label: "Reclassify" });
});

/** What a dry run counted, and what it costs: its last lines. */
function linesOfDryRun() {
  const lines = document.getElementById("action-log").textContent.split("\n");
  return lines.filter((line) => line && !line.startsWith("$ ") && !line.startsWith("Dry run")).slice(-4);
}

const sections = ["active", "runs", "history"];
whenEnded((action) => {
  renew(...sections);
  if (action.code === 0 && action.id === dryRun?.id) allow({ values: dryRun.values, lines: linesOfDryRun() });
});
setInterval(() => document.hidden || renew(...sections), 5000);
on("work", (event) => event && renew("runs"));
