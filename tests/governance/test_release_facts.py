"""The facts about rows that would be released."""

from __future__ import annotations

import pytest

from tests.governance.test_delivery_facts import CONTEXT
from tidemill.governance.facts import known_facts, specs_of
from tidemill.governance.release_facts import release_facts
from tidemill.ledger.policy import SubjectKind

REASONS = [("x.max",), ("x.max", "few"), ("few",), ("y.min",)]


def test_every_declared_fact_has_a_value_of_its_type() -> None:
    found = release_facts(CONTEXT, "raw", REASONS, [])
    assert found.keys() == specs_of(SubjectKind.RELEASE).keys()
    assert known_facts(SubjectKind.RELEASE, found) == found
    assert (found["name"], found["rows"], found["share"]) == ("raw", 4, 1.0)
    assert found["broken_rules"] == ("few", "x.max", "y.min")


@pytest.mark.parametrize(
    ("rows", "share", "broken"),
    [([0], 0.25, ("x.max",)), ([2, 1, 1], 0.5, ("few", "x.max"))],
)
def test_chosen_rows_are_those_that_count(
    rows: list[int], share: float, broken: tuple[str, ...]
) -> None:
    found = release_facts(CONTEXT, "raw", REASONS, rows)
    assert (found["rows"], found["share"], found["broken_rules"]) == (len({*rows}), share, broken)


def test_a_share_of_nothing_is_not_known() -> None:
    assert release_facts(CONTEXT, "raw", [], [])["share"] is None
