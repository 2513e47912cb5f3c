"""How a result that is known under a step's key is taken."""

from __future__ import annotations

import pytest

from tidemill.decide.recipe import Recipe
from tidemill.decide.reuse import reuse_of
from tidemill.domain.binding import Binding, Product
from tidemill.domain.finding import Finding
from tidemill.domain.plan import Action

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
    assert reuse_of(found, Recipe(digest="r", check="same")) is taken


@pytest.mark.parametrize(
    ("own", "historic", "taken"),
    [
        (True, False, Action.BIND),
        (False, False, Action.BIND),
        (True, True, Action.BIND),
        # Elsewhere other partitions may be before it.
        (False, True, Action.RECHECK),
    ],
)
def test_what_was_held_against_other_partitions_is_judged_again(
    own: bool, historic: bool, taken: Action
) -> None:
    found = Binding(
        key="k", recipe="r", contract="1.0.0", check="", product=Product(content="c"), run="run",
        at=0.0,
    )  # fmt: skip
    assert reuse_of(found, Recipe(digest="r", historic=historic), own=own) is taken
