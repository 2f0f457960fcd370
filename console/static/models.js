import { on, showTrouble } from "/static/console.js";
import { confirmAndStart, renew, start, valuesOf, whenEnded } from "/static/actions.js";

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
let counted = null;

function allow(values) {
  counted = values;
  button.disabled = values === null;
  document.getElementById("renewal-hint").textContent =
    values === null ? "Run a dry run first." : `As the dry run of ${values.prefix} counted.`;
}

form?.addEventListener("input", () => allow(null));
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    showTrouble("");
    await start("reclassify", { ...valuesOf(form), dry_run: "on" });
  } catch (error) {
    showTrouble(error.message);
  }
});
button?.addEventListener("click", () => {
  const lines = document.getElementById("action-log").textContent.split("\n");
  const text = lines.filter((line) => line && !line.startsWith("$ ") && !line.startsWith("Dry run"));
  confirmAndStart("reclassify", counted, { text: text.slice(-4), label: "Reclassify" });
});

const sections = ["active", "runs", "history"];
whenEnded((action) => {
  renew(...sections);
  if (action.code === 0 && action.title.startsWith("Dry run")) allow(valuesOf(form));
});
setInterval(() => document.hidden || renew(...sections), 5000);
on("work", (event) => event && renew("runs"));
