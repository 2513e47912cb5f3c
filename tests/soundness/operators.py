"""What each operator means, on lists of rows; the computed column has the sum of all knobs added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tests.soundness.model import Flow, Stage, nth_column

Row: TypeAlias = dict[str, Any]
Operator: TypeAlias = Callable[[Flow, Stage, list[list[Row]]], list[Row]]


def _plus(value: Any, number: int) -> Any:
    return None if value is None else value + number


def _tail(flow: Flow, stage: Stage, rows: Sequence[Row], values: Sequence[Any]) -> list[Row]:
    """Rows with their index, the columns that are kept, and the computed one."""
    names = (*flow.table(stage.inputs[0]).index, *stage.args["kept"])
    total = flow.total(stage)
    return [
        {**{name: row[name] for name in names}, stage.made: _plus(value, total)}
        for row, value in zip(rows, values, strict=True)
    ]


def _of(stage: Stage, rows: Sequence[Row]) -> list[Any]:
    return [row[stage.args["of"]] for row in rows]


def _filter(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, number = stage.args["of"], stage.args["number"]
    rows = [
        row
        for row in inputs[0]
        if row[of] is not None and row[of] > number * 3 and row["id"] != number
    ]
    return _tail(flow, stage, rows, _of(stage, rows))


def _project(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    return _tail(flow, stage, inputs[0], _of(stage, inputs[0]))


def _ties(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, falling = stage.args["of"], stage.args["flag"]
    some = [row for row in inputs[0] if row[of] is not None]
    none = [row for row in inputs[0] if row[of] is None]
    some.sort(key=lambda row: -row[of] if falling else row[of])
    rows = (some + none if falling else none + some)[: stage.args["number"]]
    return _tail(flow, stage, rows, _of(stage, rows))


def _unique(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, last = stage.args["of"], stage.args["flag"]
    rows: list[Row] = []
    known = set()
    for row in reversed(inputs[0]) if last else inputs[0]:
        what = (row.get("day"), row[of])
        if what not in known:
            rows.append(row)
        known.add(what)
    rows = rows[::-1] if last else rows
    return _tail(flow, stage, rows, _of(stage, rows))


def _over(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, number, running = (stage.args[name] for name in ("of", "number", "flag"))
    values: list[Any] = []
    for place, row in enumerate(inputs[0]):
        reach = inputs[0][: place + 1] if running else inputs[0]
        mates = [other[of] or 0 for other in reach if other["id"] % number == row["id"] % number]
        values.append(None if running and row[of] is None else sum(mates))
    return _tail(flow, stage, inputs[0], values)


def _shift(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    by, rows = stage.args["number"] - 3, inputs[0]
    places = [place - by for place in range(len(rows))]
    values = [rows[p][stage.args["of"]] if 0 <= p < len(rows) else None for p in places]
    return _tail(flow, stage, rows, values)


def _rank(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    """How many values come before: each once (dense), or as often as they come."""
    values, falling = _of(stage, inputs[0]), stage.args["flag"]
    known = [value for value in values if value is not None]
    pool = known if stage.args["number"] % 2 else list(set(known))
    ranks = [
        None if v is None else 1 + sum(other > v if falling else other < v for other in pool)
        for v in values
    ]
    return _tail(flow, stage, inputs[0], ranks)


def _nth(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    name = nth_column(flow.table(stage.inputs[0]), stage.args["place"])
    return _tail(flow, stage, inputs[0], [row[name] for row in inputs[0]])


def _wild(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    names = flow.table(stage.inputs[0]).integers()
    return _tail(flow, stage, inputs[0], [sum(row[n] or 0 for n in names) for row in inputs[0]])


def _elements(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    number = stage.args["number"]
    values = [None if v is None else len(str(v)) + v * number for v in _of(stage, inputs[0])]
    return _tail(flow, stage, inputs[0], values)


def _collect(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    values = _of(stage, inputs[0])
    top = max((value for value in values if value is not None), default=0)
    return _tail(flow, stage, inputs[0], [_plus(value, -top) for value in values])


def _rows(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    number = stage.args["number"]
    values = [None if v is None else v * number for v in _of(stage, inputs[0])]
    return _tail(flow, stage, inputs[0], values)


def _memo(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    number = stage.args["number"]
    values = [None if v is None else v * number + 1 for v in _of(stage, inputs[0])]
    return _tail(flow, stage, inputs[0], values)


def _join(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    left, right = (flow.table(name).index for name in stage.inputs)
    on = [name for name in left if name in right]
    found = {tuple(row[n] for n in on): row[stage.args["other"]] for row in inputs[1]}
    keys = [tuple(row[n] for n in on) for row in inputs[0]]
    kept = [place for place, key in enumerate(keys) if stage.args["flag"] or key in found]
    rows = [inputs[0][place] for place in kept]
    return _tail(flow, stage, rows, [found.get(keys[place]) for place in kept])


def _union(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    made, total = stage.made, flow.total(stage)
    index = flow.table(stage.inputs[0]).index
    first, second = ([{name: row[name] for name in index} for row in rows] for rows in inputs)
    for new, row in zip(first, inputs[0], strict=True):
        new[made] = _plus(row[stage.args["of"]], total)
    for new, row in zip(second, inputs[1], strict=True):
        new.update({"id": row["id"] + 100, made: row[stage.args["other"]]})
    return first + second


def _groups(stage: Stage, rows: Sequence[Row], names: Sequence[str]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        place = {**row, "id": row["id"] % stage.args["number"]} if "id" in row else row
        groups.setdefault(tuple(place[name] for name in names), []).append(row)
    return groups


def _group(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, real, total = stage.args["of"], stage.args["real"], flow.total(stage)
    names = ["id"] if stage.op in ("total", "model", "window") else list(stage.table.index)
    made: list[Row] = []
    for key, rows in _groups(stage, inputs[0], names).items():
        row = dict(zip(names, key, strict=True))
        row[stage.made] = sum(item[of] or 0 for item in rows) + total
        if len(stage.table.columns) > 1:
            values = [item[real] for item in rows if item[real] is not None]
            row[f"f{stage.name[1:]}"] = sum(values, 0.0)
        if stage.op == "window":
            row["day"] = max(item["day"] for item in rows)
        made.append(row)
    return made


def _fold(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, real = stage.args["of"], stage.args["real"]
    groups: dict[Any, list[Row]] = {}
    for row in inputs[0]:
        groups.setdefault(row["id"], []).append(row)
    made: list[Row] = []
    for key, rows in groups.items():
        values = [row[of] for row in rows if row[of] is not None]
        verbs = {"sum": sum(values), "count": len(values)}
        if values:
            verbs |= {"min": min(values), "max": max(values)}
        new = {"id": key, stage.made: _plus(verbs.get(stage.verb), flow.total(stage))}
        if stage.op == "folds":
            new["day"] = max(row["day"] for row in rows)
        elif len(stage.table.columns) > 1:
            floats = [row[real] for row in rows if row[real] is not None]
            new[f"f{stage.name[1:]}"] = sum(floats, 0.0)
        made.append(new)
    return made


def _first(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    names, total = stage.table.index, flow.total(stage)
    place = -1 if stage.args["flag"] else 0
    return [
        {
            **dict(zip(names, key, strict=True)),
            stage.made: _plus(rows[place][stage.args["of"]], total),
        }
        for key, rows in _groups(stage, inputs[0], names).items()
    ]


def _loose(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    total = flow.total(stage)
    found = {(row["day"], _plus(row[stage.args["of"]], total)) for row in inputs[0]}
    return [{"day": day, stage.made: value} for day, value in found]


def _tally(flow: Flow, stage: Stage, inputs: list[list[Row]]) -> list[Row]:
    of, total = stage.args["of"], flow.total(stage)
    days = {row["day"] for row in inputs[0]}
    return [
        {
            "day": day,
            "id": 0,
            stage.made: sum(row[of] or 0 for row in inputs[0] if row["day"] == day) + total,
        }
        for day in days
    ]


OPERATORS: Mapping[str, Operator] = {
    "filter": _filter,
    "project": _project,
    "ties": _ties,
    "unique": _unique,
    "over": _over,
    "shift": _shift,
    "rank": _rank,
    "nth": _nth,
    "wild": _wild,
    "elements": _elements,
    "collect": _collect,
    "rows": _rows,
    "memo": _memo,
    "join": _join,
    "union": _union,
    "group": _group,
    "total": _group,
    "window": _group,
    "model": _group,
    "fold": _fold,
    "folds": _fold,
    "first": _first,
    "loose": _loose,
    "tally": _tally,
}
