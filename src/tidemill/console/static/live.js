// @ts-check
import { showTimes } from "./times.js";

/** @typedef {{ ajax: (verb: string, path: string, options: object) => Promise<void> }} Htmx */

// What is shown is fetched again at once, and at most so often; a page that takes long to make says how often
// instead.
const LEAST_MS = 250;

const COUNTED = ["incidents", "runs", "reviews", "*"];
const COUNTS_LEAST_MS = 1000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

let areCountsWaiting = false;
let areCountsMissed = false;
let countsShownAt = -COUNTS_LEAST_MS;

let isDirty = false;
let isFetching = false;
let shownAt = 0;

/** Fetch the counts alone. */
async function refreshCounts() {
  areCountsWaiting = false;
  areCountsMissed = document.hidden;
  const counts = document.getElementById("counts");
  if (areCountsMissed || counts?.dataset.url === undefined) return;
  countsShownAt = performance.now();
  try {
    const answer = await fetch(counts.dataset.url, { headers: { "HX-Request": "true" } });
    const page = new DOMParser().parseFromString(answer.ok ? await answer.text() : "", "text/html");
    const found = page.getElementById("counts");
    // A page that was fetched meanwhile may have put others there.
    if (found) document.getElementById("counts")?.replaceWith(found);
  } catch {
    // The next change tries again.
  }
}

/**
 * Show how many things are wrong, wait and run, once something may have changed that.
 * @param {string[]} topics
 */
function noteCounts(topics) {
  if (areCountsWaiting || !topics.some((topic) => COUNTED.includes(topic))) return;
  areCountsWaiting = true;
  setTimeout(refreshCounts, Math.max(0, countsShownAt + COUNTS_LEAST_MS - performance.now()));
}

/** Show what changed while nobody looked. */
function showMissedCounts() {
  if (areCountsMissed && !document.hidden) refreshCounts();
}

/**
 * Say whether changes still arrive, and if they don't, since when.
 * @param {boolean} isConnected
 */
function showConnection(isConnected) {
  document.body.dataset.connected = String(isConnected);
  const line = document.getElementById("connection");
  if (line === null) return;
  if (isConnected) line.textContent = "";
  else if (!line.textContent) line.textContent = `not connected: as of ${clock.format(new Date())}`;
}

/** @returns {Promise<Htmx>} The library that changes what differs, once it is loaded. */
async function loadedHtmx() {
  if (!("htmx" in window)) {
    await new Promise((resolve) => document.getElementById("htmx")?.addEventListener("load", resolve));
  }
  return /** @type {{ htmx: Htmx }} */ (/** @type {unknown} */ (window)).htmx;
}

/** @returns {HTMLFormElement[]} The forms that somebody has begun to fill in, which changes leave alone. */
const begunForms = () => [...document.querySelectorAll("form[data-begun]")].filter((form) => form instanceof HTMLFormElement);

/** Whether somebody types into the page elsewhere than in such a form, which a change would disturb. */
function isTyping() {
  const active = document.activeElement;
  const typed = active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement;
  if (!typed || active.closest("#main") === null || active.closest("[data-begun]") !== null) return false;
  return active.value !== active.defaultValue;
}

/** @param {HTMLFormElement} form What a form is about: where it is sent to, and which version it decides on. */
function subject(form) {
  const seen = form.elements.namedItem("seen_tag");
  return `${form.getAttribute("action")} ${seen instanceof HTMLInputElement ? seen.value : ""}`;
}

/**
 * Prepare what takes the place of what is shown: with times as they are shown, so that what is the same stays.
 *
 * If what a begun form is about has changed or is gone, keep what is shown, and say so.
 * @param {Event} event
 */
function beforeSwap(event) {
  const { tasks } = /** @type {CustomEvent<{ tasks: { fragment: DocumentFragment }[] }>} */ (event).detail;
  for (const { fragment } of tasks) showTimes(fragment);
  const there = new Set(tasks.flatMap(({ fragment }) => [...fragment.querySelectorAll("form")].map(subject)));
  const line = document.getElementById("changed");
  if (line === null || begunForms().every((form) => there.has(subject(form)))) return;
  event.preventDefault();
  line.hidden = false;
}

/** Show what changed, without what was typed. */
function showChanged() {
  for (const form of begunForms()) {
    form.removeAttribute("data-begun");
    form.reset();
  }
  const line = document.getElementById("changed");
  if (line !== null) line.hidden = true;
  isDirty = true;
  refresh();
}

/** @param {Event} event */
function noteForm({ target }) {
  if (target instanceof Element) target.closest("form[method=post]")?.setAttribute("data-begun", "");
}

/** Fetch the page again if it changed and nobody would be disturbed, or else later; whether it is done now. */
function refresh() {
  const isAsked = document.getElementById("changed")?.hidden === false;
  if (isFetching || document.hidden || isTyping() || isAsked || !isDirty) return false;
  const least = Number(document.getElementById("main")?.dataset.least) || LEAST_MS;
  const wait = shownAt + least - performance.now();
  if (wait > 0) setTimeout(refresh, wait);
  else fetchPage();
  return wait <= 0;
}

/** Fetch the page again, and change what differs. */
async function fetchPage() {
  isFetching = true;
  isDirty = false;
  shownAt = performance.now();
  try {
    const htmx = await loadedHtmx();
    // The notice above the content stays until the next page.
    const options = { target: "#content", select: "#content", swap: "outerMorph" };
    await htmx.ajax("GET", location.pathname + location.search, options);
    document.dispatchEvent(new CustomEvent("tidemill:refreshed"));
  } finally {
    isFetching = false;
  }
  refresh();
}

/**
 * Whether the page shows something that changed.
 * @param {string[]} topics
 */
function concerns(topics) {
  const shown = (document.getElementById("main")?.dataset.live ?? "").split(" ").filter(Boolean);
  return topics.includes("*") || shown.includes("*") || topics.some((topic) => shown.includes(topic));
}

/** @param {{ topics?: string[], connected?: boolean }} message */
function note(message) {
  if (message.connected !== undefined) showConnection(message.connected);
  if (message.topics === undefined) return;
  document.dispatchEvent(new CustomEvent("tidemill:changed"));
  isDirty ||= concerns(message.topics);
  // A page that is fetched again comes with the counts.
  if (!refresh()) noteCounts(message.topics);
}

/** Follow what changes, by the connection that all tabs share. */
export function followChanges() {
  const seq = Number(document.body.dataset.seq ?? "0");
  const script = document.body.dataset.stream;
  if (!script || document.getElementById("main") === null) return;
  /** @type {(message: object) => void} */
  let say;
  if ("SharedWorker" in window) {
    const worker = new SharedWorker(script, { name: "tidemill" });
    worker.port.onmessage = ({ data }) => note(data);
    worker.port.start();
    say = (message) => worker.port.postMessage(message);
  } else {
    say = followAlone(seq);
  }
  say({ seq, hidden: document.hidden });
  document.addEventListener("visibilitychange", () => {
    say({ hidden: document.hidden });
    if (!document.hidden) refresh();
    showMissedCounts();
  });
  window.addEventListener("pagehide", () => say({ gone: true }));
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) say({ seq, hidden: document.hidden });
  });
  document.addEventListener("input", noteForm);
  document.addEventListener("htmx:before:swap", beforeSwap);
  document.querySelector("#changed button")?.addEventListener("click", showChanged);
  document.addEventListener("focusout", () => setTimeout(refresh));
}

/**
 * Follow changes by a connection of this tab's own, where a browser has no shared workers.
 * @param {number} seq
 * @returns {(message: object) => void}
 */
function followAlone(seq) {
  /** @type {EventSource | null} */
  let source = null;
  let last = seq;
  let ledger = "";
  return (message) => {
    const hidden = "hidden" in message ? message.hidden : "gone" in message;
    source?.close();
    source = null;
    if (hidden) return;
    source = new EventSource(`/events?after=${last}&ledger=${ledger}`);
    source.addEventListener("ledger", (event) => {
      ledger = event.data;
    });
    source.onopen = () => note({ connected: true });
    source.onerror = () => note({ connected: false });
    source.addEventListener("change", (event) => {
      last = Number(event.lastEventId);
      note({ topics: JSON.parse(event.data).topics });
    });
  };
}
