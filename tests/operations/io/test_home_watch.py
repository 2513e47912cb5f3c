"""A home that was moved, removed or replaced is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.core.errors import StorageError
from tidemill.operations.io.home_watch import ledger_identity, require_same_ledger


def test_a_ledger_is_known_by_its_inode(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with pytest.raises(StorageError, match="is gone"):
        ledger_identity(file)
    file.touch()
    identity = ledger_identity(file)
    file.write_text("more")
    require_same_ledger(file, identity)
    file.rename(tmp_path / "moved.db")
    with pytest.raises(StorageError, match="moved, removed or replaced"):
        require_same_ledger(file, identity)
    file.touch()
    with pytest.raises(StorageError, match="moved, removed or replaced"):
        require_same_ledger(file, identity)
