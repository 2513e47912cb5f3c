"""Object stores by their URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.adapters.objectstore.opened import open_artifacts
from tidemill.core.errors import UsageError


def test_an_environment_that_lacks_something_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(UsageError, match=r"'s3://bucket' can't be opened: .*SecretAccessKey"):
        open_artifacts("s3://bucket", tmp_path, 1 << 30, str)
    assert list(tmp_path.iterdir()) == []
