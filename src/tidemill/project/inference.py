"""Infer a contract from data files, or from what a stage publishes."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from unicodedata import normalize

import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.checks.text_cells import read_text
from tidemill.contracts.inference.infer import infer, is_declarable, quote
from tidemill.contracts.inference.python_source import generate_source
from tidemill.contracts.inference.text_types import WrittenType, text_arguments, written_type
from tidemill.contracts.text_format import AS_STORED, Cells
from tidemill.core.errors import SourceError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, summarize_keys, time_bounds
from tidemill.project.data import PublishedData
from tidemill.project.workspace import Workspace
from tidemill.reuse.output_schema import empty_output
from tidemill.sources.dbt_contract import contract_of_model
from tidemill.sources.dbt_manifest import model_of
from tidemill.sources.io.csv_files import default_separator, find_separator
from tidemill.sources.io.dbt_model import read_manifest
from tidemill.sources.io.file_readers import collect_files, reading, scan_file
from tidemill.sources.text_files import cells_of
from tidemill.workflow.source import SUFFIXES, Format
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredContract:
    """The Python source of a contract class that fits some data, and what the data is.

    `origin` has either the `files`, or the `stage` and its `partitions`, or the folder `dbt` and the `model`.
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
    files: Sequence[Path], form: str | None = None, name: str = "", separator: str = ""
) -> InferredContract:
    """A contract that the rows of files pass; SourceError when they can't be read.

    `form` is the files' format if their suffix isn't it, `name` the name of the class. The `separator` of CSV
    is recognised if it isn't given.
    """
    name = _checked(name or _class_name(files[0].stem, files[0].absolute().parent.name))
    found = _read(files, cast("Format", form) if form else _format_of(files[0]), separator)
    return InferredContract(
        name=name,
        source=infer(found.frame, name, reading=found.reading, remarks=found.remarks),
        origin={"files": [str(file) for file in files]},
    )


def infer_from_dbt(folder: str, model: str, name: str = "") -> InferredContract:
    """The contract that a dbt project in a folder declares for a model."""
    manifest = read_manifest(Path(folder))
    found = model_of(manifest, model)
    name = _checked(name or _class_name(model))
    spec = contract_of_model(manifest, found, name)
    written = generate_source([spec])
    source = written.text + "".join(f"\n# Not expressed: {line}" for line in written.left_out)
    return InferredContract(
        name=name, source=source, origin={"dbt": folder, "model": found.unique_id}
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
        about = subject.output.description if subject.output else ""
    else:
        frame = empty_output(subject)
        about = f"What the query of {stage} gives, of which no row was seen: say what one row is."
    known = {column.name: column for column in subject.output.columns} if subject.output else {}
    name = _checked(name or _class_name(stage))
    reading = {
        column.name: [*_source_argument(column.source), *text_arguments(column.text)]
        for column in known.values()
        if frame.schema.get(column.name) == polars_type(column.dtype)
    }
    return InferredContract(
        name=name,
        source=infer(frame, name, about=about, known=known, reading=reading),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The rows of files under names that can be declared, and how they are read from the files."""

    frame: pl.DataFrame
    reading: Mapping[str, list[str]]
    remarks: list[str]


def _read(files: Sequence[Path], form: Format, separator: str) -> _Read:
    paths = [str(file) for file in files]
    remarks, arguments = [], dict[str, list[str]]()
    if form == "csv":
        with reading(paths[0], form):
            separator = separator or find_separator(files[0])
        if separator != default_separator(files[0]):
            remarks.append(f"Read these files with tm.files(..., separator={quote(separator)}).")
    parts: list[pl.LazyFrame] = []
    for file, path in zip(files, paths, strict=True):
        with reading(path, form):
            # What a line has beyond the header is no column; a run puts such lines into quarantine.
            options = {"separator": separator, "truncate_ragged_lines": True} if separator else {}
            parts.append(scan_file(form, file, options))
            parts[-1].collect_schema()
    with reading(paths[0], form):
        frame = collect_files(parts, paths)
    columns = []
    if cells := cells_of(form):
        quoted = _texts_of_json(files) if form == "ndjson" else frozenset[str]()
        for series in frame:
            own, found = _typed(series, cells, numbers=series.name not in quoted)
            columns.append(own)
            arguments[series.name] = [*text_arguments(found.text)]
            if found.doubt:
                remarks.append(f"{series.name} could also be read with {found.doubt}: both fit.")
        frame = pl.DataFrame(columns)
    names = _declarable_names(frame.columns)
    reads = {
        name: [*_source_argument(old if old != name else ""), *arguments.get(old, ())]
        for old, name in names.items()
    }
    return _Read(frame=frame.rename(names), reading=reads, remarks=remarks)


def _source_argument(name: str) -> list[str]:
    return [f"source={quote(name)}"] if name else []


def _typed(series: pl.Series, cells: Cells, *, numbers: bool) -> tuple[pl.Series, WrittenType]:
    """Return the values of a column of text, and how they are written."""
    nested = series.drop_nulls().str.contains(r"^\s*[\[{]")
    if cells == "json" and nested.len() and nested.all():
        values = series.str.json_decode(infer_schema_length=None)
        return values, WrittenType(dtype=values.dtype, text=AS_STORED)
    found = written_type(series, cells, numbers=numbers)
    return read_text(series, found.dtype, found.text)[1], found


def _texts_of_json(files: Sequence[Path]) -> frozenset[str]:
    """Return the keys whose values are strings, so that digits in them aren't numbers."""
    schemas = (
        pl.scan_ndjson(glob.escape(str(file)), infer_schema_length=None).collect_schema()
        for file in files
    )
    return frozenset(
        name for schema in schemas for name, dtype in schema.items() if dtype == pl.String
    )


def _declarable_names(names: Sequence[str]) -> dict[str, str]:
    """Return a name for each column: its own, or one like it that can be declared."""
    found: dict[str, str] = {}
    taken = {name for name in names if is_declarable(name)}
    for name in names:
        own = name
        if name not in taken:
            words = re.findall(r"[^\W_]+", normalize("NFKC", name))
            own = normalize("NFKC", "_".join(words).lower()) or "column"
            own = own if is_declarable(own) else f"c_{own}"
            while own in taken:
                own += "_"
        taken.add(own)
        found[name] = own
    return found


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
        words = re.findall(r"[^\W\d_][^\W_]*", normalize("NFKC", part))
        found = "".join(word[:1].upper() + word[1:] for word in words)
        if is_declarable(found):
            return found
    return "Rows"
