// @ts-check

/** @typedef {{ text: string, hint: string, href: string }} Entry */

/** @returns {Entry[]} */
function entries() {
  const links = document.querySelectorAll("[data-palette]");
  return [...links].map((link) => ({
    text: link.textContent?.trim() ?? "",
    hint: link.getAttribute("data-palette") ?? "",
    href: link.getAttribute("href") ?? "",
  }));
}

/**
 * Whether the letters of what is typed occur in this order.
 * @param {string} text
 * @param {string} typed
 */
function fits(text, typed) {
  let at = 0;
  for (const letter of text.toLowerCase()) if (letter === typed[at]) at += 1;
  return at >= typed.length;
}

/**
 * How well an entry fits what is typed: the beginning of its name best.
 * @param {Entry} entry
 * @param {string} typed
 */
function rank(entry, typed) {
  const name = entry.text.toLowerCase().replaceAll(" ", "");
  if (name.startsWith(typed)) return 0;
  if (name.includes(typed)) return 1;
  return entry.hint.toLowerCase().replaceAll(" ", "").includes(typed) ? 2 : 3;
}

/** Open the list of pages with Ctrl-K or the button, to go to the one that is chosen. */
export function offerPalette() {
  const open = prepare();
  if (open === undefined) return;
  document.getElementById("open-palette")?.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
}

/** @returns {(() => void) | undefined} What opens the list. */
function prepare() {
  const dialog = document.getElementById("palette");
  const field = document.getElementById("palette-field");
  const list = document.getElementById("palette-list");
  if (!(dialog instanceof HTMLDialogElement) || !(field instanceof HTMLInputElement) || !list) return undefined;
  let chosen = 0;
  /** @type {Entry[]} */
  let shown = [];

  const draw = () => {
    const typed = field.value.toLowerCase().replaceAll(" ", "");
    shown = entries()
      .filter((each) => fits(`${each.text} ${each.hint}`, typed))
      .sort((one, other) => rank(one, typed) - rank(other, typed))
      .slice(0, 12);
    chosen = Math.min(chosen, Math.max(shown.length - 1, 0));
    list.replaceChildren(...shown.map(item));
    field.setAttribute("aria-activedescendant", shown.length ? `palette-${chosen}` : "");
  };
  /** @param {Entry} entry @param {number} number */
  const item = (entry, number) => {
    const element = document.createElement("li");
    element.id = `palette-${number}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(number === chosen));
    const hint = document.createElement("span");
    hint.className = "soft";
    hint.textContent = entry.hint;
    element.append(entry.text, " ", hint);
    element.addEventListener("click", () => location.assign(entry.href));
    return element;
  };
  field.addEventListener("input", () => {
    chosen = 0;
    draw();
  });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && shown.length) {
      event.preventDefault();
      chosen = (chosen + step + shown.length) % shown.length;
      draw();
    }
    if (event.key === "Enter" && shown[chosen]) {
      event.preventDefault();
      location.assign(shown[chosen].href);
    }
  });
  return () => {
    if (dialog.open) return;
    field.value = "";
    chosen = 0;
    draw();
    dialog.showModal();
  };
}
