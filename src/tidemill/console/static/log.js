// @ts-check
import { showTimes } from "./times.js";

const EVERY_MS = 1000, AGAIN_MS = 5000;

/**
 * The log of a page of the server; null if it can't be reached now.
 * @param {string} url
 */
async function fetchLog(url) {
  try {
    const answer = await fetch(url, { headers: { "HX-Request": "true" } });
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("log");
  } catch {
    return null;
  }
}

/** Add the new lines of a log while its run goes on and somebody looks. */
export function followLog() {
  const log = document.getElementById("log");
  if (!log) return;
  const failed = log.querySelector("#failed");
  if (failed) log.scrollTop += failed.getBoundingClientRect().top - log.getBoundingClientRect().top;
  else log.scrollTop = log.scrollHeight;

  const more = async () => {
    if (log.dataset.more === undefined) return;
    const found = document.hidden ? null : await fetchLog(log.dataset.more);
    if (found) {
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      showTimes(found);
      log.append(...found.children);
      if (found.dataset.more === undefined) delete log.dataset.more;
      else log.dataset.more = found.dataset.more;
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    }
    setTimeout(more, found || document.hidden ? EVERY_MS : AGAIN_MS);
  };
  setTimeout(more, EVERY_MS);
}
