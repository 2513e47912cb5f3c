"""URLs of object stores, and what is refused of them."""

from __future__ import annotations

import pytest

from tidemill.core.store_url import is_store_url, local_place, place_fault, split_store_url

CREDENTIALS = (
    "the URL has credentials or options, which would be recorded",
    "set them in the environment, such as AWS_ACCESS_KEY_ID",
)


@pytest.mark.parametrize(
    ("place", "is_stored"),
    [
        ("s3://bucket/a/*.parquet", True),
        ("gs://b/x", True),
        ("az://container/a b", True),
        ("file:///srv/x", False),
        ("data/s3/*.csv", False),
        ("/srv/*.csv", False),
    ],
)
def test_places_of_files(place: str, is_stored: bool) -> None:
    assert place_fault(place, is_glob=True) is None
    assert is_store_url(place) is is_stored


def test_parts_of_a_url() -> None:
    assert split_store_url("s3://bucket/a/b.csv") == ("s3://bucket", "a/b.csv")
    assert local_place("file:///srv/x y/%41.csv") == "/srv/x y/%41.csv"
    for place in ("data/x.csv", "s3://b/x", "file://srv/x"):
        assert local_place(place) == place


@pytest.mark.parametrize(
    "key", ["x@y.csv", "a#b.csv", "a?.csv", "[0-9]?*.csv", "**/k=v/*.csv", "%2F.csv", "ä b.csv"]
)
def test_characters_of_keys_are_no_credentials(key: str) -> None:
    assert place_fault(f"s3://bucket/{key}", is_glob=True) is None


@pytest.mark.parametrize(
    "place",
    [
        "s3://key:secret@bucket/x",
        "s3://secret@bucket/x",
        "s3://key:secret/x",
        "s3://bucket/x?key=secret",
        "s3://bucket/x*?a.b=secret",
        "gs://bucket/x&sig=secret",
        "az://container/x#secret=1",
        "https://user:secret@host/x",
        "http://host/x?token=secret",
    ],
)
@pytest.mark.parametrize("is_glob", [True, False])
def test_credentials_are_refused_and_not_shown(place: str, is_glob: bool) -> None:
    if "&" in place and not is_glob:
        place = place.replace("&", "?")
    assert place_fault(place, is_glob=is_glob) == CREDENTIALS


@pytest.mark.parametrize("mark", "@?#")
def test_a_place_that_is_no_glob_has_no_marks_of_options(mark: str) -> None:
    assert place_fault(f"s3://bucket/x{mark}secret") == CREDENTIALS


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("ftp://host/x", "files can't be at a URL that begins with ftp://"),
        ("file://srv/x", "files can't be at a URL that begins with file://"),
        ("s3://", "lacks a bucket, or a path in it"),
        ("s3://bucket", "lacks a bucket, or a path in it"),
        ("s3://bucket/", "lacks a bucket, or a path in it"),
        ("s3:///x", "lacks a bucket, or a path in it"),
        ("s3://buck*/x", "lacks a bucket, or a path in it"),
        ("s3://b/a//x", "has an empty part, '.' or '..'"),
        ("s3://b//x", "has an empty part, '.' or '..'"),
        ("s3://b/../x", "has an empty part, '.' or '..'"),
        ("s3://b/./x", "has an empty part, '.' or '..'"),
        ("s3://b/x/", "has an empty part, '.' or '..'"),
    ],
)
def test_other_urls_are_refused(place: str, words: str) -> None:
    found = place_fault(place, is_glob=True)
    assert found is not None
    assert words in found[0]
