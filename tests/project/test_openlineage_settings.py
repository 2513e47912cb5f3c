"""The settings of OpenLineage: each that doesn't fit is named, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.project.openlineage_settings import (
    OpenLineageSettings,
    lineage_url,
    parse_openlineage,
)
from tidemill.project.settings import find_settings


def test_settings_are_read_from_the_project(tmp_path: Path) -> None:
    text = '[tool.tidemill]\nworkflow = "a:b"\n[tool.tidemill.openlineage]\n'
    (tmp_path / "pyproject.toml").write_text(
        text
        + 'command = ["ship", "it"]\nflush = "500ms"\nnamespace = "shop"\n'.replace("500ms", "3s")
    )
    found = find_settings(tmp_path).openlineage
    assert found == OpenLineageSettings(command=("ship", "it"), flush=3.0, namespace="shop")
    assert found.sends
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "a:b"\nopenlineage = 3\n')
    with pytest.raises(UsageError, match=r"\[tool.tidemill\] openlineage = 3 is not a table"):
        find_settings(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"ulr": "x"}, "place ulr: did you mean 'url'?"),
        ({"url": "ftp://a"}, "place url = ... is not an http:// or https:// URL"),
        ({"url": "http://"}, "is not an http:// or https:// URL"),
        ({"url": "http://a:port"}, "is not an http:// or https:// URL"),
        (
            {"url": "http://u:s3cret@a"},
            'place url = ... has a user or a password: use api_key = "env',
        ),
        ({"url": 3}, "place url = ... is not text"),
        (
            {"api_key": "s3cret"},
            'place api_key = ... would be in a file that others read: write "env',
        ),
        ({"api_key": "env:"}, "would be in a file"),
        ({"file": " "}, "place file = ' ' is not text"),
        ({"command": "ship it"}, "place command = 'ship it' is not a list of a program"),
        ({"command": []}, "is not a list of a program"),
        ({"gzip": "yes"}, "place gzip = 'yes' is not true or false"),
        ({"flush": "soon"}, "place flush = 'soon' is not a duration"),
        ({"timeout": 0}, "place timeout = 0 is not a duration"),
        ({"url": "http://a", "file": "b"}, "place has url and file: choose one"),
    ],
)
def test_what_doesnt_fit_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_openlineage(table, "place")
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"url": "http://a:5000"}, "http://a:5000/api/v1/lineage"),
        ({"url": "https://a/b/", "endpoint": "/c?d=e"}, "https://a/b/c?d=e"),
        ({"url": "env:LINEAGE_AT"}, "http://there/api/v1/lineage"),
    ],
)
def test_where_events_are_posted(
    given: dict[str, Any], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAGE_AT", " http://there ")
    assert lineage_url(parse_openlineage(given, "place")) == url


def test_a_variable_that_isnt_set_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse_openlineage({"url": "env:LINEAGE_AT"}, "place")
    sends = []
    for value in ("", "there"):
        monkeypatch.setenv("LINEAGE_AT", value)
        sends.append(settings.sends)
    assert sends == [False, True]
    with pytest.raises(UsageError, match="env:LINEAGE_AT is not an http"):
        lineage_url(settings)
    assert not OpenLineageSettings().sends
