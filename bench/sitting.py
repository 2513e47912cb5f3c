"""Measure benchmarks in one sitting, and compare with the figures before: `python -m bench.sitting NAME...`.

A row is worse when its figure got worse by more than its noise: what its runs and earlier sittings differed
by, and at least a tenth. A benchmark with such a row is measured once more, so that one bad minute blames
nobody, and its rows keep by how much the two sittings differed. Ends with 1 when a row is worse in both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from bench.common import PYTHON, RESULTS, others_share

Result: TypeAlias = Mapping[str, Any]
# A figure may differ by a tenth between sittings, however little its runs did.
_LEAST_NOISE = 0.1
# Others may use so much of the machine, in percent, before it isn't quiet; and how long it is waited for.
_QUIET, _WATCH_S, _WAIT_S = 5.0, 3.0, 60.0
# Units in which figures can be compared between machines: ratios, shares and counts.
_OF_ALL_MACHINES = {"x", "%", "", "bytes", "steps", "edits", "calls"}


def main(names: Sequence[str]) -> int:
    """Measure benchmarks by name one after the other; the exit code."""
    found = {name: list(_measure(name)) for name in names}
    for name, rows in found.items():
        for row in rows:
            print(f"worse: {name}: {row}")
    return int(any(found.values()))


def _measure(name: str) -> Iterator[str]:
    """Measure a benchmark; the rows that are worse than before, in words."""
    _wait_until_quiet(name)
    before = _read(name)
    after = _run(name)
    if not (suspects := worse_rows(before, after)):
        return
    print(f"{name}: measured again, since {len(suspects)} rows are worse", flush=True)
    again = _run(name)
    _keep_noise(name, after, again)
    yield from (told for row, told in worse_rows(before, again).items() if row in suspects)


def worse_rows(before: Result, after: Result) -> dict[str, str]:
    """The rows that are worse than those of the same name before, each with its figures in words."""
    alike = all(before["machine"].get(key) == after["machine"].get(key) for key in ("cpu", "cores"))
    earlier = {row["name"]: row for row in before["rows"]}
    found: dict[str, str] = {}
    for row in after["rows"]:
        was = earlier.get(row["name"])
        if was is None or not (alike or row["unit"] in _OF_ALL_MACHINES):
            continue
        noise = max(_LEAST_NOISE, was.get("noise", 0.0), row.get("noise", 0.0))
        if _loss(was, row) > noise:
            told = f"{was['value']:g} before, {row['value']:g} {row['unit']}".rstrip()
            found[row["name"]] = f"{row['name']}: {told}, noise {100 * noise:.0f} %"
    return found


def _loss(was: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """By what share the figure is worse; of a count that was to be nothing, any one is."""
    if was["goal"] is None and now["goal"] is None and now["unit"] in {"", "%"}:
        # What is told beside the others, such as the size of what was measured.
        return 0.0
    old, new = was["value"], now["value"]
    if now["least"] or now["unit"] == "/s":
        old, new = new, old
    if old <= 0:
        return float(new > 0)
    return float(new / old - 1)


def _keep_noise(name: str, first: Result, second: Result) -> None:
    """Note in the rows by how much two sittings differed."""
    earlier = {row["name"]: row["value"] for row in first["rows"]}
    rows = [
        {
            **row,
            "noise": max(
                row.get("noise", 0.0), _difference(earlier.get(row["name"]), row["value"])
            ),
        }
        for row in second["rows"]
    ]
    text = json.dumps({**second, "rows": rows}, indent=1)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _difference(one: float | None, other: float) -> float:
    if one is None or min(one, other) <= 0:
        return 0.0
    return round(abs(one - other) / min(one, other), 3)


def _run(name: str) -> Result:
    subprocess.run([PYTHON, "-m", f"bench.{name}"], check=True)
    found = _read(name)
    if (others := found["machine"].get("others_percent", 0.0)) > _QUIET:
        print(f"{name}: the machine wasn't quiet: others used {others:.0f} % of it", flush=True)
    return found


def _read(name: str) -> Result:
    """What is saved of a benchmark; nothing before its first sitting."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return {"machine": {}, "rows": []}
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _wait_until_quiet(name: str) -> None:
    """Wait a while for others to end, and say it when they don't."""
    until = time.monotonic() + _WAIT_S
    while (share := _watch()) > _QUIET:
        if time.monotonic() > until:
            print(f"{name}: the machine isn't quiet: others use {share:.0f} % of it", flush=True)
            return


def _watch() -> float:
    with others_share() as percent:
        time.sleep(_WATCH_S)
    return percent()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
