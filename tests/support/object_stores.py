"""An S3 server that the tests of a module share, and which the environment of this process names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """The variables by which clients find a new S3 server; the test is skipped, and says why, without one."""
    # Where the wheel is tried, there are no tools.
    from tools import object_store

    if reason := object_store.missing():
        pytest.skip(reason)
    with object_store.server() as environment, pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        yield
