"""A column is personal where a contract says so, and stays so under its name."""

from __future__ import annotations

from tests.lineage.test_dictionary import FLOW, RECIPES
from tidemill.governance.personal_columns import personal_columns


def test_marked_columns_and_those_that_pass_them_on_are_personal() -> None:
    assert personal_columns(FLOW, RECIPES, {"raw": ["id", "mail"]}) == ("raw.mail",)
    # What is computed from it has another name, and a contract of its own.
    assert personal_columns(FLOW, RECIPES, {"clean": ["id", "domain"]}) == ()
    # A stage whose columns can't be followed may pass on any of them.
    assert personal_columns(FLOW, RECIPES, {"blind": ["x", "mail"]}) == ("blind.mail",)
    assert personal_columns(FLOW, RECIPES, {"other": ["mail"]}) == ()
