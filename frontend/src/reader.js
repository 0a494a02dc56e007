// Reads a chart out, bucket by bucket, and chooses a part of it to look into: by keys, mouse or finger.
//
// To whoever listens the chart is a slider: its value is what the bucket says. Shift with an arrow, or a drag, chooses
// buckets; Enter, or the end of the drag, leads to the view of that time alone.
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 7, PageDown: -7, Home: -Infinity, End: Infinity };

export class Reader {
  constructor(host, canvas) {
    this.host = host;
    this.canvas = canvas;
    this.at = null; // the bucket that is read out
    this.from = null; // where the chosen part begins; it ends at `at`
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "slider");
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => this.leave());
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => this.drop(event));
    canvas.addEventListener("pointercancel", () => this.leave());
  }

  get link() {
    return this.host.parentElement.querySelector("[data-zoom]");
  }

  get chosen() {
    return this.from === null ? null : [Math.min(this.from, this.at), Math.max(this.from, this.at)];
  }

  // The numbers changed: what is read out stays where it is.
  renew(data) {
    this.data = data;
    const last = data.titles.length - 1;
    if (this.at > last || this.from > last) this.at = this.from = null;
    const hint = this.link ? ". Arrow keys read it; with Shift they choose a part, and Enter shows it" : ". Arrow keys read it";
    this.canvas.setAttribute("aria-label", (this.host.querySelector("caption")?.textContent ?? "") + hint);
    this.canvas.setAttribute("aria-valuemin", 0);
    this.canvas.setAttribute("aria-valuemax", Math.max(0, last));
    this.canvas.classList.toggle("zooms", Boolean(this.link));
    this.show();
  }

  press(event) {
    const step = STEPS[event.key];
    if (step !== undefined && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.move(step, event.shiftKey && this.link);
    } else if (event.key === "Enter" && this.at !== null && this.link) {
      event.preventDefault();
      this.zoom(...(this.chosen ?? [this.at, this.at]));
    } else if (event.key === "Escape" && this.at !== null) {
      event.stopPropagation();
      this.leave();
    }
  }

  move(step, choosing) {
    const last = this.data.titles.length - 1;
    if (last < 0) return;
    const before = this.at;
    // The first key reads the newest bucket that has come.
    const newest = this.data.texts[0].findLastIndex((text) => text !== "");
    this.at = before === null ? (step === -Infinity ? 0 : Math.max(0, newest)) : Math.min(last, Math.max(0, before + step));
    this.from = choosing ? (this.from ?? before ?? this.at) : null;
    this.show();
  }

  place(event) {
    const { scales: { x } } = this.host.chart;
    const value = Math.round(x.getValueForPixel(event.offsetX));
    return Math.min(this.data.titles.length - 1, Math.max(0, value));
  }

  grab(event) {
    if (!this.link || !event.isPrimary || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.grabbed = event.offsetX;
    this.at = this.place(event);
  }

  drag(event) {
    if (this.grabbed === undefined) return;
    if (this.from === null && Math.abs(event.offsetX - this.grabbed) < 8) return; // a hand that shakes
    this.from ??= this.at;
    this.at = this.place(event);
    this.show();
  }

  drop(event) {
    if (this.grabbed === undefined) return;
    const chosen = this.chosen;
    this.leave();
    if (chosen && chosen[0] !== chosen[1] && event.isPrimary) this.zoom(...chosen);
  }

  leave() {
    const shown = this.at !== null;
    this.at = this.from = null;
    this.grabbed = undefined;
    if (shown) this.show();
  }

  zoom(first, last) {
    const link = this.link;
    const address = new URL(link.href);
    address.searchParams.set("from", this.data.ends[first][0]);
    address.searchParams.set("to", this.data.ends[last][1]);
    link.setAttribute("href", address.search);
    this.leave();
    link.click();
  }

  show() {
    const { chart } = this.host;
    const [first, last] = this.chosen ?? [this.at, this.at];
    this.canvas.setAttribute("aria-valuenow", this.at ?? 0);
    this.canvas.setAttribute("aria-valuetext", this.at === null ? this.data.names[0] : first === last ? this.said(first) : this.range(first, last));
    if (!chart) return;
    chart.haru.chosen = this.chosen;
    if (this.at !== null) {
      const active = chart.data.datasets.flatMap(({ data }, set) => ((data[this.at] ?? null) === null ? [] : [{ datasetIndex: set, index: this.at }]));
      const [shown] = active;
      const point = shown ? chart.getDatasetMeta(shown.datasetIndex).data[shown.index] : { x: 0, y: 0 };
      chart.setActiveElements(active);
      chart.tooltip.setActiveElements(active, { x: point.x, y: point.y });
      this.reading = true;
    } else if (this.reading) {
      chart.setActiveElements([]);
      chart.tooltip.setActiveElements([], { x: 0, y: 0 });
      this.reading = false;
    }
    chart.update("none");
  }

  said(place) {
    const { titles, texts, names } = this.data;
    const values = [0, 1].filter((set) => texts[set][place]).map((set) => `${names[set]}: ${texts[set][place]}`);
    return [titles[place], ...values].join("; ");
  }

  range(first, last) {
    const { titles } = this.data;
    return `${titles[first]} – ${titles[last]}`;
  }
}
