"""A naive interpreter of a workflow: full tables as lists of dicts, no Polars, no keys, no store.

It says what every partition of every stage must hold, written from what the project promises: the
operators' meaning, casts, quarantine, repeated keys, canonical order, and where rows belong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.soundness.files import Files
from tests.soundness.model import TAGS, Column, Flow, Stage, Table
from tests.soundness.operators import OPERATORS, Row

WHOLE, UNPLACED = "all", "(none)"


@dataclass(frozen=True, slots=True)
class Part:
    """What one partition must hold: rows that pass (in order), those that don't (with `_reasons`).

    `fails`: rows break a rule with on_fail="fail", so that the partition must not be published;
    `found`: they break any rule.
    """

    good: list[Row]
    bad: list[Row]
    fails: bool = False
    found: bool = False


Parts: TypeAlias = dict[str, Part]
# Of each stage and partition, the partitions that each input hands over.
Sight: TypeAlias = dict[tuple[str, str], list[list[str]]]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that must be published, and what each transform's partition was made of."""

    parts: dict[str, Parts]
    sight: Sight


def interpret(flow: Flow, files: Files) -> World:
    """What every stage must hold for these files."""
    parts: dict[str, Parts] = {}
    sight: Sight = {}
    for source in flow.sources:
        parts[source.name] = _ingested(source.table, files.rows(source.name))
    for stage in flow.stages:
        parts[stage.name] = {}
        for partition in _wanted(flow, stage, parts):
            seen = _seen(flow, stage, partition, parts)
            if seen is None:
                continue
            inputs = [
                [dict(row) for key in keys for row in parts[name][key].good]
                for name, keys in zip(stage.inputs, seen, strict=True)
            ]
            rows = OPERATORS[stage.op](flow, stage, inputs)
            parts[stage.name][partition] = judged(stage.table, rows, partition)
            sight[stage.name, partition] = seen
    return World(parts, sight)


def _ingested(table: Table, rows: Sequence[Row]) -> Parts:
    cut: dict[str, list[Row]] = {}
    for row in rows:
        key = UNPLACED if row["day"] is None else str(row["day"])
        cut.setdefault(key, []).append(row)
    return {key: judged(table, part, key) for key, part in cut.items()}


def _placed(parts: Parts) -> list[str]:
    return sorted(key for key in parts if key != UNPLACED)


def _optional(stage: Stage) -> bool:
    return stage.op == "join" and stage.args["number"] > 3


def _wanted(flow: Flow, stage: Stage, parts: Mapping[str, Parts]) -> list[str]:
    if not stage.table.cut:
        return [WHOLE]
    names = stage.inputs[:1] if _optional(stage) else stage.inputs
    keys = {k for n in names if flow.table(n).cut for k in _placed(parts[n])}
    return sorted(keys)


def _seen(
    flow: Flow, stage: Stage, partition: str, parts: Mapping[str, Parts]
) -> list[list[str]] | None:
    found = []
    for place, name in enumerate(stage.inputs):
        keys = _placed(parts[name])
        if not flow.table(name).cut:
            seen = [WHOLE] if WHOLE in keys else []
        elif stage.table.cut:
            seen = [partition] if partition in keys else []
        else:
            seen = keys
        if seen and stage.op in ("window", "model", "folds"):
            upto = [key for key in keys if key <= max(seen)]
            seen = upto[-stage.args["number"] :]
        if not seen and not (place == 1 and _optional(stage)):
            return None
        found.append(seen)
    return found


def judged(table: Table, rows: Sequence[Row], partition: str) -> Part:
    """The rows by verdict of a contract."""
    fitted: list[Row] = []
    broken: list[list[tuple[str, str]]] = []
    for row in rows:
        values, faults = _fitted(table, row, partition)
        fitted.append(values)
        broken.append(faults)
    if table.keyed:
        _repeated(table, fitted, broken)
    good = [
        row
        for row, faults in zip(fitted, broken, strict=True)
        if all(on_fail != "quarantine" for _, on_fail in faults)
    ]
    bad = [
        {**row, "_reasons": sorted(name for name, on_fail in faults if on_fail == "quarantine")}
        for row, faults in zip(rows, broken, strict=True)
        if any(on_fail == "quarantine" for _, on_fail in faults)
    ]
    if table.keyed:
        good.sort(key=lambda row: tuple(row[name] for name in table.index))
    fails = any(on_fail == "fail" for faults in broken for _, on_fail in faults)
    return Part(good, bad, fails, any(broken))


def _fitted(table: Table, row: Row, partition: str) -> tuple[Row, list[tuple[str, str]]]:
    values: Row = {}
    faults: list[tuple[str, str]] = []
    for name in table.index:
        values[name] = row[name]
        if row[name] is None:
            faults.append((f"{name}.null", "quarantine"))
        elif name == "day" and str(row[name]) != partition:
            faults.append(("day.partition", "quarantine"))
    for column in table.columns:
        value = _cast(column, row[column.name])
        values[column.name] = value
        if value is None and not _is_missing(column, row[column.name]):
            faults.append((f"{column.name}.type", column.on_fail))
        if column.top is not None and value is not None and value > column.top:
            faults.append((f"{column.name}.max", column.on_fail))
    for rule in table.rules:
        value = values[rule.column]
        if value is not None and not value < rule.below:
            faults.append((rule.name, rule.on_fail))
    return values, faults


def _is_missing(column: Column, value: Any) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or (is_nan and not column.type.startswith("Float"))


def _cast(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type.startswith("Int"):
        whole = not isinstance(value, float) or value.is_integer()
        return int(value) if whole else None
    if column.type == "Enum":
        return value if value in TAGS[:3] else None
    return float(value) if column.type.startswith("Float") else value


def _repeated(table: Table, rows: Sequence[Row], broken: Sequence[list[tuple[str, str]]]) -> None:
    """The second and later rows of a key break it, counting only rows that nothing else rejects."""
    known = set()
    for row, faults in zip(rows, broken, strict=True):
        key = tuple(row[name] for name in table.index)
        if None in key or any(on_fail == "quarantine" for _, on_fail in faults):
            continue
        if key in known:
            faults.append(("key", "quarantine"))
        known.add(key)
