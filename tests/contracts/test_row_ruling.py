"""Rulings: what is a person's word on rows, and what names it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.core.errors import UsageError

DROP = Ruling(
    disposition=Disposition.DROP,
    object="bad",
    key="k",
    rows=(0, 3),
    actor="ana",
    reason="test rows",
    at=1.0,
)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reason": " "}, "a reason is missing"),
        ({"actor": ""}, "an actor is missing"),
        ({"rows": (3, 0)}, "not ascending row numbers"),
        ({"rows": (1, 1)}, "not ascending row numbers"),
        ({"rows": (-1,)}, "not ascending row numbers"),
        ({"fixed": "rows"}, "corrected rows go with replace"),
        ({"disposition": Disposition.REPLACE}, "corrected rows go with replace"),
    ],
)
def test_a_ruling_that_says_nothing_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replace(DROP, **wrong)


def test_it_pins_what_it_speaks_of() -> None:
    assert DROP.pinned_objects == ("bad",)
    assert replace(DROP, disposition=Disposition.REPLACE, fixed="good").pinned_objects == (
        "bad",
        "good",
    )


def test_its_digest_names_what_becomes_of_rows() -> None:
    others = [
        replace(DROP, disposition=Disposition.HOLD),
        replace(DROP, object="other"),
        replace(DROP, rows=()),
        replace(DROP, key="other"),
        replace(DROP, disposition=Disposition.REPLACE, fixed="good"),
    ]
    assert len({DROP.digest, *(other.digest for other in others)}) == 1 + len(others)
    assert replace(DROP, actor="ben", reason="other", at=2.0).digest == DROP.digest
    # Keys hold it: another one makes every partition that was ruled on run again.
    assert DROP.digest == "45668afdb538c6fa705e4416dc5e1816"
