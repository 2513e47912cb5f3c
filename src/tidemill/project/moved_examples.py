"""The rows whose prediction moves most between two versions of a model."""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import Any

import polars as pl

from tidemill.core.partition import readable_keys, summarize_keys
from tidemill.governance.model_sections import MovedExamples
from tidemill.models.predictors import PREDICTION
from tidemill.project.loaded_model import load_model
from tidemill.project.workspace import Workspace
from tidemill.store.published import read_rows
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Input, Stage

# As many of the newest rows are scored, from at most so many partitions; so many are shown.
_ROWS, _PARTITIONS, _SHOWN, _COLUMNS = 2_000, 20, 10, 8
MASKED = "(personal data)"
_LIVE, _CANDIDATE, _MOVED, _ACTUAL = "live", "candidate", "moved by", "actual"


def moved_examples(
    space: Workspace, model: Stage, candidate: Artifact, live: Artifact, personal: Collection[str]
) -> MovedExamples | None:
    """Score the newest published rows by both versions; None if no input has the columns of both.

    Columns of the input that are `personal` (`stage.column`) are masked.
    """
    wanted = {*candidate.inputs, *live.inputs}
    item = next((i for i in model.frames if i.contract and wanted <= {*i.contract.names}), None)
    if item is None:
        return None
    keys, rows = _newest_rows(space, item)
    if rows is None:
        return None
    old, new = (load_model(space, each).predict(rows)[PREDICTION] for each in (live, candidate))
    moved = distances(old, new)
    found = rows.with_columns(old.alias(_OLD), new.alias(_NEW), moved.alias(_DISTANCE))
    shown = found.filter(pl.col(_DISTANCE) > 0).sort(
        _DISTANCE, descending=True, maintain_order=True
    )
    shown, labelled = _with_actual(space, model, item, candidate.output, keys, shown.head(_SHOWN))
    columns = _columns(item, candidate)
    headers = [*columns, f">{_LIVE}", f">{_CANDIDATE}", f">{_MOVED}"]
    hidden = {name for name in columns if f"{item.name}.{name}" in personal}
    if labelled:
        headers.append(f">{_ACTUAL}")
        hidden |= {_LABEL} if f"{labelled}.{candidate.output}" in personal else set()
    cells = [
        (
            *(MASKED if name in hidden else shown_cell(row[name]) for name in columns),
            *(shown_cell(row[name]) for name in (_OLD, _NEW)),
            shown_cell(row[_DISTANCE]) if new.dtype.is_numeric() else "another class",
            *([MASKED if _LABEL in hidden else _shown_label(row[_LABEL])] if labelled else []),
        )
        for row in shown.iter_rows(named=True)
    ]
    share = moved.filter(moved > 0).len() / rows.height
    source = f" of {item.name} {summarize_keys(keys)}"
    average = largest = None
    if moved.len() and new.dtype.is_numeric():
        average, largest = moved.filter(moved.is_finite()).mean(), moved.max()
        average = inf if average is None else average
    return MovedExamples(
        headers=tuple(headers),
        cells=tuple(cells),
        rows=rows.height,
        share=share,
        average=_number(average),
        largest=_number(largest),
        source=source,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


_OLD, _NEW, _DISTANCE = "__tidemill_old", "__tidemill_new", "__tidemill_distance"
_LABEL = "__tidemill_label"


def _with_actual(
    space: Workspace, model: Stage, item: Input, label: str, keys: list[str], rows: pl.DataFrame
) -> tuple[pl.DataFrame, str]:
    """The rows with the true value, null where it isn't known, and the stage that has it; "" without one.

    The input with the label is matched by its key, in the same partitions.
    """
    if label in rows.columns:
        return rows.with_columns(pl.col(label).alias(_LABEL)), item.name
    for other in model.frames:
        if not _has_labels(other, label, item):
            continue
        assert other.contract is not None
        key, stage = list(other.contract.key), space.flow[other.name]
        there = space.bindings(other.name)
        known = [
            space.read_state(lambda now: read_rows(space.tools, stage, now, partition))  # noqa: B023
            for partition in keys
            if partition in there
        ]
        if known:
            labels = [frame.select(*key, pl.col(label).alias(_LABEL)) for frame in known]
            found = pl.concat(labels, how="vertical_relaxed").join(
                rows.lazy().select(key), on=key, how="semi"
            )
            return rows.join(found.collect().unique(key), on=key, how="left"), other.name
    return rows, ""


def _has_labels(other: Input, label: str, item: Input) -> bool:
    """Whether an input has a label for rows of another one, whose columns contain its key."""
    mine, theirs = item.contract, other.contract
    if mine is None or theirs is None or label not in theirs.names or not theirs.key:
        return False
    return all(
        name in mine.names and mine.column(name).dtype == theirs.column(name).dtype
        for name in theirs.key
    )


def _newest_rows(space: Workspace, item: Input) -> tuple[list[str], pl.DataFrame | None]:
    keys, found, many = list[str](), list[pl.DataFrame](), 0
    for key in reversed(readable_keys(space.bindings(item.name))):
        subject = space.flow[item.name]
        rows = space.read_state(lambda now: read_rows(space.tools, subject, now, key))  # noqa: B023
        found.append(rows.head(_ROWS - many).collect())
        keys.append(key)
        many += found[-1].height
        if many >= _ROWS or len(keys) == _PARTITIONS:
            break
    return keys, pl.concat(found, how="vertical_relaxed") if many else None


def distances(old: pl.Series, new: pl.Series) -> pl.Series:
    """How far each prediction moved: a difference of numbers, 1 for another class; 0 where both are missing.

    A prediction that is null or NaN is missing, and infinitely far from a number.
    """
    if old.dtype.is_numeric() and new.dtype.is_numeric():
        one, other = (each.cast(pl.Float64).fill_nan(None) for each in (old, new))
        # Infinite predictions that are equal differ by NaN.
        apart = (other - one).abs().fill_nan(None).fill_null(0.0)
        return apart.set(one.is_null() != other.is_null(), inf)
    return old.cast(pl.String).ne_missing(new.cast(pl.String)).cast(pl.Float64)


def _columns(item: Input, candidate: Artifact) -> list[str]:
    """The columns that say which row it is, then those that the model reads; the first of them."""
    assert item.contract is not None
    names = dict.fromkeys((*item.contract.key, *candidate.inputs))
    return [name for name in names if name in item.contract.names][:_COLUMNS]


def shown_cell(value: Any) -> str:
    """A value as the text of a cell."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) or '""'


def _shown_label(value: Any) -> str:
    return "not known" if value is None else shown_cell(value)
