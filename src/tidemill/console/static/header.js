// @ts-check
// What the header says, whatever the page is about.

const COUNTED = ["incidents", "runs", "reviews", "*"];
const LEAST_MS = 1000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

let isWaiting = false;
let isMissed = false;
let shownAt = -LEAST_MS;

/** Fetch the counts alone. */
async function refreshCounts() {
  isWaiting = false;
  isMissed = document.hidden;
  const counts = document.getElementById("counts");
  if (isMissed || counts?.dataset.url === undefined) return;
  shownAt = performance.now();
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
export function noteCounts(topics) {
  if (isWaiting || !topics.some((topic) => COUNTED.includes(topic))) return;
  isWaiting = true;
  setTimeout(refreshCounts, Math.max(0, shownAt + LEAST_MS - performance.now()));
}

/** Show what changed while nobody looked. */
export function showMissedCounts() {
  if (isMissed && !document.hidden) refreshCounts();
}

/**
 * Say whether changes still arrive, and if they don't, since when.
 * @param {boolean} isConnected
 */
export function showConnection(isConnected) {
  document.body.dataset.connected = String(isConnected);
  const line = document.getElementById("connection");
  if (line === null) return;
  if (isConnected) line.textContent = "";
  else if (!line.textContent) line.textContent = `not connected: as of ${clock.format(new Date())}`;
}
