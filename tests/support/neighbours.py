"""The environments of other makers' tools, which `make test-interop` installs one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python_beside(name: str) -> Path:
    """The interpreter that has `name` and this Tidemill; the test says why it is skipped without it."""
    folder = ROOT / "build" / "beside" / name
    if not (folder / ".ready").exists():
        pytest.skip(f"{name} isn't installed: `make test-interop` installs it")
    return folder / "bin" / "python"
