import { on } from "/static/console.js";
import { renew, whenEnded } from "/static/actions.js";

whenEnded(() => renew("state"));
setInterval(() => document.hidden || renew("state"), 10_000);
on("work", (event) => event && renew("state"));
