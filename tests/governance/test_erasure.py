"""Whom an erasure is about, and what it says of the places with their rows."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.governance.erasure import (
    Erasure,
    ErasurePlace,
    ErasureSubject,
    PlaceKind,
    parse_subject,
)


def test_a_subject_is_a_name_or_a_key() -> None:
    assert parse_subject("ana", "") == ErasureSubject(value="ana")
    assert parse_subject("", "id=a=b") == ErasureSubject(column="id", value="a=b")


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("", "", "name who is to be erased"),
        ("ana", "id=2", "name who is to be erased"),
        ("", "id", "is not COLUMN=VALUE"),
        ("", "=2", "is not COLUMN=VALUE"),
        ("", "id=", "is not COLUMN=VALUE"),
        # What stands for no person in records.
        ("gates", "", "'gates' is not the name of a person"),
        ("role:admin", "", "is not the name of a person"),
    ],
)
def test_a_subject_that_is_not_clear_is_refused(name: str, column: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_subject(name, column)


def test_the_digest_depends_on_the_salt() -> None:
    subject = ErasureSubject(column="id", value="2")
    assert subject.digest("a") == subject.digest("a")
    others = [ErasureSubject(column="id", value="3"), ErasureSubject(value="2")]
    assert len({subject.digest("a"), subject.digest("b"), *(o.digest("a") for o in others)}) == 4


def test_rows_are_counted_by_what_happens_to_them() -> None:
    found = Erasure(
        subject=ErasureSubject(value="ana"),
        places=(
            ErasurePlace(kind=PlaceKind.PEOPLE, name="ana", rows=1),
            ErasurePlace(kind=PlaceKind.QUARANTINE, name="raw 1", rows=2),
            ErasurePlace(kind=PlaceKind.QUARANTINE, name="raw 2", rows=3),
            ErasurePlace(kind=PlaceKind.EVENTS, name="ledger", rows=4, left="old"),
        ),
    )
    assert found.removed == {"people": 1, "quarantine": 5}
    assert found.left == {"events": 4}
