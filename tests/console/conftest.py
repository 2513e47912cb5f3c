"""The console of the bakery."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.shop_models import shops, shops_template

# Fixtures that are made elsewhere are found by their names here.
__all__ = ["shops", "shops_template"]


@pytest.fixture(scope="module")
def onlooker(built_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody who looks at the same bakery in all tests of a module: these change nothing."""
    folder = tmp_path_factory.mktemp("seen") / "bakery"
    shutil.copytree(built_template, folder)
    with Visitor(folder) as found:
        yield found


@pytest.fixture
def visitor(built: Path) -> Iterator[Visitor]:
    """Somebody who looks at the bakery after its first run."""
    with Visitor(built) as found:
        yield found
