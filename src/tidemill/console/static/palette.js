// @ts-check

/** @typedef {{ text: string, hint: string, words: string, href: string, isFirst?: boolean }} Entry */
/** @typedef {{ name: string, about: string, words: string, path: string, is_first: boolean }} Place */

// So many are listed of those that fit what is typed.
const MOST = 30;
// What can't be answered yet is asked for again after this time.
const AGAIN_MS = 1000;

/** @type {Promise<Entry[]> | undefined} What one can go to beside pages, until something changes. */
let places;

/** @returns {Entry[]} The pages, each once. */
function pages() {
  const links = document.querySelectorAll("[data-palette]");
  return [...links].map((link) => ({
    text: link.textContent?.trim() ?? "",
    hint: link.getAttribute("data-palette") ?? "",
    words: "page",
    href: link.getAttribute("href") ?? "",
  }));
}

/**
 * Ask for what one can go to; an error if that can't be told yet, and nothing if this person may not see it.
 * @param {string} address
 * @returns {Promise<Entry[]>}
 */
async function askForPlaces(address) {
  const answer = await fetch(address);
  if (answer.status >= 500) throw new Error(`${answer.status}`);
  if (!answer.ok) return [];
  const environment = new URL(address, location.href).searchParams.get("env");
  /** @type {{ places: Place[] }} */
  const found = await answer.json();
  return found.places.map(({ name, about, words, path, is_first: isFirst }) => {
    const href = new URL(path, location.href);
    if (environment && !href.searchParams.has("env")) href.searchParams.set("env", environment);
    return { text: name, hint: about, words, href: href.pathname + href.search, isFirst };
  });
}

/**
 * How well an entry fits the words that are typed, 0 best; undefined if not all of them occur.
 * @param {Entry} entry
 * @param {string[]} typed
 */
function rank(entry, typed) {
  const name = entry.text.toLowerCase();
  const whole = typed.join(" ");
  if (name === whole) return 0;
  if (name.startsWith(whole)) return 1;
  if (typed.every((word) => name.includes(word))) return 2;
  const all = `${name} ${entry.hint} ${entry.words}`.toLowerCase();
  if (all.includes(whole)) return 3;
  if (typed.every((word) => all.includes(word))) return 4;
  return all.replaceAll(" ", "").includes(typed.join("")) ? 5 : undefined;
}

/**
 * Those that fit what is typed, the best first; if nothing is, all pages, behind what comes first.
 * @param {Entry[]} entries
 * @param {string} text
 */
function fitting(entries, text) {
  const typed = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!typed.length) return [...entries.filter((entry) => entry.isFirst), ...pages()];
  const ranked = entries.map((entry) => ({ entry, rank: rank(entry, typed) ?? -1 }));
  const found = ranked.filter((each) => each.rank >= 0);
  found.sort((one, other) => Number(other.entry.isFirst ?? false) - Number(one.entry.isFirst ?? false) || one.rank - other.rank);
  return found.slice(0, MOST).map((each) => each.entry);
}

/** Open the list of pages with Ctrl-K or a button, to go to the one that is chosen. */
export function offerPalette() {
  const open = prepare();
  if (open === undefined) return;
  for (const button of document.querySelectorAll("[data-opens=palette]")) button.addEventListener("click", open);
  document.addEventListener("tidemill:changed", () => {
    places = undefined;
  });
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
  const none = document.getElementById("palette-none");
  if (!(dialog instanceof HTMLDialogElement) || !(field instanceof HTMLInputElement) || !list || !none) return undefined;
  let chosen = 0;
  /** @type {Entry[]} */
  let known = [];
  /** @type {Entry[]} */
  let shown = [];
  let isAsking = false;

  const draw = () => {
    shown = fitting([...pages(), ...known], field.value);
    chosen = Math.min(chosen, Math.max(shown.length - 1, 0));
    list.replaceChildren(...shown.map(item));
    list.hidden = !shown.length;
    none.textContent = isAsking ? "Looking for stages, columns, runs ..." : shown.length ? "" : `Nothing found for "${field.value}".`;
    field.setAttribute("aria-activedescendant", shown.length ? `palette-${chosen}` : "");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
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
  const learn = async () => {
    isAsking = true;
    draw();
    places ??= askForPlaces(dialog.dataset.places ?? "");
    try {
      known = await places;
      isAsking = false;
    } catch {
      // The workflow is opened for the first time, or the console starts again.
      places = undefined;
      if (dialog.open) setTimeout(learn, AGAIN_MS);
    }
    draw();
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
    dialog.showModal();
    learn();
  };
}
