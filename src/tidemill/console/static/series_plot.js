// @ts-check
import { localText } from "./times.js";

/** @typedef {{ name: string, values: (number | null)[], texts: string[], hue: string, is_reference: boolean }} Line */
/**
 * @typedef {{ label: string, times: number[], lines: Line[], totals: string[], are_days: boolean,
 *             is_share: boolean, from_zero: boolean, are_stacked: boolean }} Series
 */
/** @typedef {typeof import("./vendor/uplot.min.js")} Plots */

const DAY = 86_400;
const HOURS = [1, 5, 15, 60, 180, 360, 720].map((minutes) => minutes * 60);
const DAYS = [1, 2, 4, 7, 14, 30, 60, 90, 180, 365, 730, 1825].map((days) => days * DAY);

/** A day as it is called, or a time in the zone of who looks. @param {Series} series @param {number} at */
export function timeText(series, at) {
  const date = new Date(at * 1000);
  return series.are_days ? date.toISOString().slice(0, 10) : localText(date);
}

/** The first and the last time that are drawn; bars reach beyond their middles. @param {Series} series */
export function edgesOf({ times, are_stacked }) {
  const edge = are_stacked ? DAY / 2 : 0;
  return [times[0] - edge, times[times.length - 1] + edge];
}

/** @param {HTMLElement} area */
export function sizeOf(area) {
  return { width: area.clientWidth, height: area.clientHeight };
}

/**
 * Draw a series into an area, and say at which value the cursor is.
 * @param {Plots} plots @param {Series} series @param {HTMLElement} area @param {(index: number) => void} say
 */
export function drawPlot(plots, series, area, say) {
  const drawn = series.are_stacked ? stackedLines(series.lines) : series.lines;
  /** @type {import("./vendor/uplot.min.js").Options} */
  const options = {
    ...sizeOf(area),
    // On the right, half of a date with its year.
    padding: [8, 36, 0, 0],
    tzDate: (at) => series.are_days ? plots.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000),
    legend: { show: false },
    cursor: { y: false, points: { show: !series.are_stacked, size: 8 } },
    scales: scalesOf(series),
    axes: axesOf(series, area),
    series: [{}, ...drawn.map((line) => lineOptions(plots, series, line, area))],
    hooks: { setCursor: [(plot) => plot.cursor.idx != null && say(plot.cursor.idx)] },
  };
  return new plots(options, [series.times, ...drawn.map(({ values }) => values)], area);
}

/**
 * Each on those before it, the highest first: a bar covers those behind it, of which the part above it is seen.
 * @param {Line[]} lines
 */
function stackedLines(lines) {
  /** @type {Line[]} */
  const found = [];
  for (const line of lines) {
    const below = found[0]?.values;
    found.unshift({ ...line, values: line.values.map((value, at) => (value ?? 0) + (below?.[at] ?? 0)) });
  }
  return found;
}

/** A colour of the theme, as it is when something is drawn. @param {HTMLElement} area @param {string} name */
function colorOf(area, name) {
  return () => getComputedStyle(area).getPropertyValue(`--${name}`);
}

/** @param {Series} series @returns {import("./vendor/uplot.min.js").Scales} */
function scalesOf(series) {
  const [first, last] = edgesOf(series);
  const { times } = series;
  const low = series.from_zero ? { pad: 0.1, soft: 0, mode: /** @type {const} */ (1) } : { pad: 0.1 };
  return {
    x: { range: (_, min, max) => [min <= times[0] ? first : min, max >= times[times.length - 1] ? last : max] },
    y: { range: { min: low, max: { pad: 0.1 } } },
  };
}

/** @param {Series} series @param {HTMLElement} area @returns {import("./vendor/uplot.min.js").Axis[]} */
function axesOf(series, area) {
  const { are_days, is_share } = series;
  const axis = { stroke: colorOf(area, "soft"), grid: { stroke: colorOf(area, "frame"), width: 1 }, ticks: { show: false } };
  const write = (/** @type {number} */ value) => is_share ? `${+(value * 100).toFixed(4)} %` : value.toLocaleString("en");
  return [
    { ...axis, size: 26, gap: 8, space: 70, incrs: are_days ? DAYS : [...HOURS, ...DAYS],
      values: (_, splits, __, ___, step) => timeLabels(series, splits, step) },
    { ...axis, size: 50, space: 28, values: (_, splits) => splits.map(write) },
  ];
}

/**
 * @param {Plots} plots @param {Series} series @param {Line} line @param {HTMLElement} area
 * @returns {import("./vendor/uplot.min.js").Series}
 */
function lineOptions(plots, series, { name, hue, is_reference }, area) {
  const color = colorOf(area, hue);
  const points = { show: false };
  if (series.are_stacked) return { label: name, fill: color, width: 0, points, paths: plots.paths.bars?.({ size: [0.7, 40] }) };
  if (is_reference) return { label: name, stroke: color, width: 1.5, dash: [3, 4], points };
  return { label: name, stroke: color, width: 2, points: { size: 5, fill: color } };
}

/** Dates, and hours within a day; a year stands where it is another. @param {Series} series @param {number[]} splits @param {number} step */
function timeLabels(series, splits, step) {
  let before = "";
  return splits.map((at) => {
    const [day, hour] = timeText(series, at).split(" ");
    const isSame = day.slice(0, 4) === before.slice(0, 4);
    const text = step < DAY && day === before ? hour : isSame ? day.slice(5) : day;
    before = day;
    return text;
  });
}
