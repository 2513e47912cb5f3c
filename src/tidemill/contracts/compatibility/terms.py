"""Define the comparable terms of a contract: how to judge and to describe a change of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from tidemill.contracts.compatibility.changes import Change
from tidemill.contracts.compatibility.directions import WARNS_ONLY, ChangeEffect, Judge
from tidemill.core.lazy_dataclass import dataclass

Words: TypeAlias = Callable[[Any, Any], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term of a contract: its field, the judge of its changes, and their description.

    `exclusive` is the field with the exclusive form of the bound. `checked` terms are checked against
    values; if a violation only warns, they promise nothing.
    """

    label: str
    field: str
    judge: Judge
    exclusive: str = ""
    words: Words | None = None
    checked: bool = False

    def value(self, record: object) -> Any:
        """Return the term's value in a record; for a bound, the pair (inclusive, exclusive)."""
        if self.exclusive:
            return getattr(record, self.field), getattr(record, self.exclusive)
        return getattr(record, self.field)

    def describe(self, old: object, new: object) -> str:
        """Describe the change between two records, such as `min 0 -> 5`."""
        if self.words is not None:
            return f"{self.label} {self.words(self.value(old), self.value(new))}"
        if self.exclusive:
            return (
                f"{self.label} {_format_bound(self.value(old))} -> {_format_bound(self.value(new))}"
            )
        return f"{self.label} {format_value(self.value(old))} -> {format_value(self.value(new))}"


def term(name: str, judge: Judge, **more: Any) -> Term:
    """Return a term that is labelled with the name of its field."""
    return Term(label=name, field=name, judge=judge, **more)


def _format_bound(ends: tuple[object, object]) -> str:
    inclusive, exclusive = ends
    parts = [format_value(inclusive)] if inclusive is not None else []
    parts += [f"{format_value(exclusive)} (exclusive)"] if exclusive is not None else []
    return " and ".join(parts) or "none"


def format_value(value: object) -> str:
    """Format the value of a term for people."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})" if value else "none"
    return str(value)


def make_change(
    about: str, words: str, effect: ChangeEffect, column: str = "", term: str = ""
) -> Change:
    """Return a change with the given effect."""
    return Change(
        about=about,
        words=words,
        direction=effect.direction,
        column=column,
        term=term,
        survived=effect.survived,
        told=effect.told,
        felt=effect.felt,
        note=effect.note,
    )


def term_changes(
    about: str,
    terms: tuple[Term, ...],
    old: object,
    new: object,
    *,
    column: str = "",
    warns: bool = False,
) -> Iterator[Change]:
    """Yield a change for each term in which two records differ; `warns` if both only warn."""
    for item in terms:
        before, after = item.value(old), item.value(new)
        if before != after:
            verdict = WARNS_ONLY if warns and item.checked else item.judge(before, after)
            yield make_change(about, item.describe(old, new), verdict, column, item.label)
