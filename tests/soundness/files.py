"""The files of a workflow's sources, as rows, and on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from tests.soundness.model import TAGS

FIRST = date(2024, 5, 1)
_TYPES = {"day": "Date", "id": "Int64", "n": "Int64", "x": "Float64", "tag": "String"}
# Columns that no contract names at first.
_STRANGERS = {"extra": "Int64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file's rows in their order, and the type that each column has in it."""

    rows: tuple[Mapping[str, Any], ...]
    types: Mapping[str, str] = field(default_factory=lambda: {**_TYPES, **_STRANGERS})

    def with_rows(self, rows: list[Mapping[str, Any]]) -> File:
        return replace(self, rows=tuple(rows))

    def rows_of(self, partition: str) -> list[Mapping[str, Any]]:
        """The rows of a partition in their order."""
        return [row for row in self.rows if _key(row) == partition]

    def save(self, path: Path) -> None:
        """Write it as Parquet."""
        schema = {name: getattr(pl, kind) for name, kind in self.types.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(
            {name: [row.get(name) for row in self.rows] for name in schema}, schema=schema
        ).write_parquet(path, compression="uncompressed", statistics=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """All files: of each source by name."""

    of: Mapping[str, Mapping[str, File]]

    def rows(self, source: str) -> list[dict[str, Any]]:
        """A source's rows as they are read: file by file in the order of their names."""
        files = self.of[source]
        return [dict(row) for name in sorted(files) for row in files[name].rows]

    def put(self, source: str, name: str, file: File | None) -> Files:
        """The files with one more, another, or one less."""
        known = {key: value for key, value in self.of[source].items() if key != name}
        return Files(of={**self.of, source: {**known, name: file} if file else known})

    def feeding(self, source: str, partition: str) -> list[str]:
        """The files with rows of a partition."""
        return sorted(
            name
            for name, file in self.of[source].items()
            if any(_key(row) == partition for row in file.rows)
        )


def _key(row: Mapping[str, Any]) -> str:
    return "(none)" if row["day"] is None else str(row["day"])


def store(files: Files, before: Files | None, root: Path, aged: int = 0) -> None:
    """Make the folder hold these files; `aged` sets a time of change that is long ago."""
    for source, known in files.of.items():
        old = before.of[source] if before else {}
        folder = root / "data" / source
        for name in old.keys() - known.keys():
            (folder / name).unlink()
        for name, file in known.items():
            if old.get(name) is not file:
                file.save(folder / name)
                if aged:
                    os.utime(folder / name, ns=(0, 1_600_000_000_000_000_000 + aged))


def random_row(rng: Random, day: date | None) -> dict[str, Any]:
    """A row, now and then with what is missing, not a number, or too much."""
    return {
        "day": day,
        "id": rng.randrange(8),
        "n": None if rng.random() < 0.15 else rng.randrange(-5, 60),
        "x": rng.choice((None, float("nan"), -0.0, 0.0, *(rng.randrange(-40, 40) / 8,) * 6)),
        "tag": rng.choice((None, *TAGS)),
        "extra": rng.randrange(3),
    }


def some_day(rng: Random, days: int = 5) -> date:
    return FIRST + timedelta(days=rng.randrange(days))


def random_file(rng: Random, days: list[date | None]) -> File:
    """A few rows for each of these days."""
    rows = [random_row(rng, day) for day in days for _ in range(rng.randint(1, 4))]
    return File(rows=tuple(rows))


def random_files(rng: Random, sources: list[str]) -> Files:
    """A file a day, and sometimes late rows in one more."""
    of: dict[str, dict[str, File]] = {}
    for source in sources:
        count = rng.randint(1, 4)
        of[source] = {
            f"f{n}.parquet": random_file(rng, [FIRST + timedelta(days=n)]) for n in range(count)
        }
        if rng.random() < 0.3:
            late: list[date | None] = [some_day(rng, count), rng.choice((None, some_day(rng, 3)))]
            of[source]["late.parquet"] = random_file(rng, late)
    return Files(of=of)
