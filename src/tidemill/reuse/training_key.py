"""Compute the key of a training: recipe and inputs, and the version that it continues, if any."""

from __future__ import annotations

from dataclasses import replace

from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Product
from tidemill.models.warm_start import content_prefix
from tidemill.reuse.input_contents import Content
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import Inputs, StepKey, key_for


def training_key(
    recipe: Recipe, inputs: Inputs, parent: str = "", *, include_expected: bool = False
) -> StepKey:
    """The key of a training that continues a version with the digest `parent`; "" is from scratch."""
    if parent:
        recipe = replace(recipe, digest=fingerprint("continued", recipe.digest, parent))
    return key_for(recipe, WHOLE, inputs, include_expected=include_expected)


def snapshot_of(inputs: Inputs) -> dict[str, dict[str, str]]:
    """A prefix of the digest of each partition's content, by input; "" for what isn't computed yet."""
    return {
        name: {key: content_prefix(_digest(contents[key])) for key in sorted(contents)}
        for name, contents in inputs.items()
    }


def _digest(content: Content) -> str:
    if isinstance(content, Product):
        return content.content
    return content if isinstance(content, str) else ""
