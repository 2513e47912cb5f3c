// @ts-check
// A worker that all tabs of a browser share: one connection to the server tells all of them what changed.

/** @typedef {{ id: number, topics: string[] }} Change */
/** @typedef {{ port: MessagePort, hidden: boolean }} Tab */

const MOST = 500;
/** @type {Set<Tab>} */
const tabs = new Set();
/** @type {Change[]} */
const recent = [];
/** @type {EventSource | null} */
let source = null;
let first = 0;
let last = 0;
// Which ledger the numbers are of.
let ledger = "";

/** Listen while a tab is looked at. */
function tend() {
  const wanted = [...tabs].some((tab) => !tab.hidden);
  if (!wanted) {
    source?.close();
    source = null;
  } else if (source === null || source.readyState === EventSource.CLOSED) {
    source = new EventSource(`/events?after=${last}&ledger=${ledger}`);
    source.addEventListener("ledger", (event) => {
      ledger = event.data;
    });
    source.addEventListener("change", (event) => note(/** @type {MessageEvent} */ (event)));
    source.onerror = () => {
      // The browser tries again by itself, unless the server refused.
      if (source?.readyState === EventSource.CLOSED) setTimeout(tend, 3000);
      tell({ connected: false });
    };
    source.onopen = () => tell({ connected: true });
  }
}

/** @param {MessageEvent} event */
function note(event) {
  const change = { id: Number(event.lastEventId), topics: JSON.parse(event.data).topics };
  // The ledger was replaced by an older copy: what was told of the other one counts no more.
  if (change.id < last) {
    recent.length = 0;
    first = change.id;
  }
  last = change.id;
  recent.push(change);
  if (recent.length > MOST) first = recent.shift()?.id ?? first;
  tell({ topics: change.topics });
}

/** @param {object} message */
function tell(message) {
  for (const tab of tabs) tab.port.postMessage(message);
}

/**
 * Tell a tab that was drawn after the event number `seq` what it missed.
 * @param {Tab} tab
 * @param {number} seq
 */
function catchUp(tab, seq) {
  const missed = seq < first ? ["*"] : recent.filter((each) => each.id > seq).flatMap((each) => each.topics);
  if (missed.length) tab.port.postMessage({ topics: [...new Set(missed)] });
}

/** @param {MessageEvent} event */
function connect(event) {
  /** @type {Tab} */
  const tab = { port: event.ports[0], hidden: false };
  tab.port.onmessage = ({ data }) => {
    if (data.gone) tabs.delete(tab);
    if (data.hidden !== undefined) tab.hidden = data.hidden;
    if (data.seq !== undefined) {
      tabs.add(tab);
      if (last === 0) first = last = data.seq;
      catchUp(tab, data.seq);
    }
    tend();
  };
}

self.addEventListener("connect", (event) => connect(/** @type {MessageEvent} */ (event)));
