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
        (r"C:\anana", []),
        ("x\nana and C:\\ana", ["ana", "ana"]),
        ("a+b", ["a+b"]),
        ("aab", []),
    ],
)
def test_a_name_is_found_where_it_stands_alone(text: str, found: list[str]) -> None:
    assert name_pattern(["ana", "ana@example.com", "a+b"]).findall(text) == found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # Escapes of a line end, a control character and a quotation mark.
        (r"x\nana", 1),
        (r"x\u001bana", 1),
        (r"x\u201Cana\u201d", 1),
        (r"C:\\ana", 1),
        # A line end that was escaped twice.
        (r"x\\nana", 1),
        ("banana u001bana", 0),
    ],
)
def test_a_name_is_found_beside_an_escape(text: str, count: int) -> None:
    assert len(name_pattern(["ana"]).findall(text)) == count
