"""One thing that a contract says, and how a change of it is judged and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidemill.contracts.compatibility.changes import Change
from tidemill.contracts.compatibility.directions import WATCHED, Judge, Verdict

Words: TypeAlias = Callable[[Any, Any], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One thing that a contract says: its field, who judges a change of it, and how it is told.

    `exclusive` is the field that says the same and leaves the value itself out. `checked` terms are
    held against values; where a break only warns, they promise nothing.
    """

    label: str
    field: str
    judge: Judge
    exclusive: str = ""
    words: Words | None = None
    checked: bool = False

    def value(self, record: object) -> Any:
        """What a record says of it; of an end both forms, of which one is None."""
        if self.exclusive:
            return getattr(record, self.field), getattr(record, self.exclusive)
        return getattr(record, self.field)

    def told(self, old: object, new: object) -> str:
        """`min 0 -> 5`."""
        if self.words is not None:
            return f"{self.label} {self.words(self.value(old), self.value(new))}"
        if self.exclusive:
            return f"{self.label} {_end_said(self.value(old))} -> {_end_said(self.value(new))}"
        return f"{self.label} {said(self.value(old))} -> {said(self.value(new))}"


def term(name: str, judge: Judge, **more: Any) -> Term:
    """A term that is told by the name of its field."""
    return Term(label=name, field=name, judge=judge, **more)


def _end_said(ends: tuple[object, object]) -> str:
    inclusive, exclusive = ends
    parts = [said(inclusive)] if inclusive is not None else []
    parts += [f"{said(exclusive)} (exclusive)"] if exclusive is not None else []
    return " and ".join(parts) or "none"


def said(value: object) -> str:
    """A term's value as people say it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})" if value else "none"
    return str(value)


def change(about: str, words: str, verdict: Verdict, column: str = "", term: str = "") -> Change:
    """A difference with what was found about it."""
    return Change(
        about=about,
        words=words,
        direction=verdict.direction,
        column=column,
        term=term,
        survived=verdict.survived,
        told=verdict.told,
        felt=verdict.felt,
        note=verdict.note,
    )


def judged(
    about: str,
    terms: tuple[Term, ...],
    old: object,
    new: object,
    *,
    column: str = "",
    warns: bool = False,
) -> Iterator[Change]:
    """A change for each term in which two records differ; `warns` when both only warn."""
    for item in terms:
        before, after = item.value(old), item.value(new)
        if before != after:
            verdict = WATCHED if warns and item.checked else item.judge(before, after)
            yield change(about, item.told(old, new), verdict, column, item.label)
