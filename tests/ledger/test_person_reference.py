"""A reference says nothing of a name without its salt."""

from __future__ import annotations

import re

from tidemill.ledger.person_reference import erased_name, person_reference


def test_a_reference_depends_on_salt_and_name() -> None:
    ref = person_reference("ana", "salt")
    assert re.fullmatch("person:[0-9a-f]{32}", ref)
    assert ref == person_reference("ana", "salt")
    assert len({ref, person_reference("ben", "salt"), person_reference("ana", "pepper")}) == 3
    assert erased_name(ref) == f"erased person {ref[7:15]}"
