"""The key of a training tells its parent; one from scratch has the key that it always had."""

from __future__ import annotations

from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Product
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import key_for
from tidemill.reuse.training_key import snapshot_of, training_key

RECIPE = Recipe(digest="recipe")
INPUTS = {"raw": {"2024-01-01": "content"}}


def test_a_training_from_scratch_has_the_key_of_any_step() -> None:
    assert training_key(RECIPE, INPUTS) == key_for(RECIPE, WHOLE, INPUTS)


def test_the_parent_is_part_of_the_key_and_not_of_the_inputs() -> None:
    scratch, one, other = (training_key(RECIPE, INPUTS, parent) for parent in ("", "one", "other"))
    assert len({scratch.key, one.key, other.key}) == 3
    assert scratch.inputs == one.inputs == other.inputs
    assert one.key == training_key(RECIPE, INPUTS, "one").key


def test_a_training_whose_inputs_are_not_computed_has_no_key() -> None:
    assert training_key(RECIPE, {"raw": {"2024-01-01": None}}, "one").key is None


def test_a_snapshot_has_a_prefix_of_each_content() -> None:
    product = Product(content="0123456789abcdef0123", rows=1)
    found = snapshot_of({"raw": {"b": product, "a": "0" * 20, "c": None}})
    assert found == {"raw": {"a": "0" * 16, "b": "0123456789abcdef", "c": ""}}
    assert list(found["raw"]) == ["a", "b", "c"]
