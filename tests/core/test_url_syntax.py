"""URLs whose password isn't percent-encoded are found before they are used."""

from __future__ import annotations

import pytest

from tidemill.core.url_syntax import url_ambiguity


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://alice:hunter2#secret@host/db", "an @ after the first /, ? or #"),
        ("postgresql://alice:hun/ter2@host/db", "an @ after the first /, ? or #"),
        ("postgresql://alice:hun?ter2@host/db", "an @ after the first /, ? or #"),
        ("postgresql://host/db?password=a@b", "an @ after the first /, ? or #"),
        ("postgresql://alice:hun@ter2@host/db", "more than one @"),
        ("postgresql://host/db?password=a#b", "a #"),
        ("postgresql://alice:my word@host/db", "a space or a control character"),
        ("postgresql://alice:[a]@host/db", "a bracket before the @"),
        ("postgresql://alice:100%@host/db", "a % that two hexadecimal digits don't follow"),
        ("postgresql://alice:hunter2/db", "a port that isn't a number"),
    ],
)
def test_ambiguous_urls(url: str, words: str) -> None:
    assert url_ambiguity(url) == words


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alice:hunter2%23secret@host:5432/db?sslmode=require",
        "postgresql://alice@%2Fvar%2Frun/db",
        "postgresql://h1:1,h2:2/db",
        "postgresql://a:b:c@[::1]:5432/db",
        "postgresql:///db?host=/var/run",
        "sqlite:////home/me@work/a#b/100%.db",
        "env:DATABASE_URL",
        "",
    ],
)
def test_other_urls(url: str) -> None:
    assert url_ambiguity(url) == ""
