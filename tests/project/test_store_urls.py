"""URLs of the places of objects."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.project.store_urls import parse_store_url


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("s3://bucket/path/", "s3://bucket/path"),
        ("gs://bucket", "gs://bucket"),
        ("az://container/a b", "az://container/a b"),
        ("file:///srv/objects", "file:///srv/objects"),
    ],
)
def test_a_url(text: str, used: str) -> None:
    assert parse_store_url(text, "x") == used


@pytest.mark.parametrize(
    "text",
    ["ftp://x/y", "/srv", "s3://", "s3:/b", "file://", "file:///", "file:x", "file://srv/x", "x"],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"\[t\] artifacts = .* is no place for objects: use s3://BUCKET"
    ):
        parse_store_url(text, "[t]")


@pytest.mark.parametrize(
    "text",
    [
        "s3://key:secret@b/x",
        "https://u:secret@host/b",
        "s3a://k:secret@b",
        "s3://b/x?key=secret",
        "s3://b#secret",
    ],
)
def test_credentials_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError, match="belong into the environment") as caught:
        parse_store_url(text, "[t]")
    assert "secret" not in str(caught.value)
