"""The settings of the mirror: each that doesn't fit is named, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.project.mlflow_settings import MlflowSettings, parse_mlflow, tracking_url
from tidemill.project.settings import find_settings

HERE = {"tracking_uri": "http://127.0.0.1:5000"}


def test_settings_are_read_from_the_project(tmp_path: Path) -> None:
    text = '[tool.tidemill]\nworkflow = "a:b"\n[tool.tidemill.mlflow]\n'
    text += (
        'tracking_uri = "https://mlflow/at"\nenvironments = ["prod"]\nprefix = ""\nwithin = "3s"\n'
    )
    (tmp_path / "pyproject.toml").write_text(text)
    found = find_settings(tmp_path).mlflow
    assert found == MlflowSettings(
        tracking_uri="https://mlflow/at", environments=("prod",), prefix="", within=3.0
    )
    assert found.mirrors("prod")
    assert not found.mirrors("dev")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, 'place needs tracking_uri = "http'),
        ({"tracking_url": "x"}, "place tracking_url: did you mean 'tracking_uri'?"),
        ({"tracking_uri": "file:/x"}, "place tracking_uri = ... is not an http:// or https:// URL"),
        (
            {"tracking_uri": "http://u:s3cret@a"},
            "has a user or a password: set MLFLOW_TRACKING_USER",
        ),
        ({"tracking_uri": "env:"}, "names no variable"),
        ({"tracking_uri": 5000}, "place tracking_uri = ... is not text"),
        ({**HERE, "experiment": "x" * 201}, "has more than 200 characters"),
        ({**HERE, "prefix": "team/"}, "place prefix = 'team/' is not text of up to 200"),
        ({**HERE, "environments": "prod"}, "place environments = 'prod' is not a list"),
        (
            {**HERE, "environments": ["a b"]},
            "place environments = ['a b'] 'a b' is not a valid name",
        ),
        ({**HERE, "upload": 1}, "place upload = 1 is not true or false"),
        ({**HERE, "timeout": "soon"}, "place timeout = 'soon' is not a duration"),
    ],
)
def test_what_doesnt_fit_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_mlflow(table, "place")
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_variable_that_isnt_set_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    found = parse_mlflow({"tracking_uri": "env:TRACKED_AT"}, "place")
    monkeypatch.delenv("TRACKED_AT", raising=False)
    assert not found.mirrors("prod")
    with pytest.raises(UsageError, match="the variable of env:TRACKED_AT isn't set"):
        tracking_url("env:TRACKED_AT")
    monkeypatch.setenv("TRACKED_AT", " http://there ")
    assert found.mirrors("prod")
    assert tracking_url("env:TRACKED_AT") == "http://there"
    monkeypatch.setenv("TRACKED_AT", "http://u:s3cret@there")
    with pytest.raises(UsageError, match="env:TRACKED_AT has a user or a password") as caught:
        tracking_url("env:TRACKED_AT")
    assert "s3cret" not in str(caught.value)
