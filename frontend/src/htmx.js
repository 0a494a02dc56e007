// The extension looks for htmx as a global, so it is set before the extension is loaded.
import htmx from "htmx.org/dist/htmx.esm.js";

window.htmx = htmx;
// A server that was restarted is found again within seconds.
htmx.config.sse = { reconnectMaxDelay: 5000 };
// A menu that a person opened stays open when news come in: the server knows of none that is open.
htmx.config.morphIgnore.push("open");

// An answer without the part that is looked for is another page: the question to sign in, or that there was a fault. It
// is shown as what it is, rather than nothing, or in a corner of what stands here.
document.addEventListener("htmx:after:request", (event) => {
  const { select, target, text, response } = event.detail.ctx;
  const part = select?.startsWith("#") ? `id="${select.slice(1)}"` : target?.id === "dialog" ? "<haru-dialog" : "";
  if (!part || text.includes(part)) return;
  event.preventDefault();
  location.assign(response.raw.url);
});
