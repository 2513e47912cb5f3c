"""Governance: what rules, records and pages cost.

`python -m bench.governance [PART...]` prints a table and writes results/governance.json. Each part runs in
a process of its own, and measures CPU seconds.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.common import Row, drive, inside

SCRIPT = "inside_governance.py"


def policy(work: Path) -> list[Row]:
    """One decision by 20 rules, beside the same conditions as a plain function; and that it never allows."""
    found = inside(work, "policy", script=SCRIPT)
    plain = f"a plain Python function with the same conditions: {found['plain']:.2g} us"
    return [
        Row(name="20 rules, one decision", value=found["decide"], unit="us", goal=50, baseline=plain,
            runs=tuple(found["runs"])),
        Row(name="20 rules, all of them apply", value=found["all_hit"], unit="us", goal=50),
        Row(name="load a file of 20 rules", value=found["load"], unit="ms"),
        Row(name=f"decisions without a fact that are allowed, of {found['without']}",
            value=found["allowed"], unit="", goal=0),
        Row(name=f"rules with an unknown name that are loaded, of {found['misnamed']}",
            value=found["loaded"], unit="", goal=0),
    ]  # fmt: skip


def audit(work: Path) -> list[Row]:
    """The hash chain through events, in batches of 500, and the audit of 100,000 events."""
    found = inside(work, "audit", script=SCRIPT)
    return [
        Row(name="append an event with its link", value=found["append"], unit="us", goal=20,
            baseline=f"of it the link: {found['link']:.2g} us", runs=tuple(found["runs"])),
        Row(name="audit of 100,000 events with 100 checkpoints", value=found["verify"], unit="s", goal=1.5),
        Row(name="checkpoint after 1,000 events", value=found["checkpoint"], unit="ms"),
        Row(name="proof of one of 100,000 events", value=found["prove"], unit="s"),
    ]  # fmt: skip


def openlineage(work: Path) -> list[Row]:
    """Events of runs over 20 days of 20 columns: valid, small, cheap, and never in a run's way."""
    found = inside(work, script="inside_openlineage.py")
    more = statistics.median(found["with"])
    return [
        Row(name=f"events that aren't valid against core and facet schemas, of {found['events']}",
            value=found["invalid"], unit="", goal=0),
        Row(name="the largest event at 20 columns", value=found["bytes"], unit="B", goal=8000),
        Row(name="make and encode an event", value=statistics.median(found["made"]), unit="us",
            runs=tuple(found["made"])),
        Row(name="a run of 20 steps: CPU that events in a file add", value=more, unit="ms",
            baseline=f"the run without: {found['without']:.3g} ms", runs=tuple(found["with"])),
        Row(name="the same: time that a server that hangs adds", value=found["hanging"], unit="s", goal=2.5,
            baseline="it waits 2 s at its end"),
        Row(name="lineage of 1,000 columns that come from 1,000 each", value=found["wide_bytes"] / 1e6,
            unit="MB", goal=1, baseline=f"made in {found['wide_ms']:.3g} ms"),
    ]  # fmt: skip


def review(work: Path) -> list[Row]:
    """The page of a review of a model with many slices, in a home with a long history."""
    found = inside(work, "review", script=SCRIPT)
    return [
        Row(name=f"page of a review, of {found['reviews']:,} in the ledger", value=found["make"], unit="ms",
            goal=100, runs=tuple(found["runs"])),
        Row(name="size of the page", value=found["size"], unit="kB", goal=200),
    ]  # fmt: skip


def parts(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """All parts by name."""
    return {
        "policy": partial(policy, work),
        "audit": partial(audit, work),
        "openlineage": partial(openlineage, work),
        "review": partial(review, work),
    }


if __name__ == "__main__":
    drive("governance", sys.argv[1:], parts)
