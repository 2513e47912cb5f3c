"""A server is opened with the credentials of the environment, which no message shows."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.core.redaction import Redactor
from tidemill.project import mlflow_server
from tidemill.project.mlflow_server import open_server
from tidemill.project.mlflow_settings import MlflowSettings

SETTINGS = MlflowSettings(tracking_uri="http://settings", timeout=3.0)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret-one")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cret-two")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://usual")


@pytest.mark.parametrize(
    ("settings", "uri", "place"),
    [
        (SETTINGS, "", "http://settings"),
        (SETTINGS, "https://named:1/at/", "https://named:1/at"),
        (None, "", "http://usual"),
    ],
)
def test_which_server_is_opened(settings: MlflowSettings | None, uri: str, place: str) -> None:
    assert open_server(settings, Redactor(()), uri=uri).place == place


def test_credentials_are_of_the_environment_and_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(mlflow_server, "RestClient", lambda *_, **options: given.update(options))
    redactor = Redactor(())
    open_server(SETTINGS, redactor, within_s=2.0)
    credentials = given["credentials"]
    assert (credentials.user, credentials.password, credentials.token) == (
        "ana",
        "s3cret-one",
        "s3cret-two",
    )
    assert (given["timeout_s"], given["within_s"]) == (3.0, 2.0)
    assert redactor.redact("s3cret-one and s3cret-two by ana") == "*** and *** by ana"


def test_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(UsageError, match="the variable of env:MLFLOW_TRACKING_URI isn't set"):
        open_server(None, Redactor(()))


@pytest.mark.parametrize("token", ["s3cret\ntwo", "s3cret-zwölf"])
def test_a_token_that_no_request_can_have_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_TOKEN has characters") as caught:
        open_server(SETTINGS, Redactor(())).call("GET", "runs/get")
    assert "s3cret" not in str(caught.value)
