// @ts-check
import { noteCounts, showConnection, showMissedCounts } from "./header.js";
import { showTimes } from "./times.js";

/** @typedef {{ ajax: (verb: string, path: string, options: object) => Promise<void> }} Htmx */

// Changes that come together are shown together.
const TOGETHER_MS = 15;
// What is shown is fetched again at most so often; a page that takes long to make says how often instead.
const LEAST_MS = 250;

let isDirty = false;
let isFetching = false;
let shownAt = 0;

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
 * Keep what is shown, and say so, if what a begun form is about has changed or is gone.
 * @param {Event} event
 */
function keepBegun(event) {
  const { ctx } = /** @type {CustomEvent<{ ctx: { text: string } }>} */ (event).detail;
  const page = new DOMParser().parseFromString(ctx.text, "text/html");
  const there = new Set([...page.querySelectorAll("form")].map(subject));
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

/** Fetch the page again, and change what differs. */
async function refresh() {
  const isAsked = document.getElementById("changed")?.hidden === false;
  if (isFetching || document.hidden || isTyping() || isAsked || !isDirty) return;
  const least = Number(document.getElementById("main")?.dataset.least) || LEAST_MS;
  const wait = shownAt + least - performance.now();
  if (wait > 0) {
    setTimeout(refresh, wait);
    return;
  }
  isFetching = true;
  isDirty = false;
  shownAt = performance.now();
  try {
    const htmx = /** @type {{ htmx: Htmx }} */ (/** @type {unknown} */ (window)).htmx;
    // The notice above the content stays until the next page.
    const options = { target: "#content", select: "#content", swap: "outerMorph" };
    await htmx.ajax("GET", location.pathname + location.search, options);
    showTimes(document.body);
    document.dispatchEvent(new CustomEvent("tidemill:refreshed"));
  } finally {
    isFetching = false;
  }
  if (isDirty) setTimeout(refresh, TOGETHER_MS);
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
  noteCounts(message.topics);
  if (!concerns(message.topics)) return;
  isDirty = true;
  setTimeout(refresh, TOGETHER_MS);
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
  document.addEventListener("htmx:before:swap", keepBegun);
  document.querySelector("#changed button")?.addEventListener("click", showChanged);
  document.addEventListener("focusout", () => setTimeout(refresh, TOGETHER_MS));
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
