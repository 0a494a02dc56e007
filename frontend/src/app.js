import "./htmx.js";
import "htmx.org/dist/ext/hx-sse.js";
import "./panel.js";
import "./chart.js";
import "./controls.js";
import "./keys.js";
import "./connection.js";
