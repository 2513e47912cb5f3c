"""Which way one term of a contract moved: tightened, loosened, both, or only in words.

Every judge takes what the old and the new contract say, None where one says nothing. What the
directions mean is written in `domain/diff.py`.
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
    """A direction, and what it doesn't tell."""

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


def _felt(note: str) -> Verdict:
    return Verdict(direction=Direction.NEUTRAL, felt=True, note=note)


def always(verdict: Verdict) -> Judge:
    """A judge that needn't look."""
    return lambda old, new: verdict


def towards(tighter: bool, looser: bool) -> Verdict:
    """The verdict on a set of which something went (tighter) and to which something came (looser)."""
    if tighter and looser:
        return BOTH
    if tighter or looser:
        return TIGHTENS if tighter else LOOSENS
    return NEUTRAL


def when_set(old: bool, new: bool) -> Verdict:
    """A promise that is given (`unique`) or taken back."""
    return towards(new and not old, old and not new)


def when_eased(old: bool, new: bool) -> Verdict:
    """A licence that is given (`nullable`) or taken back."""
    return when_set(new, old)


def least(old: Any, new: Any) -> Verdict:
    """A least value: a greater one is tighter."""
    return _end(old, new, operator.gt)


def greatest(old: Any, new: Any) -> Verdict:
    """A greatest value: a smaller one is tighter."""
    return _end(old, new, operator.lt)


def lower_end(old: tuple[Any, Any], new: tuple[Any, Any]) -> Verdict:
    """Least values, each (inclusive, exclusive); above 5 is tighter than from 5."""
    return _end(_tightest(old, max, 1), _tightest(new, max, 1), operator.gt)


def upper_end(old: tuple[Any, Any], new: tuple[Any, Any]) -> Verdict:
    """Greatest values, each (inclusive, exclusive)."""
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
        # The bounds of another type, which came with it.
        return BOTH


def pattern(old: Any, new: Any) -> Verdict:
    """A regular expression, or another condition: what two of them have in common can't be told."""
    return BOTH if old and new else towards(not old, not new)


def allowed(old: Collection[object] | None, new: Collection[object] | None) -> Verdict:
    """A set of values; None allows all."""
    if old is None or new is None:
        return towards(old is None, new is None)
    return towards(any(v not in new for v in old), any(v not in old for v in new))


def severity(order: tuple[str, ...]) -> Judge:
    """What follows when it is broken, of an order from mild to severe."""
    return lambda old, new: least(order.index(old), order.index(new))


def types(old: DType, new: DType) -> Verdict:
    """A column's type: what it can hold decides, and whether readers go on as they are."""
    verdict = towards(not new.holds(old), not old.holds(new))
    if verdict is LOOSENS and widened(old, new):
        return SURVIVED
    if verdict is NEUTRAL:
        return _felt("it sorts in another order")
    return verdict


def widened(old: DType, new: DType) -> bool:
    """Whether every reader of `old` also reads `new`: a wider number of its kind, also as items."""
    match old.name, new.name:
        case "List", "List":
            return _inner(old, new)
        case "Array", "Array":
            return old.args[1] == new.args[1] and _inner(old, new)
        case "Decimal", "Decimal":
            return old.args[1:] == new.args[1:]
    return _of(old, new, _INTEGERS) or (old.name in _FLOATS and new.name in _FLOATS)


def _inner(old: DType, new: DType) -> bool:
    before, after = old.args[0], new.args[0]
    return isinstance(before, DType) and isinstance(after, DType) and widened(before, after)


def _of(old: DType, new: DType, kinds: tuple[str, ...]) -> bool:
    return old.name.startswith(kinds) and new.name.startswith(kinds)


def keys(old: tuple[str, ...], new: tuple[str, ...]) -> Verdict:
    """Columns that identify a row: fewer of them promise more."""
    if not old or not new:
        return towards(not old, not new)
    if set(old) == set(new):
        return _felt("rows are stored in another order")
    return towards(not set(old) <= set(new), not set(new) <= set(old))


def unknown(old: str, new: str) -> Verdict:
    """What happens to columns that nobody declared: refused, dropped or kept."""
    if new == "fail":
        return TIGHTENS
    if old == "keep":
        return _felt("columns that nobody declared are no more")
    return SURVIVED


def moved(note: str) -> Judge:
    """Something that no table tells and readers may feel; only once it was said before."""
    return lambda old, new: TOLD if old is None or old == "" else _felt(note)


def listed(old: Iterable[object], new: Iterable[object]) -> str:
    """`+ 'lost', - 'open'`: what came to a list and what went."""
    before, after = list(old), list(new)
    came = [f"+ {value!r}" for value in after if value not in before]
    went = [f"- {value!r}" for value in before if value not in after]
    return ", ".join(came + went) or "another order"
