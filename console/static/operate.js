import { on, renew } from "/static/console.js";
import { whenEnded } from "/static/actions.js";

whenEnded(() => renew("state"));
setInterval(() => document.hidden || renew("state"), 10_000);
on("work", (event) => event && renew("state"));
