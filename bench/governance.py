"""Governance: what rules, records and pages cost.

`python -m bench.governance [PART...]` prints a table and writes results/governance.json. Each part runs in
a process of its own, `inside_governance.py`, and measures CPU seconds.
"""

from __future__ import annotations

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


def parts(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """All parts by name."""
    return {"policy": partial(policy, work), "audit": partial(audit, work)}


if __name__ == "__main__":
    drive("governance", sys.argv[1:], parts)
