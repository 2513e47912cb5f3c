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
from tidemill.reuse.input_contents import ROWS, RULINGS, abbreviate_shares
from tidemill.reuse.recipe import Recipe, unchanged_columns
from tidemill.reuse.step_key import ExpectedColumns, StepKey, reuse_action

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


COLUMNS = ("a", "b", "c")
SOURCES = ("one", "two")
SHARES = st.dictionaries(
    st.sampled_from(SOURCES),
    st.dictionaries(st.sampled_from((*COLUMNS, ROWS)), st.sampled_from(("0" * 32, "1" * 32))),
)
PARTS = st.dictionaries(
    st.sampled_from(("code", *(f"column {name}" for name in COLUMNS))), st.just("1") | st.just("2")
)
LINEAGE = st.dictionaries(
    st.sampled_from(COLUMNS),
    st.dictionaries(
        st.sampled_from(SOURCES), st.lists(st.sampled_from(COLUMNS), max_size=2).map(tuple)
    ),
)


@given(
    old=PARTS,
    other=PARTS,
    new=PARTS,
    lineage=LINEAGE,
    seen=SHARES,
    now=SHARES,
    held=st.sets(st.sampled_from(COLUMNS)),
)
def test_columns_are_expected_to_stay_whose_recipe_and_inputs_do(
    old: dict[str, str],
    other: dict[str, str],
    new: dict[str, str],
    lineage: dict[str, dict[str, tuple[str, ...]]],
    seen: dict[str, dict[str, str]],
    now: dict[str, dict[str, str]],
    held: set[str],
) -> None:
    recipe = Recipe(digest=fingerprint("recipe", new), parts=new, lineage=lineage)
    expected = StepKey(key=None, inputs={}, shares=now)
    short = expected.short_shares
    for made_by in (old, other, new):
        bound = Binding(
            key="k", recipe=fingerprint("recipe", made_by), contract="1.0.0", check="", run="run", at=0.0,
            product=Product(content="c", columns=dict.fromkeys(held, "h")),
            seen={name: abbreviate_shares(shares) for name, shares in seen.items()},
        )  # fmt: skip
        stay = {
            name
            for name in unchanged_columns(made_by, new) & held & lineage.keys()
            if made_by in (old, new)
            and all(
                column in short.get(source, {})
                and short[source][column] == bound.seen.get(source, {}).get(column)
                for source, columns in lineage[name].items()
                for column in columns or (ROWS,)
            )
        }
        assert ExpectedColumns(recipe, old).find(bound, expected) == stay
