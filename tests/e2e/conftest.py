"""Projects that tests of several modules copy."""

from __future__ import annotations

from tests.support.shop_models import shops_template

# Fixtures that are made elsewhere are found by their names here.
__all__ = ["shops_template"]
