"""Fixtures for the judgments."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.decide.modules import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder of modules that can be written, imported and edited."""
    made = Project(tmp_path, monkeypatch)
    yield made
    made.forget()
