// A part of the page that asks the server for itself anew while ticks come.
//
// The stream says only that there is news. A panel waits at least a second, and five times what its last answer cost
// the server (`data-cost`, ms), before it asks again. The cache may serve an answer from before the news for as long;
// so when the answer is older (`data-at`) than the tick, the panel asks once more.
const LEAST_MS = 1000;
const TIMES_COST = 5;

class Panel extends HTMLElement {
  connectedCallback() {
    this.asked ??= performance.now();
    this.onTick = (event) => this.want(JSON.parse(event.detail.data).at);
    this.onSwap = (event) => event.target === this && !this.fits(event.detail.ctx) && event.preventDefault();
    this.onDone = (event) => event.target === this && this.done();
    document.addEventListener("tick", this.onTick);
    this.addEventListener("htmx:before:swap", this.onSwap);
    this.addEventListener("htmx:finally:request", this.onDone);
  }

  disconnectedCallback() {
    document.removeEventListener("tick", this.onTick);
    this.removeEventListener("htmx:before:swap", this.onSwap);
    this.removeEventListener("htmx:finally:request", this.onDone);
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  // Not when the page shows another view by now: another tab, filter or period. Nor when the answer is no panel but a
  // fault, or the question to sign in: what was known before stays, and is asked for again.
  fits({ request, text }) {
    const [asked, shown] = [request.action, this.getAttribute("hx-get")].map((address) => new URL(address, location.href).href);
    return asked === shown && text.includes(this.id && `id="${this.id}"`);
  }

  want(at) {
    this.wanted = at;
    this.tries = 2;
    this.plan();
  }

  plan() {
    if (!("live" in this.dataset) || this.timer) return;
    const pause = Math.max(LEAST_MS, TIMES_COST * Number(this.dataset.cost));
    this.timer = setTimeout(() => this.ask(), Math.max(0, this.asked + pause - performance.now()));
  }

  ask() {
    this.timer = undefined;
    this.asked = performance.now();
    this.tries -= 1;
    this.dispatchEvent(new CustomEvent("refresh"));
  }

  done() {
    // The answer is morphed in after the request: look at its attributes when that has happened.
    setTimeout(() => {
      if (this.isConnected && this.tries > 0 && Number(this.dataset.at) < this.wanted) this.plan();
    }, 50);
  }
}

customElements.define("haru-panel", Panel);

document.addEventListener("tick", (event) => {
  const { current } = JSON.parse(event.detail.data);
  for (const element of document.querySelectorAll("[data-current-visitors]")) element.textContent = current;
  for (const element of document.querySelectorAll("[data-plural]")) element.hidden = current === 1;
});
