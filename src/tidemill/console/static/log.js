// @ts-check
import { showTimes } from "./times.js";

const EVERY_MS = 1000;

/** Add the new lines of a log while its run goes on and somebody looks. */
export function followLog() {
  const log = document.getElementById("log");
  if (!log) return;
  const failed = log.querySelector("#failed");
  if (failed) log.scrollTop += failed.getBoundingClientRect().top - log.getBoundingClientRect().top;
  else log.scrollTop = log.scrollHeight;

  const more = async () => {
    const { next, running } = log.dataset;
    if (running === undefined) return;
    if (document.hidden || next === undefined) {
      setTimeout(more, EVERY_MS);
      return;
    }
    const url = new URL(location.href);
    url.searchParams.set("first", next);
    const answer = await fetch(url, { headers: { "X-Requested-With": "tidemill" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("log");
    if (!found) return;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    showTimes(found);
    log.append(...found.children);
    log.dataset.next = found.dataset.next;
    if (found.dataset.running === undefined) delete log.dataset.running;
    if (isAtEnd) log.scrollTop = log.scrollHeight;
    setTimeout(more, EVERY_MS);
  };
  setTimeout(more, EVERY_MS);
}
