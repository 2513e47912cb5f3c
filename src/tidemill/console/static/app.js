// @ts-check
import { followChanges } from "./live.js";
import { openPalette } from "./palette.js";
import { showTimes } from "./times.js";
import { followLog } from "./log.js";

/** Let the button choose between light, dark, and what the system says. */
function switchThemes() {
  const order = ["system", "light", "dark"];
  const button = document.getElementById("theme");
  const current = () => localStorage.getItem("tidemill-theme") ?? "system";
  const show = () => {
    const chosen = current();
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    if (button) button.textContent = `Theme: ${chosen}`;
  };
  button?.addEventListener("click", () => {
    const next = order[(order.indexOf(current()) + 1) % order.length];
    localStorage.setItem("tidemill-theme", next);
    show();
  });
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

switchThemes();
sendFilters();
sendOnce();
showTimes(document.body);
openPalette();
followChanges();
followLog();
