"""The operator `join`: its columns, its unique keys, and the order of its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.analysis.query.expressions import expand_expressions
from tidemill.analysis.query.operator import Handler, Operator, place_in_rows
from tidemill.analysis.query.value_numbers import (
    Key,
    Length,
    Relation,
    UnknownMeaning,
    Value,
    first_reason,
    term,
    union_reads,
)

_LEFT_KEYS_HOLD = {"Left", "Inner", "AsOf"}


def _join(operator: Operator) -> Relation:
    left, right = (below.relation for below in operator.inputs)
    args = operator.content["options"]["args"]
    condition = operator.content["condition"]["Equi"]
    how = args["how"] if isinstance(args["how"], str) else "AsOf"
    on_left = expand_expressions(condition["left_on"], operator.inputs[0].scope)
    on_right = expand_expressions(condition["right_on"], operator.inputs[1].scope)
    rows = term(
        "join", left.rows, right.rows, [key.term for key in on_left], [key.term for key in on_right],
        _by_terms(operator, args["how"]), args, _plain_keys(condition),
    )  # fmt: skip
    keys = [*on_left, *on_right, *_by_values(operator, args["how"])]
    reads = left.reads | right.reads | union_reads(key.reads for key in keys)
    reasons = [left.unstable, right.unstable, *(place_in_rows(key).unstable for key in keys)]
    if how == "AsOf" and right.open:
        reasons.append(f"join_asof with rows in no fixed order ({right.open})")
    right_once = _is_unique(right, on_right) or args["validation"] in ("ManyToOne", "OneToOne")
    left_once = _is_unique(left, on_left) or args["validation"] in ("OneToMany", "OneToOne")
    made = replace(
        left,
        rows=rows,
        reads=reads,
        open=_disorder_reason(
            how, args["maintain_order"], (left.open, right.open), (left_once, right_once)
        ),
        unstable=first_reason(*reasons),
        filtered=None,
        joined=True,
    )
    if how in ("Semi", "Anti"):
        return made
    named = {key.name for key in keys if key.name is not None}
    output = _columns(operator, Length(rows, reads), named, how)
    holds = how in _LEFT_KEYS_HOLD and (right_once or how == "AsOf")
    return replace(made, columns=output, keys=_output_keys(left, output) if holds else ())


def _by_terms(operator: Operator, how: Any) -> list[str]:
    return [value.term for value in _by_values(operator, how)]


def _plain_keys(condition: Mapping[str, Any]) -> list[bool]:
    """Which keys are plain columns: only these are coalesced, even if another form means the same."""
    keys = [*condition["left_on"], *condition["right_on"]]
    return [next(iter(key)) in ("Column", "Selector") for key in keys]


def _by_values(operator: Operator, how: Any) -> list[Value]:
    """The `by` columns of an asof join."""
    if isinstance(how, str):
        return []
    found = []
    for below, side in zip(operator.inputs, ("left_by", "right_by"), strict=True):
        found += [below.scope.column(name) for name in how["AsOf"][side] or ()]
    return found


def _is_unique(relation: Relation, on: Sequence[Value]) -> bool:
    known = {key.term for key in on}
    return any(key <= known for key in relation.keys)


def _disorder_reason(how: str, kept: str, opens: tuple[str, str], once: tuple[bool, bool]) -> str:
    """Why the order of a join's rows is undefined; `once`: rows of that side are matched at most once."""
    left, right = opens
    if how == "AsOf":
        return left
    if kept == "None":
        return "cross join" if how == "Cross" else "join without maintain_order"
    if how in ("Semi", "Anti"):
        return left if kept.startswith("Left") else "join without maintain_order"
    if kept in ("LeftRight", "RightLeft"):
        return first_reason(left, right)
    settled = {
        "Left": how in ("Left", "Inner") and once[1],
        "Right": how in ("Right", "Inner") and once[0],
    }
    if settled.get(kept):
        return left if kept == "Left" else right
    return f"join that keeps the order of its {kept.lower()} rows only"


def _columns(operator: Operator, length: Length, keys: set[str], how: str) -> dict[str, Value]:
    """The columns of both sides, by the names that Polars gives them.

    If it isn't certain which side a name comes from, the column depends on all candidates. Where each row has
    one of the left side, its key has the values of that.
    """
    left, right = (below.relation.columns for below in operator.inputs)
    suffix = operator.content["options"]["args"]["suffix"]
    found = {}
    for name in operator.names():
        bare = name.removesuffix(suffix)
        parts = {
            "left": left.get(name),
            "right": right.get(name),
            "renamed": right.get(bare) if bare != name else None,
        }
        if name in left and name not in keys:
            parts = {"left": left[name]}
        elif name not in left and name in right and parts["renamed"] is None:
            parts = {"right": right[name]}
        known = {place: value for place, value in parts.items() if value is not None}
        if not known:
            raise UnknownMeaning(f"column {name!r} of a join")
        sources = [known["left"]] if how in _LEFT_KEYS_HOLD and "left" in known else known.values()
        found[name] = _join_column(name, name in keys, known, sources, length)
    return found


def _join_column(
    name: str,
    is_key: bool,
    parts: Mapping[str, Value],
    sources: Collection[Value],
    length: Length,
) -> Value:
    number = term(
        "joined", length.term, is_key, [(place, part.term) for place, part in parts.items()]
    )
    reads = union_reads(part.reads for part in sources)
    numeric = all(part.numeric for part in parts.values())
    unstable = first_reason(*(part.unstable for part in parts.values()))
    copied = len(sources) == 1 and all(part.copied for part in sources)
    return Value(name, number, length, reads, numeric, name, "", unstable, copied)


def _output_keys(left: Relation, output: Mapping[str, Value]) -> tuple[Key, ...]:
    """The unique keys of the left side, in terms of the output columns."""
    moved = {
        value.term: output[name].term for name, value in left.columns.items() if name in output
    }
    return tuple(frozenset(moved[part] for part in key) for key in left.keys if key <= set(moved))


HANDLERS: Mapping[str, Handler] = {"Join": _join}
