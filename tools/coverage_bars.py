"""Hold coverage to its bars: `coverage_bars.py COVERAGE_JSON` exits 1 when one is missed.

Pure code is covered whole: every module outside of the folders `io/` and of the packages at the
edge. The rest of the package, taken together, is covered to 95 %. With `--own` the report is of the
own tests of pure code, which cover 99 % of it. A share is of statements and branches together.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

BARS = {"pure": 100.0, "rest": 95.0}
OWN_BARS = {"pure": 99.0}
PACKAGE = "tidemill"
EDGE = {
    "ports",
    "store",
    "project",
    "adapters",
    "cli",
    "console",
    "testing",
    "__init__.py",
    "__main__.py",
}


@dataclass(slots=True)
class Tally:
    """Covered and all statements and branches of some files, with a line for each gap."""

    covered: int = 0
    total: int = 0
    gaps: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        return 100 * self.covered / self.total if self.total else 100.0


def bar_of(path: str) -> str:
    """The bar's name for a source file, whose path may be relative or absolute."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    inside = parts[len(parts) - parts[::-1].index(PACKAGE) :] if PACKAGE in parts else ()
    return "rest" if not inside or inside[0] in EDGE or "io" in inside else "pure"


def add_file(path: str, report: Mapping[str, Any], tally: Tally) -> None:
    """Add one file of coverage's report."""
    summary = report["summary"]
    tally.covered += summary["covered_lines"] + summary["covered_branches"]
    tally.total += summary["num_statements"] + summary["num_branches"]
    lines = [str(line) for line in report["missing_lines"]]
    branches = [f"{start}->{end}" for start, end in report["missing_branches"]]
    if lines or branches:
        tally.gaps.append(f"  {path}: {', '.join([*lines, *branches])}")


def tally_bars(report: Mapping[str, Any]) -> dict[str, Tally]:
    """One tally a bar, of the report that `coverage json` writes with branches on."""
    tallies = {bar: Tally() for bar in BARS}
    for path, of_file in sorted(report["files"].items()):
        add_file(path, of_file, tallies[bar_of(path)])
    return tallies


def main(path: Path, bars: Mapping[str, float] = BARS) -> int:
    """Print each bar's share, then its gaps; 1 when a bar is missed or nothing was measured for it."""
    tallies = tally_bars(json.loads(path.read_text(encoding="utf-8")))
    missed = False
    for bar, least in bars.items():
        tally = tallies[bar]
        short = tally.total == 0 or tally.percent < least
        missed = missed or short
        share = f"{tally.percent:.2f} %" if tally.total else "not measured"
        print(f"{'MISSED ' if short else ''}{bar}: {share} (at least {least:g} %)")
        if tally.gaps:
            print("\n".join(tally.gaps))
    return 1 if missed else 0


if __name__ == "__main__":
    *options, report = sys.argv[1:] or [""]
    if not report or options not in ([], ["--own"]):
        sys.exit("usage: coverage_bars.py [--own] COVERAGE_JSON")
    sys.exit(main(Path(report), OWN_BARS if options else BARS))
