// Draws the table inside it. Without JavaScript the table is what there is to read.
import {
  CategoryScale, Chart, Filler, LinearScale, LineController, LineElement, PointElement, Tooltip,
} from "chart.js";
import { axisValue } from "./numbers.js";
import { Reader } from "./reader.js";

const crosshair = {
  id: "crosshair",
  afterDraw(chart) {
    const [active] = chart.tooltip?.getActiveElements() ?? [];
    if (!active) return;
    const { ctx, chartArea } = chart;
    ctx.save();
    ctx.strokeStyle = chart.haru.muted;
    ctx.lineWidth = 1;
    ctx.globalAlpha = 0.5;
    ctx.beginPath();
    ctx.moveTo(active.element.x, chartArea.top);
    ctx.lineTo(active.element.x, chartArea.bottom);
    ctx.stroke();
    ctx.restore();
  },
};
// Saturdays and Sundays are a shade darker, and so is the part that a person chooses.
const shades = {
  id: "shades",
  beforeDatasetsDraw(chart) {
    const { weekends, chosen } = chart.haru;
    const { ctx, chartArea, scales: { x } } = chart;
    const half = (x.getPixelForValue(1) - x.getPixelForValue(0)) / 2 || chartArea.width / 2;
    const shade = (first, last, colour) => {
      const left = Math.max(chartArea.left, x.getPixelForValue(first) - half);
      const right = Math.min(chartArea.right, x.getPixelForValue(last) + half);
      ctx.fillStyle = colour;
      ctx.fillRect(left, chartArea.top, right - left, chartArea.height);
    };
    ctx.save();
    for (const place of weekends) shade(place, place, `${chart.haru.muted}0d`);
    if (chosen) shade(...chosen, `${chart.haru.line}2e`);
    ctx.restore();
  },
};
Chart.register(shades, CategoryScale, Filler, LinearScale, LineController, LineElement, PointElement, Tooltip, crosshair);

class HaruChart extends HTMLElement {
  connectedCallback() {
    this.querySelector("details")?.removeAttribute("open");
    this.observer = new MutationObserver(() => this.plan());
    this.observer.observe(this, { attributes: true, attributeFilter: ["data-format", "data-name", "data-before-name"] });
    this.observer.observe(this.querySelector("table"), {
      attributes: true, attributeFilter: ["data-value", "data-label"], childList: true, subtree: true, characterData: true,
    });
    this.onTheme = () => this.plan();
    document.addEventListener("haru:theme", this.onTheme);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.onTheme);
    this.draw();
    // What is measured before the font has come is measured in another.
    document.fonts?.ready.then(this.onTheme);
  }

  disconnectedCallback() {
    this.observer.disconnect();
    document.removeEventListener("haru:theme", this.onTheme);
    matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.onTheme);
    this.chart?.destroy();
    this.chart = undefined;
    this.querySelector("canvas")?.remove();
  }

  plan() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.isConnected && this.draw());
  }

  read() {
    const rows = [...this.querySelectorAll("tbody tr")];
    const column = (place) => rows.map((row) => number(row.children[place]));
    const texts = (place) => rows.map((row) => row.children[place]?.textContent ?? "");
    return {
      labels: rows.map((row) => row.dataset.label),
      titles: texts(0),
      series: [column(1), this.dataset.beforeName ? column(2) : []],
      texts: [texts(1), texts(2)],
      names: [this.dataset.name, this.dataset.beforeName],
      ends: rows.map((row) => (row.dataset.from ? [row.dataset.from, row.dataset.to] : null)),
      weekends: rows.flatMap((row, place) => ("weekend" in row.dataset ? [place] : [])),
      unfinished: rows.findIndex((row) => "unfinished" in row.dataset),
      parts: this.dataset.pair === "parts", // the second series is of the same time, not what the first is compared with
      format: this.dataset.format,
    };
  }

  draw() {
    const data = this.read();
    const config = { data: datasets(data, this.colours()), options: options(data, this.colours()) };
    if (!this.chart) {
      const canvas = document.createElement("canvas");
      this.querySelector(".plot").replaceChildren(canvas);
      this.reader = new Reader(this, canvas);
      this.chart = new Chart(canvas, { type: "line", ...config, plugins: [{ id: "first", beforeInit: (chart) => (chart.haru = this.look(data)) }] });
    } else {
      config.data.datasets.forEach((next, place) => {
        const set = this.chart.data.datasets[place];
        if (set) Object.assign(set, next);
        else this.chart.data.datasets.push(next);
      });
      this.chart.data.labels = config.data.labels;
      this.chart.options = config.options;
    }
    this.chart.haru = this.look(data);
    this.chart.update("none");
    this.reader.renew(data);
  }

  look({ weekends }) {
    return { ...this.colours(), weekends, chosen: this.reader.chosen };
  }

  colours() {
    const style = getComputedStyle(this);
    const colour = (name) => style.getPropertyValue(name).trim();
    return {
      line: colour("--color-primary"), other: colour("--color-secondary"), base: colour("--color-base-100"), text: colour("--color-base-content"),
      muted: colour("--muted"), grid: colour("--grid"), border: colour("--color-base-300"),
    };
  }
}

function number(cell) {
  return cell && "value" in cell.dataset ? Number(cell.dataset.value) : null;
}

function datasets({ labels, series, unfinished, parts }, colours) {
  // A value between two gaps is no line: it is seen as a dot.
  const alone = ({ dataset: { data }, dataIndex: at }) => (data[at - 1] ?? data[at + 1] ?? null) === null;
  const dot = { pointRadius: (point) => (alone(point) ? 3 : 0), pointHoverRadius: 4, pointHoverBorderWidth: 1.5, pointHoverBorderColor: colours.base };
  const line = { cubicInterpolationMode: "monotone", spanGaps: false, ...dot };
  const segment = { borderDash: ({ p1DataIndex }) => (p1DataIndex === unfinished ? [4, 4] : undefined) };
  const second = parts
    ? { borderColor: colours.other, pointBackgroundColor: colours.other, borderWidth: 2, segment }
    : { borderColor: `${colours.muted}a0`, pointBackgroundColor: colours.muted, borderWidth: 1.5, borderDash: [3, 3] };
  return {
    labels,
    datasets: [
      {
        ...line, data: series[0], borderColor: colours.line, pointBackgroundColor: colours.line, borderWidth: 2, fill: "origin",
        backgroundColor: ({ chart: { ctx, chartArea } }) => gradient(ctx, chartArea, colours.line), order: 1,
        segment,
      },
      { ...line, ...second, data: series[1], order: 2 },
    ],
  };
}

function gradient(ctx, area, colour) {
  if (!area) return "transparent";
  const fill = ctx.createLinearGradient(0, area.top, 0, area.bottom);
  fill.addColorStop(0, `${colour}3d`);
  fill.addColorStop(1, `${colour}05`);
  return fill;
}

function options({ titles, texts, names, format }, colours) {
  const font = { family: "Inter, sans-serif", size: 11.5 };
  const tick = { color: colours.muted, font };
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    layout: { padding: { top: 8, right: 2 } },
    scales: {
      x: { grid: { display: false }, border: { display: false }, ticks: { ...tick, maxRotation: 0, autoSkipPadding: 26, padding: 6 } },
      y: {
        beginAtZero: true, suggestedMax: format === "percent" ? 100 : 4, border: { display: false }, grid: { color: colours.grid, drawTicks: false },
        ticks: { ...tick, padding: 10, maxTicksLimit: 5, precision: format === "decimal" ? 1 : 0, callback: (value) => axisValue(value, format) },
      },
    },
    plugins: {
      tooltip: {
        backgroundColor: colours.base, borderColor: colours.border, borderWidth: 1, cornerRadius: 10, padding: 12, caretSize: 0, caretPadding: 12,
        titleColor: colours.text, bodyColor: colours.muted, titleFont: { family: font.family, size: 12.5, weight: "600" }, titleMarginBottom: 8,
        bodyFont: { family: font.family, size: 12.5 }, bodySpacing: 6, usePointStyle: true, boxWidth: 8, boxHeight: 8, boxPadding: 6,
        callbacks: {
          title: ([item]) => titles[item.dataIndex],
          label: (item) => `${names[item.datasetIndex]}  ${texts[item.datasetIndex][item.dataIndex]}`,
          labelPointStyle: () => ({ pointStyle: "circle", rotation: 0 }),
          labelColor: (item) => ({ backgroundColor: item.dataset.pointBackgroundColor, borderColor: item.dataset.pointBackgroundColor }),
        },
      },
    },
  };
}

customElements.define("haru-chart", HaruChart);
