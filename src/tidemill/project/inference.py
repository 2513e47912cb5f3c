"""Infer a contract from data files, or from what a stage publishes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl

from tidemill.contracts.inference.infer import infer
from tidemill.contracts.inference.text_shape import code_columns
from tidemill.core.errors import SourceError, UsageError
from tidemill.core.partition import UNPLACED, summarize_keys, time_bounds
from tidemill.project.data import PublishedData
from tidemill.project.workspace import Workspace
from tidemill.reuse.output_schema import empty_output
from tidemill.sources.io.file_readers import READERS
from tidemill.workflow.source import SUFFIXES, Format
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredContract:
    """The Python source of a contract class that fits some data, and what the data is.

    `origin` has either the `files`, or the `stage` and its `partitions`.
    """

    name: str
    source: str
    origin: Mapping[str, object]


def find_files(path: str) -> list[Path]:
    """The data files that a path names: a file, a folder of files, or a glob."""
    at = Path(path)
    if at.is_dir():
        return sorted(p for p in at.iterdir() if p.suffix.lower() in SUFFIXES)
    if at.exists():
        return [at]
    return sorted(Path(at.anchor or ".").glob(str(at.relative_to(at.anchor))))


def infer_from_files(
    files: Sequence[Path], form: str | None = None, name: str = ""
) -> InferredContract:
    """A contract that the rows of files pass; SourceError when they can't be read.

    `form` is the files' format if their suffix isn't it, `name` the name of the class.
    """
    name = _checked(name or _class_name(files[0].stem, files[0].absolute().parent.name))
    frame, codes = _read(files, cast("Format", form) if form else _format_of(files[0]))
    return InferredContract(
        name=name,
        source=infer(frame, name, remarks=[_code_remark(codes)] if codes else []),
        origin={"files": [str(file) for file in files]},
    )


def infer_from_stage(
    workspace: Workspace,
    stage: str,
    since: str | None = None,
    until: str | None = None,
    name: str = "",
) -> InferredContract:
    """A contract that the published rows of a stage pass, from `since` to `until`.

    For a transform without published rows, a contract of the columns of its query.
    """
    subject = workspace.known_stage(stage)
    keys = _select(sorted(workspace.bindings(stage)), subject, since, until)
    if keys:
        data = PublishedData(workspace)
        frame = pl.concat([data.read(stage, key) for key in keys]).collect()
        about = ""
    else:
        frame = empty_output(subject)
        about = f"What the query of {stage} gives, of which no row was seen: say what one row is."
    known = {column.name: column for column in subject.output.columns} if subject.output else {}
    name = _checked(name or _class_name(stage))
    return InferredContract(
        name=name,
        source=infer(frame, name, about=about, known=known),
        origin={"stage": stage, "partitions": keys},
    )


def _checked(name: str) -> str:
    if not name.isidentifier():
        raise UsageError(f"--name {name!r} can't be the name of a class")
    return name


def _format_of(file: Path) -> Format:
    form = SUFFIXES.get(file.suffix.lower())
    if form is None:
        known = ", ".join(SUFFIXES)
        raise SourceError(f"{file}: the suffix names no known format ({known}); add --format")
    return form


def _read(files: Sequence[Path], form: Format) -> tuple[pl.DataFrame, list[str]]:
    """The rows of files, and the numeric columns that are read as text because they hold codes."""
    try:
        if form != "csv":
            return _concat(READERS[form](file) for file in files), []
        parts = [READERS[form](file, try_parse_dates=True) for file in files]
        codes = _code_columns(files, parts)
        kept = dict.fromkeys(codes, pl.String)
        read = (READERS[form](f, try_parse_dates=True, schema_overrides=kept) for f in files)
        return _concat(read if codes else parts), codes
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{files[0]} can't be read as {form}: {error}") from error


def _concat(parts: Iterator[pl.LazyFrame] | Sequence[pl.LazyFrame]) -> pl.DataFrame:
    return pl.concat(list(parts), how="diagonal_relaxed").collect()


def _code_columns(files: Sequence[Path], parts: Sequence[pl.LazyFrame]) -> list[str]:
    """Columns with leading zeros, such as 01234: as numbers their values would be different codes."""
    found: dict[str, None] = {}
    for file, part in zip(files, parts, strict=True):
        numbers = [name for name, dtype in part.collect_schema().items() if dtype.is_numeric()]
        text = READERS["csv"](file, infer_schema=False)
        found |= dict.fromkeys(code_columns(text, numbers))
    return list(found)


def _code_remark(codes: Sequence[str]) -> str:
    options = ", ".join(f'"{name}": pl.String' for name in codes)
    verb = "is text" if len(codes) == 1 else "are text"
    return (
        f"{', '.join(codes)} {verb}: numbers with leading zeros are codes. Have the stage read them so: "
        f"tm.files(..., schema_overrides={{{options}}})"
    )


def _select(keys: list[str], stage: Stage, since: str | None, until: str | None) -> list[str]:
    """The partitions from `since` to `until`; UsageError when there are none of these."""
    kept = [key for key in keys if key != UNPLACED]
    if not (since or until):
        return kept
    if not stage.partitioning.is_time:
        raise UsageError(f"{stage.name} is cut {stage.partitioning}: --from and --to name times")
    first = time_bounds(since)[0] if since else None
    end = time_bounds(until)[1] if until else None
    found = [
        key
        for key in kept
        if (first is None or time_bounds(key)[0] >= first)
        and (end is None or time_bounds(key)[1] <= end)
    ]
    if not found:
        there = summarize_keys(set(kept)) or "nothing published yet"
        asked = " ".join(f"{w} {t}" for w, t in (("from", since), ("to", until)) if t)
        raise UsageError(f"{stage.name} has no partition {asked}: there is {there}")
    return found


def _class_name(*names: str) -> str:
    """`daily-sales.csv` gives DailySales; a file that is named after a day takes its folder's name."""
    for part in names:
        words = re.findall(r"[A-Za-z][A-Za-z0-9]*", part)
        if words:
            return "".join(word[:1].upper() + word[1:] for word in words)
    return "Rows"
