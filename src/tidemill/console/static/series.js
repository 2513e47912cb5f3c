// @ts-check
import { localText } from "./times.js";

/** @typedef {{ name: string, values: (number | null)[], texts: string[], hue: string, is_reference: boolean }} Line */
/**
 * @typedef {{ label: string, times: number[], lines: Line[], totals: string[], are_days: boolean,
 *             is_share: boolean, from_zero: boolean, are_stacked: boolean }} Series
 */
/** @typedef {typeof import("./vendor/uplot.min.js")} Plots */

const DAY = 86_400;
const DAYS = [1, 2, 4, 7, 14, 30, 60, 90, 180, 365, 730, 1825].map((days) => days * DAY);
const HELP = "Arrow keys read the values, + and - zoom, Escape shows all. Drag to zoom, double click to show all.";
/** @type {Set<SeriesView>} */
const views = new Set();

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

/** @param {HTMLElement} box */
async function openView(box) {
  const { default: plots } = await import("./vendor/uplot.min.js");
  // What is in a shadow root stays as it is when the page changes. The drawing keeps its place until the styles
  // are there, and for good if they can't be fetched.
  const root = box.attachShadow({ mode: "open" });
  root.append(make("slot", {}));
  await Promise.all(["vendor/uplot.min.css", "series.css"].map((name) => {
    const link = make("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href });
    root.append(link);
    return new Promise((done, fail) => Object.assign(link, { onload: done, onerror: fail }));
  }));
  views.add(new SeriesView(box, root, plots));
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

  /** @param {HTMLElement} box @param {ShadowRoot} root @param {Plots} plots */
  constructor(box, root, plots) {
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
    root.querySelector("slot")?.replaceWith(whole);
    this.area.addEventListener("keydown", (event) => this.press(event));
    this.area.addEventListener("blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
    this.show();
    this.changes = new MutationObserver(() => this.show());
    this.changes.observe(box, { attributeFilter: ["data-series"] });
    this.sizes = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.sizes.observe(this.area);
  }

  close() {
    this.changes.disconnect();
    this.sizes.disconnect();
    this.plot?.destroy();
    views.delete(this);
  }

  size() {
    return { width: this.area.clientWidth, height: this.area.clientHeight };
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
    const { times, are_stacked } = this.series;
    const { min, max } = this.isZoomed() ? this.plot?.scales.x ?? {} : {};
    const lines = this.series.lines.filter((line) => !this.hidden.has(line.name));
    /** @type {(number | null)[][]} */
    const values = [];
    for (const line of lines) {
      const below = values[values.length - 1];
      values.push(are_stacked && below ? line.values.map((value, at) => (value ?? 0) + (below[at] ?? 0)) : line.values);
    }
    // A bar covers those behind it, so that of each only the part above the next one is seen.
    if (are_stacked) [lines, values].forEach((each) => each.reverse());
    this.plot?.destroy();
    this.plot = new this.plots(this.options(lines), [times, ...values], this.area);
    if (min != null && max != null) this.zoom(min, max);
  }

  /** @param {Line[]} lines @returns {import("./vendor/uplot.min.js").Options} */
  options(lines) {
    const { is_share, from_zero, are_days, are_stacked, times } = this.series;
    const color = (/** @type {string} */ name) => () => getComputedStyle(this.box).getPropertyValue(`--${name}`);
    const axis = { stroke: color("soft"), grid: { stroke: color("frame"), width: 1 }, ticks: { show: false } };
    const write = (/** @type {number} */ value) => is_share ? `${+(value * 100).toFixed(4)} %` : value.toLocaleString("en");
    const edge = are_stacked ? DAY / 2 : 0;
    return {
      ...this.size(),
      padding: [8, 12, 0, 0],
      tzDate: (at) => are_days ? this.plots.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000),
      legend: { show: false },
      cursor: { y: false, points: { show: !are_stacked, size: 8 } },
      scales: {
        x: are_stacked ? { range: () => [times[0] - edge, times[times.length - 1] + edge] } : {},
        y: { range: { min: from_zero ? { pad: 0.1, soft: 0, mode: 1 } : { pad: 0.1 }, max: { pad: 0.1 } } },
      },
      axes: [
        { ...axis, size: 24, space: 70, values: (_, splits, __, ___, step) => this.timeLabels(splits, step),
          ...(are_days ? { incrs: DAYS } : {}) },
        { ...axis, size: 50, space: 28, values: (_, splits) => splits.map(write) },
      ],
      series: [{}, ...lines.map(({ name, hue, is_reference }) => ({
        label: name, stroke: color(hue), width: is_reference ? 1.5 : 2, points: { show: !is_reference, size: 5, fill: color(hue) },
        ...(is_reference ? { dash: [3, 4] } : {}),
        ...(are_stacked ? { width: 0, fill: color(hue), paths: this.plots.paths.bars?.({ size: [0.7, 40] }), points: { show: false } } : {}),
      }))],
      hooks: { setCursor: [(plot) => plot.cursor.idx != null && this.say(plot.cursor.idx)] },
    };
  }

  /** @param {number[]} splits @param {number} step */
  timeLabels(splits, step) {
    let before = "";
    return splits.map((at) => {
      const [day, hour] = this.timeText(at).split(" ");
      const isSame = day.slice(0, 4) === before.slice(0, 4);
      const text = step < DAY && day === before ? hour : isSame ? day.slice(5) : day;
      before = day;
      return text;
    });
  }

  /** A day as it is called, or a time in the zone of who looks. @param {number} at */
  timeText(at) {
    const date = new Date(at * 1000);
    return this.series.are_days ? date.toISOString().slice(0, 10) : localText(date);
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
    this.readOut.textContent = `${this.timeText(times[index])}: ${texts.join(", ") || "nothing"}`;
  }

  isZoomed() {
    const { min, max } = this.plot?.scales.x ?? {};
    const times = this.plot?.data[0] ?? [];
    return min != null && max != null && (min > times[0] || max < times[times.length - 1]);
  }

  /** @param {number} min @param {number} max */
  zoom(min, max) {
    const { times, are_stacked } = this.series;
    const edge = are_stacked ? DAY / 2 : 0;
    const [first, last] = [times[0] - edge, times[times.length - 1] + edge];
    this.plot?.setScale("x", { min: Math.max(min, first), max: Math.min(max, last) });
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const { plot, series: { times } } = this;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const [first, last] = plot.series[0].idxs ?? [0, times.length - 1];
    const next = { ArrowLeft: this.index - 1, ArrowRight: this.index + 1, Home: first, End: last }[event.key];
    const { min, max } = plot.scales.x;
    if (next !== undefined) {
      const index = Math.min(Math.max(next, first), last);
      plot.setCursor({ left: plot.valToPos(times[index], "x"), top: plot.over.clientHeight / 2 });
      this.say(index);
    } else if (event.key === "Escape") {
      this.zoom(-Infinity, Infinity);
    } else if ((event.key === "+" || event.key === "-") && min != null && max != null) {
      const half = (max - min) * (event.key === "+" ? 0.25 : 1);
      this.zoom(times[this.index] - half, times[this.index] + half);
    } else return;
    event.preventDefault();
  }
}
