// Counts pageviews of the page it stands on. No cookie, nothing kept. Its one global is `haru(name, properties)`.
const script = document.currentScript;
const { token, api, hash } = script.dataset;
const address = `${api || new URL(script.src).origin}/api/collect?t=${encodeURIComponent(token)}`;

let path; // of the pageview counted last
let url; // its URL, to which engagement belongs
let since = 0; // when the page was last seen to become visible, or reported; 0 while hidden
let engaged = 0; // milliseconds not reported yet
let depth = 0; // deepest scroll, percent
let first = true;

const routed = hash !== undefined; // the fragment names the page
const page = () => location.pathname + (routed ? location.hash : "");
const here = () => (routed ? location.href : location.href.split("#")[0]);
const ignored = () => {
  try {
    return localStorage.haru_ignore === "true";
  } catch {
    // Storage is forbidden: nobody has asked to be left out.
  }
};

function send(body) {
  if (ignored()) return;
  const text = JSON.stringify(body);
  if (navigator.sendBeacon?.(address, text)) return;
  const request = new XMLHttpRequest();
  request.open("POST", address);
  request.setRequestHeader("Content-Type", "text/plain");
  request.send(text);
}

function clock() {
  const now = performance.now();
  if (since) engaged += now - since;
  since = document.hidden ? 0 : now;
}

function scrolled() {
  const { scrollHeight } = document.documentElement;
  depth = Math.max(depth, Math.min(100, Math.round(((scrollY + innerHeight) / scrollHeight) * 100)) || 0);
}

function engagement() {
  clock();
  const e = Math.round(engaged);
  if (!url || !e) return;
  engaged = 0;
  send({ n: "engagement", p: url, e, sd: depth });
}

function pageview() {
  if (page() === path) return;
  engagement();
  path = page();
  url = here();
  depth = engaged = 0;
  scrolled();
  send({
    p: url,
    r: first ? document.referrer : "",
    sw: screen.width,
    sh: screen.height,
    tz: Intl.DateTimeFormat().resolvedOptions().timeZone,
  });
  first = false;
}

function start() {
  if (document.prerendering || document.visibilityState !== "visible") return;
  if (url) return clock();
  clock();
  pageview();
  for (const name of ["pushState", "replaceState"]) {
    const real = history[name];
    history[name] = function (...given) {
      real.apply(this, given);
      pageview();
    };
  }
  addEventListener("popstate", pageview);
  if (routed) addEventListener("hashchange", pageview);
  addEventListener("scroll", scrolled, { passive: true });
  addEventListener("pagehide", engagement);
  // A page kept by the browser and shown again is a new view of it.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    path = undefined;
    pageview();
  });
  setInterval(engagement, 6e5);
}

window.haru = (n, d) => send({ n, d, p: here() });
document.addEventListener("visibilitychange", () => (document.hidden ? engagement() : start()));
document.addEventListener("prerenderingchange", start);
start();
