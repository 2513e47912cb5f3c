"""Treat rulings as an input of a step: their part of its key, and the reasons for a rerun.

Nothing here imports Polars: a plan doesn't read rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.core.counts import plural
from tidemill.core.fingerprint import fingerprint
from tidemill.core.signature import signature
from tidemill.reuse.input_contents import RULINGS, Content, input_digest

RulingsByPartition = Mapping[str, tuple[Ruling, ...]]

_DOES = {
    Disposition.RELEASE: "released",
    Disposition.REPLACE: "replaced",
    Disposition.DROP: "dropped",
    Disposition.HOLD: "put back into quarantine",
}


def ruling_contents(rulings: Sequence[Ruling]) -> dict[str, str]:
    """Rulings as the contents of an input, keyed by their number so that their order counts."""
    return {f"{number:06}": ruling.digest for number, ruling in enumerate(rulings)}


def with_rulings(
    inputs: Mapping[str, Mapping[str, Content]], rulings: Sequence[Ruling]
) -> Mapping[str, Mapping[str, Content]]:
    """Add the rulings on a partition to its inputs; without any the inputs, and so the key, stay equal."""
    return {**inputs, RULINGS: ruling_contents(rulings)} if rulings else inputs


def rulings_input(rulings: Sequence[Ruling]) -> str | None:
    """The digest of rulings among the inputs of a partition that was computed with them; None without any."""
    return input_digest(ruling_contents(rulings), None) if rulings else None


def pending_rulings(rulings: Sequence[Ruling], before: str | None) -> tuple[str, ...]:
    """Describe the rulings that a partition wasn't computed with; `before` is the digest of the others."""
    known = 0
    for count in range(len(rulings) + 1):
        if before == rulings_input(rulings[:count]):
            known = count
    return tuple(map(describe_ruling, rulings[known:]))


def describe_ruling(ruling: Ruling) -> str:
    """Describe a ruling: `2 quarantined rows released by ana: typo in the feed`."""
    count = len(ruling.rows)
    rows = plural(count, "quarantined row") if count else "all quarantined rows"
    return f"{rows} {_DOES[ruling.disposition]} by {signature(ruling.actor, ruling.note)}: {ruling.reason}"


def describe_rulings(rulings: Sequence[Ruling]) -> tuple[str, ...]:
    """Describe rulings in their order, with the number of the ruling that undoes them, if one does."""
    return tuple(
        describe_ruling(ruling) + _undone(ruling, number, rulings[number:])
        for number, ruling in enumerate(rulings, 1)
    )


def _undone(ruling: Ruling, number: int, later: Sequence[Ruling]) -> str:
    """Describe which later rulings put the rows of one back into quarantine; no rows stand for all."""
    if ruling.disposition is Disposition.HOLD:
        return ""
    rest: set[int] = {*ruling.rows}
    partly: list[int] = []
    for at, other in enumerate(later, number + 1):
        if other.disposition is not Disposition.HOLD or (other.object, other.key) != (
            ruling.object,
            ruling.key,
        ):
            continue
        if not other.rows or (ruling.rows and rest <= {*other.rows}):
            return f" (undone by {at})" if not partly else f" (undone by {_and([*partly, at])})"
        if not ruling.rows or not rest.isdisjoint(other.rows):
            rest -= {*other.rows}
            partly.append(at)
    return f" (partly undone by {_and(partly)})" if partly else ""


def _and(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def rulings_digest(rulings: RulingsByPartition) -> str:
    """Digest the rulings on all partitions of a stage."""
    return fingerprint(
        "rulings", [[key, [r.digest for r in rulings[key]]] for key in sorted(rulings)]
    )
