"""Hold coverage to its bars: `coverage_bars.py COVERAGE_JSON` exits 1 when one is missed.

The nouns (domain) and the judgments (decide) are covered whole; the rest of the package, taken
together, to 95 %. A share is of statements and branches together.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

BARS = {"domain": 100.0, "decide": 100.0, "elsewhere": 95.0}
PACKAGE = "tidemill"


@dataclass(slots=True)
class Tally:
    """Covered and all statements and branches of some files, with a line for each gap."""

    covered: int = 0
    total: int = 0
    gaps: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        return 100 * self.covered / self.total if self.total else 100.0


def room_of(path: str) -> str:
    """The bar's name for a source file, whose path may be relative or absolute."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    inside = parts[len(parts) - parts[::-1].index(PACKAGE) :] if PACKAGE in parts else ()
    return inside[0] if inside and inside[0] in BARS else "elsewhere"


def add_file(path: str, report: Mapping[str, Any], tally: Tally) -> None:
    """Add one file of coverage's report."""
    summary = report["summary"]
    tally.covered += summary["covered_lines"] + summary["covered_branches"]
    tally.total += summary["num_statements"] + summary["num_branches"]
    lines = [str(line) for line in report["missing_lines"]]
    branches = [f"{start}->{end}" for start, end in report["missing_branches"]]
    if lines or branches:
        tally.gaps.append(f"  {path}: {', '.join([*lines, *branches])}")


def tally_rooms(report: Mapping[str, Any]) -> dict[str, Tally]:
    """One tally a bar, of the report that `coverage json` writes with branches on."""
    rooms = {room: Tally() for room in BARS}
    for path, of_file in sorted(report["files"].items()):
        add_file(path, of_file, rooms[room_of(path)])
    return rooms


def main(path: Path) -> int:
    """Print each room's share, then its gaps; 1 when a bar is missed or a room was not measured."""
    rooms = tally_rooms(json.loads(path.read_text(encoding="utf-8")))
    missed = False
    for room, tally in rooms.items():
        short = tally.total == 0 or tally.percent < BARS[room]
        missed = missed or short
        share = f"{tally.percent:.2f} %" if tally.total else "not measured"
        print(f"{'MISSED ' if short else ''}{room}: {share} (at least {BARS[room]:g} %)")
        if tally.gaps:
            print("\n".join(tally.gaps))
    return 1 if missed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: coverage_bars.py COVERAGE_JSON")
    sys.exit(main(Path(sys.argv[1])))
