// @ts-check

const format = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

/** @param {Date} date */
export function localText(date) {
  /** @type {Record<string, string>} */
  const part = {};
  for (const each of format.formatToParts(date)) part[each.type] = each.value;
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}`;
}

/**
 * Show the times in an element in the zone of who looks; their titles keep UTC.
 * @param {ParentNode} root
 */
export function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.getAttribute("datetime") ?? "");
    if (!Number.isNaN(date.valueOf())) element.textContent = localText(date);
  }
}
