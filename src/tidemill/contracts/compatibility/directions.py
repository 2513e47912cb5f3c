"""Decide whether the change of a term tightens or loosens a contract, does both, or is neutral.

Every judge takes the old and the new value of the term, None if it isn't set. `compatibility/changes.py`
defines the directions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

from tidemill.contracts.compatibility.changes import Direction
from tidemill.contracts.dtype import DType
from tidemill.core.lazy_dataclass import dataclass

_INTEGERS = ("Int", "UInt")
_FLOATS = ("Float16", "Float32", "Float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEffect:
    """The direction of a change, with the flags and the note of `Change`."""

    direction: Direction
    survived: bool = False
    told: bool = False
    felt: bool = False
    note: str = ""


Judge: TypeAlias = Callable[[Any, Any], ChangeEffect]

TIGHTENS = ChangeEffect(direction=Direction.TIGHTENS)
LOOSENS = ChangeEffect(direction=Direction.LOOSENS)
BOTH = ChangeEffect(direction=Direction.BOTH)
NEUTRAL = ChangeEffect(direction=Direction.NEUTRAL)
READERS_UNAFFECTED = ChangeEffect(direction=Direction.LOOSENS, survived=True)
DOCUMENTATION = ChangeEffect(direction=Direction.NEUTRAL, told=True)
WARNS_ONLY = ChangeEffect(direction=Direction.NEUTRAL, note="it only warns")


def _changed_meaning(note: str) -> ChangeEffect:
    return ChangeEffect(direction=Direction.NEUTRAL, felt=True, note=note)


def constant_judge(verdict: ChangeEffect) -> Judge:
    """Return a judge with a constant result."""
    return lambda old, new: verdict


def set_effect(tighter: bool, looser: bool) -> ChangeEffect:
    """Return the effect of removing values from a set (tighter) and of adding values (looser)."""
    if tighter and looser:
        return BOTH
    if tighter or looser:
        return TIGHTENS if tighter else LOOSENS
    return NEUTRAL


def judge_promise(old: bool, new: bool) -> ChangeEffect:
    """Judge a flag that is a promise, such as `unique`: setting it tightens."""
    return set_effect(new and not old, old and not new)


def judge_permission(old: bool, new: bool) -> ChangeEffect:
    """Judge a flag that is a permission, such as `nullable`: setting it loosens."""
    return judge_promise(new, old)


def judge_minimum(old: Any, new: Any) -> ChangeEffect:
    """Judge a minimum: a greater one is tighter."""
    return _end(old, new, operator.gt)


def judge_maximum(old: Any, new: Any) -> ChangeEffect:
    """Judge a maximum: a smaller one is tighter."""
    return _end(old, new, operator.lt)


def judge_lower_bound(old: tuple[Any, Any], new: tuple[Any, Any]) -> ChangeEffect:
    """Judge a minimum given as (inclusive, exclusive); > 5 is tighter than >= 5."""
    return _end(_tightest(old, max, 1), _tightest(new, max, 1), operator.gt)


def judge_upper_bound(old: tuple[Any, Any], new: tuple[Any, Any]) -> ChangeEffect:
    """Judge a maximum given as (inclusive, exclusive)."""
    return _end(_tightest(old, min, -1), _tightest(new, min, -1), operator.lt)


def _tightest(ends: tuple[Any, Any], choose: Callable[..., Any], sign: int) -> Any:
    return choose(((end, sign * n) for n, end in enumerate(ends) if end is not None), default=None)


def _end(old: Any, new: Any, tighter: Callable[[Any, Any], bool]) -> ChangeEffect:
    if old == new:
        return NEUTRAL
    if old is None or new is None:
        return TIGHTENS if old is None else LOOSENS
    try:
        return TIGHTENS if tighter(new, old) else LOOSENS
    except TypeError:
        # The type changed too, so the bounds can't be compared.
        return BOTH


def judge_condition(old: Any, new: Any) -> ChangeEffect:
    """Judge a regular expression or another condition; two different ones can't be compared."""
    return BOTH if old and new else set_effect(not old, not new)


def judge_allowed_values(
    old: Collection[object] | None, new: Collection[object] | None
) -> ChangeEffect:
    """Judge a set of allowed values; None allows all."""
    if old is None or new is None:
        return set_effect(old is None, new is None)
    return set_effect(any(v not in new for v in old), any(v not in old for v in new))


def severity_judge(order: tuple[str, ...]) -> Judge:
    """Return a judge of consequences, which `order` lists from mild to severe."""
    return lambda old, new: judge_minimum(order.index(old), order.index(new))


def judge_type(old: DType, new: DType) -> ChangeEffect:
    """Judge the type of a column by the values it can hold, and by whether readers must change."""
    verdict = set_effect(not new.includes(old), not old.includes(new))
    if verdict is LOOSENS and is_widening(old, new):
        return READERS_UNAFFECTED
    if verdict is NEUTRAL:
        return _changed_meaning("it sorts in another order")
    return verdict


def is_widening(old: DType, new: DType) -> bool:
    """Whether every reader of `old` can read `new`: a wider number of the same kind, also as items."""
    match old.name, new.name:
        case "List", "List":
            return _inner(old, new)
        case "Array", "Array":
            return old.args[1] == new.args[1] and _inner(old, new)
        case "Decimal", "Decimal":
            return old.args[1:] == new.args[1:]
    integers = old.name.startswith(_INTEGERS) and new.name.startswith(_INTEGERS)
    return integers or (old.name in _FLOATS and new.name in _FLOATS)


def _inner(old: DType, new: DType) -> bool:
    before, after = old.args[0], new.args[0]
    return isinstance(before, DType) and isinstance(after, DType) and is_widening(before, after)


def judge_key(old: tuple[str, ...], new: tuple[str, ...]) -> ChangeEffect:
    """Judge a key: fewer columns promise more."""
    if not old or not new:
        return set_effect(not old, not new)
    if set(old) == set(new):
        return _changed_meaning("rows are stored in another order")
    return set_effect(not set(old) <= set(new), not set(new) <= set(old))


def judge_unknown_columns(old: str, new: str) -> ChangeEffect:
    """Judge the handling of undeclared columns: refused, dropped or kept."""
    if new == "fail":
        return TIGHTENS
    if old == "keep":
        return _changed_meaning("undeclared columns are dropped")
    return READERS_UNAFFECTED


def meaning_judge(note: str) -> Judge:
    """Return a judge of a term that changes the meaning of values; setting it first is documentation."""
    return lambda old, new: DOCUMENTATION if old is None or old == "" else _changed_meaning(note)


def describe_list_change(old: Iterable[object], new: Iterable[object]) -> str:
    """Describe the additions to a list and removals from it, such as `+ 'lost', - 'open'`."""
    before, after = list(old), list(new)
    added = [f"+ {value!r}" for value in after if value not in before]
    removed = [f"- {value!r}" for value in before if value not in after]
    return ", ".join(added + removed) or "another order"
