"""Rulings as an input of a step: what its key has of them, and why they make a partition run again.

Nothing here needs Polars: a plan doesn't look at rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.core.fingerprint import fingerprint
from tidemill.reuse.contents import RULINGS, Content, input_digest

InForce = Mapping[str, tuple[Ruling, ...]]

_DOES = {
    Disposition.RELEASE: "released",
    Disposition.REPLACE: "replaced",
    Disposition.DROP: "dropped",
    Disposition.HOLD: "held back",
}


def contents_of(rulings: Sequence[Ruling]) -> dict[str, str]:
    """Rulings as what an input hands a step: by their number, so that their order counts."""
    return {f"{number:06}": ruling.digest for number, ruling in enumerate(rulings)}


def with_rulings(
    inputs: Mapping[str, Mapping[str, Content]], rulings: Sequence[Ruling]
) -> Mapping[str, Mapping[str, Content]]:
    """The inputs of a partition, with the rulings on it if there are any: other keys stay what they are."""
    return {**inputs, RULINGS: contents_of(rulings)} if rulings else inputs


def unheard(rulings: Sequence[Ruling], before: str | None) -> tuple[str, ...]:
    """The rulings that aren't in the digest `before` of those that a partition was made under, in words."""
    known = 0
    for count in range(len(rulings) + 1):
        if before == (input_digest(contents_of(rulings[:count]), None) if count else None):
            known = count
    return tuple(map(in_words, rulings[known:]))


def in_words(ruling: Ruling) -> str:
    """`2 quarantined rows released by ana: typo in the feed`."""
    count = len(ruling.rows)
    rows = f"{count} quarantined row{'s' if count > 1 else ''}" if count else "all quarantined rows"
    return f"{rows} {_DOES[ruling.disposition]} by {ruling.actor}: {ruling.reason}"


def digest_of_all(rulings: InForce) -> str:
    """Names the rulings on all partitions of a stage."""
    return fingerprint(
        "rulings", [[key, [r.digest for r in rulings[key]]] for key in sorted(rulings)]
    )
