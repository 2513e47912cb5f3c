"""The console of the bakery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.shop_models import shops, shops_template

# Fixtures that are made elsewhere are found by their names here.
__all__ = ["shops", "shops_template"]


@pytest.fixture
def visitor(built: Path) -> Iterator[Visitor]:
    """Somebody who looks at the bakery after its first run."""
    with Visitor(built) as found:
        yield found
