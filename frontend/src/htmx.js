// The extension looks for htmx as a global, so it is set before the extension is loaded.
import htmx from "htmx.org/dist/htmx.esm.js";

window.htmx = htmx;
