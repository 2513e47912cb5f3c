"""Rulings as an input: keys without them stay what they are, and each new one is said once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.quarantine.ruling_input import (
    describe_ruling,
    describe_rulings,
    pending_rulings,
    ruling_contents,
    rulings_digest,
    with_rulings,
)
from tidemill.reuse.input_contents import RULINGS, input_digest

DROP = Ruling(
    disposition=Disposition.DROP,
    object="bad",
    key="k",
    rows=(0, 3),
    actor="ana",
    reason="test rows",
    at=1.0,
)
HOLD = replace(DROP, disposition=Disposition.HOLD, rows=(3,), actor="ben", reason="a mistake")


def digest(*rulings: Ruling) -> str:
    return input_digest(ruling_contents(rulings), None)


def test_only_partitions_with_rulings_have_that_input() -> None:
    inputs = {"files": {"a.csv": "digest"}}
    assert with_rulings(inputs, ()) is inputs
    assert with_rulings(inputs, (DROP,)) == {**inputs, RULINGS: {"000000": DROP.digest}}


def test_the_order_of_rulings_counts_and_who_said_them_does_not() -> None:
    assert digest(DROP, HOLD) != digest(HOLD, DROP)
    assert digest(DROP) != digest(DROP, DROP)
    assert digest(replace(DROP, actor="cleo", reason="x", at=9.0)) == digest(DROP)


@pytest.mark.parametrize(
    ("ruling", "words"),
    [
        (DROP, "2 quarantined rows dropped by ana: test rows"),
        (HOLD, "1 quarantined row put back into quarantine by ben: a mistake"),
        (
            replace(DROP, disposition=Disposition.RELEASE, rows=()),
            "all quarantined rows released by ana: test rows",
        ),
        (
            replace(DROP, disposition=Disposition.REPLACE, fixed="good"),
            "2 quarantined rows replaced by ana: test rows",
        ),
    ],
)
def test_in_words(ruling: Ruling, words: str) -> None:
    assert describe_ruling(ruling) == words


def test_those_that_a_partition_was_made_under_are_not_said_again() -> None:
    said = (DROP, HOLD)
    assert pending_rulings(said, None) == (describe_ruling(DROP), describe_ruling(HOLD))
    assert pending_rulings(said, digest(DROP)) == (describe_ruling(HOLD),)
    assert pending_rulings(said, digest(DROP, HOLD)) == ()
    # Made under others: all of these are news.
    assert pending_rulings(said, digest(HOLD)) == (describe_ruling(DROP), describe_ruling(HOLD))


def test_a_digest_of_all_names_partitions_and_order() -> None:
    all_ = [
        rulings_digest({"1": (DROP,)}),
        rulings_digest({"2": (DROP,)}),
        rulings_digest({"1": (DROP, HOLD)}),
        rulings_digest({"1": (HOLD, DROP)}),
        rulings_digest({"1": (DROP,), "2": (HOLD,)}),
    ]
    assert len({*all_}) == len(all_)
    assert rulings_digest({"2": (HOLD,), "1": (DROP,)}) == all_[-1]


@pytest.mark.parametrize(
    ("rulings", "undone"),
    [
        ([DROP], [""]),
        ([DROP, replace(HOLD, rows=(0, 3))], [" (undone by 2)", ""]),
        ([DROP, replace(HOLD, rows=())], [" (undone by 2)", ""]),
        ([DROP, HOLD], [" (partly undone by 2)", ""]),
        ([DROP, HOLD, replace(HOLD, rows=(0,))], [" (undone by 2 and 3)", "", ""]),
        ([replace(DROP, rows=()), HOLD], [" (partly undone by 2)", ""]),
        ([replace(DROP, rows=()), HOLD, replace(HOLD, rows=())], [" (undone by 2 and 3)", "", ""]),
        # Of other rows, of another quarantine, and before the ruling.
        ([DROP, replace(HOLD, rows=(7,))], ["", ""]),
        ([DROP, replace(HOLD, rows=(0, 3), object="other")], ["", ""]),
        ([DROP, replace(HOLD, rows=(0, 3), key="other")], ["", ""]),
        ([HOLD, DROP], ["", ""]),
        ([DROP, replace(HOLD, rows=(0, 3)), DROP], [" (undone by 2)", "", ""]),
    ],
)
def test_a_ruling_is_described_with_what_undoes_it(
    rulings: list[Ruling], undone: list[str]
) -> None:
    assert describe_rulings(rulings) == tuple(
        describe_ruling(ruling) + more for ruling, more in zip(rulings, undone, strict=True)
    )
