"""Measure benchmarks in one sitting, beside the committed figures: `python -m bench.sitting NAME...`.

A row is worse when its figure got worse by more than its noise: what its runs and earlier sittings differed
by, at least a tenth and at most a half. A part with such a row is measured once more, so that one bad minute
blames nobody, and its rows keep by how much the two sittings differed. Ends with 1 when a row is worse in
both, or is missing, or when a benchmark failed; the others are measured all the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from bench.common import (
    MARK,
    MOST_NOISE,
    PYTHON,
    QUIET,
    RESULTS,
    ROOT,
    SAVE,
    numbered,
    others_share,
)

Result: TypeAlias = Mapping[str, Any]
# A figure may differ by a tenth between sittings, however little its runs did.
_LEAST_NOISE = 0.1
# How long others are watched, and waited for.
_WATCH_S, _WAIT_S = 3.0, 60.0
# Units in which figures can be compared between machines: ratios, shares and counts.
_OF_ALL_MACHINES = {"x", "%", "", "bytes", "steps", "edits", "calls"}
# Units of which less, or for a rate more, is better also in rows without a goal.
_COSTS = {"s", "ms", "us", "ns", "MB", "/s"}


def main(names: Sequence[str]) -> int:
    """Measure benchmarks by name one after the other; the exit code."""
    found = False
    for name in names:
        try:
            for told in _measure(name):
                found = True
                print(f"worse: {name}: {told}", flush=True)
        except subprocess.CalledProcessError as error:
            found = True
            print(f"failed: {name}: {error}", flush=True)
    return int(found)


def _measure(name: str) -> Iterator[str]:
    """Measure a benchmark; the rows that are worse than the committed ones, in words."""
    _wait_until_quiet(name)
    before = _committed(name)
    after = _run(name)
    if not (suspects := worse_rows(before, after)):
        return
    now, again = numbered(after["rows"]), after
    if slower := [now[key] for key in suspects if key in now]:
        parts = list(dict.fromkeys(row.get("part", "") for row in slower))
        which = ", ".join(parts) if all(parts) else "all of it"
        print(f"{name}: {which} measured again, since {len(slower)} rows are worse", flush=True)
        again = _run(name, parts if all(parts) else ())
        _keep_noise(name, after, again)
    yield from (told for row, told in worse_rows(before, again).items() if row in suspects)


def worse_rows(before: Result, after: Result) -> dict[tuple[str, int], str]:
    """The rows that are worse than those of the same name before, or gone, each in words."""
    alike = _are_alike(before["machine"], after["machine"])
    now = numbered(after["rows"])
    found: dict[tuple[str, int], str] = {}
    for key, was in numbered(before["rows"]).items():
        row = now.get(key)
        if row is None:
            found[key] = f"{was['name']}: it isn't measured any more"
        elif alike or row["unit"] in _OF_ALL_MACHINES:
            noise = max(_LEAST_NOISE, min(was.get("noise", 0.0), MOST_NOISE))
            if _loss(was, row) > noise:
                told = f"{was['value']:g} before, {row['value']:g} {row['unit']}".rstrip()
                found[key] = f"{row['name']}: {told}, noise {100 * noise:.0f} %"
    return found


def _are_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two machines are as fast as each other, so that their seconds can be compared."""
    slower, faster = sorted((each.get("pace_ms", 0.0) for each in (one, other)), reverse=True)
    same = all(one.get(key) == other.get(key) for key in ("cpu", "cores"))
    return same and slower <= faster * (1 + _LEAST_NOISE)


def _loss(was: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """By what share a figure is worse; of one that was nothing, which share of its goal it is now."""
    goal = now["goal"]
    if goal is None and now["unit"] not in _COSTS:
        # What is told beside the others, such as the size of what was measured.
        return 0.0
    old, new = was["value"], now["value"]
    if now.get("least", False) or now["unit"] == "/s":
        old, new = new, old
    if old > 0:
        return float(new / old - 1)
    if goal is None or new <= 0:
        return 0.0
    return float(new / goal) if goal else float("inf")


def _keep_noise(name: str, first: Result, second: Result) -> None:
    """Note in the rows by how much two sittings differed, if others kept quiet in both."""
    if any(each["machine"].get("others_percent", 0.0) > QUIET for each in (first, second)):
        return
    earlier = numbered(first["rows"])
    rows = [
        {**row, "noise": max(row.get("noise", 0.0), _difference(earlier.get(key), row))}
        for key, row in numbered(second["rows"]).items()
    ]
    text = json.dumps({**second, "rows": rows}, indent=1)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _difference(first: Mapping[str, Any] | None, second: Mapping[str, Any]) -> float:
    least = 0.0 if first is None else min(first["value"], second["value"])
    if first is None or least <= 0:
        return 0.0
    return min(MOST_NOISE, float(round(abs(first["value"] - second["value"]) / least, 3)))


def _run(name: str, parts: Sequence[str] = ()) -> Result:
    """Measure all parts of a benchmark, or some; the results as they are saved then."""
    path = RESULTS / f"{name}.json"
    before = path.stat().st_mtime_ns if path.exists() else 0
    command = [PYTHON, "-m", f"bench.{name}", *parts, *([SAVE] if parts else [])]
    _run_command(command)
    if not path.exists() or path.stat().st_mtime_ns == before:
        raise subprocess.CalledProcessError(0, command, "it saved nothing")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    if (others := found["machine"].get("others_percent", 0.0)) > QUIET:
        print(f"{name}: the machine wasn't quiet: others used {others:.0f} % of it", flush=True)
    return found


def _run_command(command: Sequence[str]) -> None:
    # What an earlier benchmark left behind isn't of this one.
    variables = {name: value for name, value in os.environ.items() if name != MARK}
    subprocess.run(command, check=True, env=variables)


def _committed(name: str) -> Result:
    """The committed figures of a benchmark; nothing if there are none."""
    text = _git_file(f"bench/results/{name}.json")
    found = json.loads(text) if text else {"machine": {}, "rows": []}
    assert isinstance(found, dict)
    return found


def _git_file(path: str) -> str:
    """The text of a file as it is committed; "" if it isn't."""
    done = subprocess.run(
        ["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def _wait_until_quiet(name: str) -> None:
    """Wait a while for others to end, and say it when they don't."""
    until = time.monotonic() + _WAIT_S
    while (share := _watch()) > QUIET:
        if time.monotonic() > until:
            print(f"{name}: the machine isn't quiet: others use {share:.0f} % of it", flush=True)
            return


def _watch() -> float:
    with others_share() as percent:
        time.sleep(_WATCH_S)
    return percent()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
