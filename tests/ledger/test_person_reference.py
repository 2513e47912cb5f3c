"""A reference says nothing of a name without its salt."""

from __future__ import annotations

import re

import pytest

from tidemill.ledger.person_reference import erased_name, name_pattern, person_reference


def test_a_reference_depends_on_salt_and_name() -> None:
    ref = person_reference("ana", "salt")
    assert re.fullmatch("person:[0-9a-f]{32}", ref)
    assert ref == person_reference("ana", "salt")
    assert len({ref, person_reference("ben", "salt"), person_reference("ana", "pepper")}) == 3
    assert erased_name(ref) == f"erased person {ref[7:15]}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ana, Ana and (ana)", ["ana", "ana"]),
        ("ana@example.com", ["ana@example.com"]),
        ("anas ana_x banana \u00e4ana", []),
        (r"x\nana", ["ana"]),
        ("a+b", ["a+b"]),
        ("aab", []),
    ],
)
def test_a_name_is_found_where_it_stands_alone(text: str, found: list[str]) -> None:
    assert name_pattern(["ana", "ana@example.com", "a+b"]).findall(text) == found
