// @ts-check
import { edgesOf, drawPlot, sizeOf, timeText } from "./series_plot.js";

/** @typedef {import("./series_plot.js").Line} Line */
/** @typedef {import("./series_plot.js").Series} Series */
/** @typedef {import("./series_plot.js").Plots} Plots */

const HELP = "Arrow keys read the values, + and - zoom, Escape shows all. Drag to zoom, double click to show all.";
/** @type {Set<SeriesView>} */
const views = new Set();
/** @type {ReturnType<typeof fetchParts> | undefined} */
let parts;

const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting || !(target instanceof HTMLElement)) continue;
    inView.unobserve(target);
    openView(target);
  }
}, { rootMargin: "100px" });

/** Let people look closer at the series of the page, once they come into view. */
export function exploreSeries() {
  for (const view of views) if (!view.box.isConnected) view.close();
  for (const box of document.querySelectorAll("[data-series]")) if (!box.shadowRoot) inView.observe(box);
}

const redrawAll = () => views.forEach((view) => view.plot?.redraw());
new MutationObserver(redrawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);

/** What charts need, fetched once. If it can't be fetched, the drawings stay. */
function fetchParts() {
  return Promise.all([import("./vendor/uplot.min.js"), ...["vendor/uplot.min.css", "series.css"].map(fetchStyles)]);
}

/** @param {string} name */
async function fetchStyles(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return new CSSStyleSheet().replace(await answer.text());
}

/** @param {HTMLElement} box */
async function openView(box) {
  const [{ default: plots }, ...sheets] = await (parts ??= fetchParts());
  if (!box.shadowRoot) views.add(new SeriesView(box, plots, sheets));
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} content
 */
function make(tag, attributes, ...content) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(...content);
  return found;
}

/** A series that people can read value by value, and zoom into; it follows what the page says. */
class SeriesView {
  /** @type {import("./vendor/uplot.min.js") | undefined} */
  plot;
  index = -1;
  /** @type {Set<string>} */
  hidden = new Set();

  /** @param {HTMLElement} box @param {Plots} plots @param {CSSStyleSheet[]} sheets */
  constructor(box, plots, sheets) {
    this.box = box;
    this.plots = plots;
    this.series = this.read();
    const text = (/** @type {string} */ name) => box.querySelector(`svg > ${name}`)?.textContent ?? "";
    this.title = text("title");
    this.readOut = make("output", { "aria-live": "polite" });
    this.unit = make("span", { class: "soft" });
    this.legend = make("div", { class: "legend", role: "group", "aria-label": "Lines" });
    this.area = make("div", {
      class: "area", tabindex: "0", role: "group", "aria-roledescription": "chart", title: HELP,
      "aria-label": this.title, "aria-describedby": "description",
    });
    const whole = make("div", { class: "whole" },
      make("div", { class: "head" }, make("strong", {}, this.title), this.unit), this.readOut,
      this.legend, this.area, make("p", { class: "visually-hidden", id: "description" }, text("desc")));
    whole.style.height = `${box.getBoundingClientRect().height}px`;
    // What is in a shadow root stays as it is when the page changes.
    const root = box.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = sheets;
    root.append(whole);
    this.area.addEventListener("keydown", (event) => this.press(event));
    this.area.addEventListener("blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
    this.show();
    this.changes = new MutationObserver(() => this.show());
    this.changes.observe(box, { attributeFilter: ["data-series"] });
    this.sizes = new ResizeObserver(() => this.plot?.setSize(sizeOf(this.area)));
    this.sizes.observe(this.area);
  }

  close() {
    this.changes.disconnect();
    this.sizes.disconnect();
    this.plot?.destroy();
    views.delete(this);
  }

  /** @returns {Series} */
  read() {
    return JSON.parse(this.box.dataset.series ?? "");
  }

  /** Show what the page says now. */
  show() {
    const { lines, label } = this.series = this.read();
    this.unit.textContent = this.title.includes(label) ? "" : label;
    this.legend.replaceChildren(...(lines.length > 1 ? lines.map((line) => this.entry(line)) : []));
    this.draw();
    this.say(this.series.times.length - 1);
  }

  /** Draw the lines that aren't hidden, zoomed as they were. */
  draw() {
    const { min, max } = this.isZoomed() ? this.plot?.scales.x ?? {} : {};
    const lines = this.series.lines.filter((line) => !this.hidden.has(line.name));
    this.plot?.destroy();
    this.plot = drawPlot(this.plots, { ...this.series, lines }, this.area, (index) => this.say(index));
    if (min != null && max != null) this.zoom(min, max);
  }

  /** @param {Line} line */
  entry({ name, hue, is_reference }) {
    const mark = make("span", { class: is_reference ? "mark reference" : "mark" });
    mark.style.color = `var(--${hue})`;
    const button = make("button", { type: "button", "aria-pressed": String(!this.hidden.has(name)) }, mark, name);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(name)) this.hidden.add(name);
      button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      this.draw();
      this.say(this.index);
    });
    return button;
  }

  /** Say what the lines that are shown have at a time. @param {number} index */
  say(index) {
    const { times, lines, totals } = this.series;
    this.index = index;
    const read = lines.filter((line) => !line.is_reference);
    const texts = read.filter((line) => line.texts[index] && !this.hidden.has(line.name))
      .map((line) => read.length > 1 ? `${line.name} ${line.texts[index]}` : line.texts[index]);
    if (totals[index] && read.length > 1) texts.unshift(`together ${totals[index]}`);
    this.readOut.textContent = `${timeText(this.series, times[index])}: ${texts.join(", ") || "nothing"}`;
  }

  isZoomed() {
    const { min, max } = this.plot?.scales.x ?? {};
    const times = this.plot?.data[0] ?? [];
    return min != null && max != null && (min > times[0] || max < times[times.length - 1]);
  }

  /** @param {number} min @param {number} max */
  zoom(min, max) {
    const [first, last] = edgesOf(this.series);
    this.plot?.setScale("x", { min: Math.max(min, first), max: Math.min(max, last) });
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const { plot, series: { times } } = this;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const [first, last] = plot.series[0].idxs ?? [0, times.length - 1];
    const next = { ArrowLeft: this.index - 1, ArrowRight: this.index + 1, Home: first, End: last }[event.key];
    const { min, max } = plot.scales.x;
    const index = Math.min(Math.max(next ?? this.index, first), last);
    if (event.key === "Escape") {
      plot.batch(() => this.zoom(-Infinity, Infinity));
    } else if ((event.key === "+" || event.key === "-") && min != null && max != null) {
      const half = (max - min) * (event.key === "+" ? 0.25 : 1);
      plot.batch(() => this.zoom(times[index] - half, times[index] + half));
    } else if (next === undefined) return;
    event.preventDefault();
    plot.setCursor({ left: plot.valToPos(times[index], "x"), top: plot.over.clientHeight / 2 });
    this.say(index);
  }
}
