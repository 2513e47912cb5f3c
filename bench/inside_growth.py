"""Measure how a home grows when data changes every day, and print the figures as a line of JSON.

    python bench/inside_growth.py 200

A bakery gets a new day every day, and one of the last days is corrected. After so many runs a sweep and a
compaction follow; the state is compared with that of one run on the final data.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tidemill.cli.init import create_project
from tidemill.project.ledger_compaction import LedgerCompaction
from tidemill.project.project import Project, open_project

FIRST_DAYS = 30
START = 1_770_000_000.0
DAY_S = 86_400.0
# Corrections reach so many days back.
CORRECTED = 14


def bytes_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def open_at(root: Path, now: float) -> Project:
    """The project at a time."""
    project = open_project(root)
    project.workspace.tools = replace(project.tools, clock=lambda: now)
    return project


def correct_one(folder: Path, seed: int) -> None:
    """Change a figure of one of the last days, as a till does that sends it again."""
    files = sorted((folder / "data" / "sales").glob("*.csv"))
    path = random.Random(seed).choice(files[-CORRECTED - 1 : -1])
    lines = path.read_text().splitlines()
    *rest, sold = lines[5].split(",")
    lines[5] = ",".join((*rest, str(abs(int(float(sold))) + 1)))
    path.write_text("\n".join(lines) + "\n")


def grow(root: Path, days: int) -> float:
    """Run once a day for so many days; the time after them."""
    add_days = import_module("new_day").add_days
    now = START
    for day in range(days):
        add_days(root / "data", 1 if day else FIRST_DAYS)
        if day:
            correct_one(root, day)
        with closing(open_at(root, now)) as project:
            project.run(raise_on_failure=False)
        now += DAY_S
    return now


def sizes(root: Path) -> dict[str, int]:
    """The bytes of a home, and of its ledger."""
    home = root / ".tidemill"
    return {"state": bytes_of(home), "ledger": (home / "ledger.db").stat().st_size}


def measure(days: int, folder: Path) -> dict[str, float]:
    """The figures of so many changed days."""
    root = folder / "bakery"
    create_project(root)
    shutil.rmtree(root / "data", ignore_errors=True)
    # The template keeps everything for more than a year.
    settings = root / "pyproject.toml"
    settings.write_text(settings.read_text().replace('keep = "400d"', 'keep = "7d"'))
    sys.path.insert(0, str(root))
    now = grow(root, days)
    grown = sizes(root)
    # The files are as old as what was recorded of them, not as this process.
    for path in (root / ".tidemill" / "objects").rglob("*.*"):
        os.utime(path, (now - DAY_S, now - DAY_S))
    began = time.process_time()
    with closing(open_at(root, now)) as project:
        swept = project.retention.sweep()
        LedgerCompaction(project.workspace).compact()
    cpu_s = time.process_time() - began
    kept = sizes(root)
    fresh = folder / "fresh" / "bakery"
    shutil.copytree(root, fresh, ignore=shutil.ignore_patterns(".tidemill", "out"))
    with closing(open_at(fresh, now)) as project:
        project.run(raise_on_failure=False)
    built = sizes(fresh)
    return {
        "days": days,
        **{f"{name}_grown": value for name, value in grown.items()},
        **{f"{name}_kept": value for name, value in kept.items()},
        **{f"{name}_built": value for name, value in built.items()},
        "objects_swept": swept.objects,
        "upkeep_cpu_s": round(cpu_s, 2),
        "ratio_grown": round(grown["state"] / built["state"], 2),
        "ratio_kept": round(kept["state"] / built["state"], 2),
    }


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(days, Path(folder))))


if __name__ == "__main__":
    main()
