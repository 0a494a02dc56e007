// The extension looks for htmx as a global, so it is set before the extension is loaded.
import htmx from "htmx.org/dist/htmx.esm.js";

window.htmx = htmx;
// A menu that a person opened stays open when news come in: the server knows of none that is open.
htmx.config.morphIgnore.push("open");
