"""How many examples a property draws: few in `make test`, all in `make soak`."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A test with this mark runs in both: `make soak` selects it, and passes `--thorough`.
thorough = pytest.mark.thorough

_thorough = False


def draw_all_examples() -> None:
    """From now on, `examples` gives the full number; `--thorough` calls it before tests are imported."""
    global _thorough
    _thorough = True


def examples(few: int, full: int | None = None) -> int:
    """How many examples to draw; `full` is the number of the Hypothesis profile by default."""
    full = settings().max_examples if full is None else full
    return full if _thorough else min(few, full)
