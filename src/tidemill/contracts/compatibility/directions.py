"""Decide whether the change of a term tightens or loosens a contract, does both, or is neutral.

Every judge takes the old and the new value of the term, None if it isn't set. `compatibility/changes.py`
defines the directions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidemill.contracts.compatibility.changes import Direction
from tidemill.contracts.dtype import DType

_INTEGERS = ("Int", "UInt")
_FLOATS = ("Float16", "Float32", "Float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The direction of a change, with the flags and the note of `Change`."""

    direction: Direction
    survived: bool = False
    told: bool = False
    felt: bool = False
    note: str = ""


Judge: TypeAlias = Callable[[Any, Any], Verdict]

TIGHTENS = Verdict(direction=Direction.TIGHTENS)
LOOSENS = Verdict(direction=Direction.LOOSENS)
BOTH = Verdict(direction=Direction.BOTH)
NEUTRAL = Verdict(direction=Direction.NEUTRAL)
SURVIVED = Verdict(direction=Direction.LOOSENS, survived=True)
TOLD = Verdict(direction=Direction.NEUTRAL, told=True)
WATCHED = Verdict(direction=Direction.NEUTRAL, note="it only warns")


def _changed_meaning(note: str) -> Verdict:
    return Verdict(direction=Direction.NEUTRAL, felt=True, note=note)


def always(verdict: Verdict) -> Judge:
    """Return a judge with a constant result."""
    return lambda old, new: verdict


def towards(tighter: bool, looser: bool) -> Verdict:
    """Return the effect of removing values from a set (tighter) and of adding values (looser)."""
    if tighter and looser:
        return BOTH
    if tighter or looser:
        return TIGHTENS if tighter else LOOSENS
    return NEUTRAL


def when_set(old: bool, new: bool) -> Verdict:
    """Judge a flag that is a promise, such as `unique`: setting it tightens."""
    return towards(new and not old, old and not new)


def when_eased(old: bool, new: bool) -> Verdict:
    """Judge a flag that is a permission, such as `nullable`: setting it loosens."""
    return when_set(new, old)


def least(old: Any, new: Any) -> Verdict:
    """Judge a minimum: a greater one is tighter."""
    return _end(old, new, operator.gt)


def greatest(old: Any, new: Any) -> Verdict:
    """Judge a maximum: a smaller one is tighter."""
    return _end(old, new, operator.lt)


def lower_end(old: tuple[Any, Any], new: tuple[Any, Any]) -> Verdict:
    """Judge a minimum given as (inclusive, exclusive); > 5 is tighter than >= 5."""
    return _end(_tightest(old, max, 1), _tightest(new, max, 1), operator.gt)


def upper_end(old: tuple[Any, Any], new: tuple[Any, Any]) -> Verdict:
    """Judge a maximum given as (inclusive, exclusive)."""
    return _end(_tightest(old, min, -1), _tightest(new, min, -1), operator.lt)


def _tightest(ends: tuple[Any, Any], choose: Callable[..., Any], sign: int) -> Any:
    return choose(((end, sign * n) for n, end in enumerate(ends) if end is not None), default=None)


def _end(old: Any, new: Any, tighter: Callable[[Any, Any], bool]) -> Verdict:
    if old == new:
        return NEUTRAL
    if old is None or new is None:
        return TIGHTENS if old is None else LOOSENS
    try:
        return TIGHTENS if tighter(new, old) else LOOSENS
    except TypeError:
        # The type changed too, so the bounds can't be compared.
        return BOTH


def pattern(old: Any, new: Any) -> Verdict:
    """Judge a regular expression or another condition; two different ones can't be compared."""
    return BOTH if old and new else towards(not old, not new)


def allowed(old: Collection[object] | None, new: Collection[object] | None) -> Verdict:
    """Judge a set of allowed values; None allows all."""
    if old is None or new is None:
        return towards(old is None, new is None)
    return towards(any(v not in new for v in old), any(v not in old for v in new))


def severity(order: tuple[str, ...]) -> Judge:
    """Return a judge of consequences, which `order` lists from mild to severe."""
    return lambda old, new: least(order.index(old), order.index(new))


def types(old: DType, new: DType) -> Verdict:
    """Judge the type of a column by the values it can hold, and by whether readers must change."""
    verdict = towards(not new.holds(old), not old.holds(new))
    if verdict is LOOSENS and widened(old, new):
        return SURVIVED
    if verdict is NEUTRAL:
        return _changed_meaning("it sorts in another order")
    return verdict


def widened(old: DType, new: DType) -> bool:
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
    return isinstance(before, DType) and isinstance(after, DType) and widened(before, after)


def keys(old: tuple[str, ...], new: tuple[str, ...]) -> Verdict:
    """Judge a key: fewer columns promise more."""
    if not old or not new:
        return towards(not old, not new)
    if set(old) == set(new):
        return _changed_meaning("rows are stored in another order")
    return towards(not set(old) <= set(new), not set(new) <= set(old))


def unknown(old: str, new: str) -> Verdict:
    """Judge the handling of undeclared columns: refused, dropped or kept."""
    if new == "fail":
        return TIGHTENS
    if old == "keep":
        return _changed_meaning("undeclared columns are dropped")
    return SURVIVED


def moved(note: str) -> Judge:
    """Return a judge of a term that changes the meaning of values; setting it first is documentation."""
    return lambda old, new: TOLD if old is None or old == "" else _changed_meaning(note)


def listed(old: Iterable[object], new: Iterable[object]) -> str:
    """Describe the additions to a list and removals from it, such as `+ 'lost', - 'open'`."""
    before, after = list(old), list(new)
    added = [f"+ {value!r}" for value in after if value not in before]
    removed = [f"- {value!r}" for value in before if value not in after]
    return ", ".join(added + removed) or "another order"
