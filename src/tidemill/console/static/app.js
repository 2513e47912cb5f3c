// @ts-check
import { followChanges } from "./live.js";
import { offerPalette } from "./palette.js";
import { showTimes } from "./times.js";

/** Let the buttons choose between light, dark, and what the system says; a cookie tells the server. */
function switchThemes() {
  const order = ["system", "light", "dark"];
  const buttons = document.querySelectorAll("[data-does=theme]");
  const root = document.documentElement;
  const show = () => {
    for (const button of buttons) button.textContent = `Theme: ${root.dataset.theme ?? "system"}`;
  };
  const change = () => {
    const next = order[(order.indexOf(root.dataset.theme ?? "system") + 1) % order.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    document.cookie = `tidemill-theme=${next}; path=/; max-age=31536000; samesite=lax`;
    show();
  };
  for (const button of buttons) button.addEventListener("click", change);
  show();
}

/** Let a change of a filter show its result at once. */
function sendFilters() {
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLSelectElement || field instanceof HTMLInputElement)) return;
    const form = field.form;
    if (form?.dataset.filter !== undefined) form.requestSubmit();
  });
}

/** Take care that a form is sent once, however often its button is pressed. */
function sendOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post") return;
    if (form.dataset.sent !== undefined) event.preventDefault();
    form.dataset.sent = "";
  });
  // Back in history, a form may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) form.removeAttribute("data-sent");
  });
}

/** Begin to look at graphs that are wider than the screen at their first stage. */
function centreGraphs() {
  for (const graph of document.querySelectorAll(".drawing.graph")) {
    const first = graph.querySelector("a")?.getBoundingClientRect();
    if (first) graph.scrollLeft += first.left - graph.getBoundingClientRect().left - (graph.clientWidth - first.width) / 2;
  }
}

/** Load what is needed to look closer at numbers over time, if the page has any. */
async function exploreSeries() {
  if (document.querySelector("[data-series]") === null) return;
  (await import("./series.js")).exploreSeries();
}

switchThemes();
sendFilters();
sendOnce();
centreGraphs();
showTimes(document.body);
followChanges();
offerPalette();
exploreSeries();
document.addEventListener("tidemill:refreshed", exploreSeries);
if (document.getElementById("log")) import("./log.js").then(({ followLog }) => followLog());
