"""URLs of object stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.adapters.objectstore.opened import open_artifacts
from tidemill.core.errors import UsageError


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x/y", "isn't a URL of an object store: use s3://"),
        ("/tmp/x", "isn't a URL of an object store"),
        ("s3://key:secret@bucket/x", "credentials and options belong into the environment"),
        ("s3://bucket/x?region=eu", "credentials and options belong into the environment"),
        ("s3://", "can't be opened"),
    ],
)
def test_other_urls_are_refused(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_artifacts(url, tmp_path, 1 << 30, str)
    assert "secret" not in str(caught.value)
