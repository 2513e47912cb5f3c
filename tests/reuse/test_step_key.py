"""How a result that is known under a step's key is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.run import Action
from tidemill.reuse.input_contents import RULINGS
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import ExpectedColumns, key_for, reuse_action

CAST = Finding(rule="x.type", severity="quarantine", rows=1)


@pytest.mark.parametrize(
    ("touched", "check", "product", "taken"),
    [
        ((), "same", Product(content="c"), Action.BIND),
        ((), "other", Product(content="c"), Action.RECHECK),
        # The rows that are published aren't all that were judged.
        ((), "other", Product(content="c", quarantine="q", quarantined=1), Action.RUN),
        # A value that couldn't be cast is a null by now.
        ((), "other", Product(content="c", findings=(CAST,)), Action.RUN),
        # No key sees the clock, whatever else is the same.
        (("it reads the clock",), "same", Product(content="c"), Action.RUN),
        (("it reads the clock",), "other", Product(content="c"), Action.RUN),
    ],
)
def test_what_is_known_is_taken_as_far_as_it_can_be_trusted(
    touched: tuple[str, ...], check: str, product: Product, taken: Action
) -> None:
    found = Binding(
        key="k", touched=touched, recipe="r", contract="1.0.0", check=check, product=product,
        run="run", at=0.0,
    )  # fmt: skip
    assert reuse_action(found, Recipe(digest="r", check="same")) is taken


@pytest.mark.parametrize(
    ("rules", "wider", "own", "taken"),
    [
        ("", "", True, Action.BIND),
        ("w", "w", True, Action.BIND),
        # What is published was asked something else; wherever else it is bound it is asked anew.
        ("w", "other", True, Action.RECHECK),
        ("", "w", True, Action.RECHECK),
        ("w", "", True, Action.RECHECK),
        ("w", "other", False, Action.BIND),
        (None, "", True, Action.BIND),
        (None, "w", True, Action.RECHECK),
    ],
)
def test_what_was_held_against_others_is_asked_again(
    rules: str | None, wider: str, own: bool, taken: Action
) -> None:
    found = Binding(
        key="k", recipe="r", contract="1.0.0", check="", product=Product(content="c", quarantined=1),
        run="run", at=0.0, verdict=None if rules is None else TableFindings(at=0.0, rules=rules),
    )  # fmt: skip
    assert reuse_action(found, Recipe(digest="r", table_check=wider), own=own) is taken


@pytest.mark.parametrize(
    ("bad", "good", "partition", "inputs", "taken"),
    [
        (2, 2, "2026-01-01", {}, Action.BIND),
        # It was published before contracts had a budget by default.
        (3, 2, "2026-01-01", {}, Action.RUN),
        (3, 2, WHOLE, {}, Action.RUN),
        # These rows are all bad.
        (3, 0, UNPLACED, {}, Action.BIND),
        # People have looked at them.
        (3, 2, "2026-01-01", {RULINGS: "r"}, Action.BIND),
    ],
)
def test_a_result_with_too_many_bad_rows_is_judged_again(
    bad: int, good: int, partition: str, inputs: dict[str, str], taken: Action
) -> None:
    product = Product(content="c", rows=good, quarantined=bad, quarantine="q")
    found = Binding(
        key="k", recipe="r", contract="1.0.0", check="", product=product, run="run", at=0.0,
        inputs=inputs,
    )  # fmt: skip
    assert reuse_action(found, Recipe(digest="r", max_bad=0.5), partition=partition) is taken


COLUMNS = st.frozensets(st.sampled_from("abc"))


def recipe_parts(changed: frozenset[str]) -> dict[str, str]:
    """The parts of a recipe of three columns, some of which it computes in another way."""
    return {"contract": "c"} | {f"column {name}": str(name in changed) for name in "abc"}


@given(
    before=COLUMNS,
    made_by=st.sampled_from(["before", "now", "another"]),
    inputs=COLUMNS,
    known=COLUMNS,
    stored=COLUMNS,
)
def test_columns_are_expected_to_stay_whose_expression_and_inputs_did(
    before: frozenset[str],
    made_by: str,
    inputs: frozenset[str],
    known: frozenset[str],
    stored: frozenset[str],
) -> None:
    parts, old = recipe_parts(frozenset()), recipe_parts(before)
    # Each column reads the one of the same name.
    recipe = Recipe(
        digest=fingerprint("recipe", parts),
        parts=parts,
        reads={"raw": ("a", "b", "c")},
        lineage={name: {"raw": (name,)} for name in known},
    )
    now = {name: fingerprint(name, name in inputs) for name in "abc"}
    then = {name: fingerprint(name, False) for name in "abc"}
    was = Product(content="was", columns=then, rowset="r", rows=1)
    made = {"before": fingerprint("recipe", old), "now": recipe.digest, "another": "r"}[made_by]
    held = Binding(
        key="k", recipe=made, contract="1.0.0", check="", run="run", at=0.0,
        product=Product(content="c", columns=dict.fromkeys(stored, "h")),
        seen=key_for(recipe, "", {"raw": {"p": was}}).short_shares,
    )  # fmt: skip
    found = ExpectedColumns(recipe, old).find(
        held, {"raw": {"p": Product(content="now", columns=now, rowset="r", rows=1)}}
    )
    stay = {"before": known - before, "now": known, "another": frozenset[str]()}[made_by]
    assert (frozenset() if found is None else found.columns) == (stay & stored) - inputs
    assert ExpectedColumns(recipe, old).find(None, {}) is None
