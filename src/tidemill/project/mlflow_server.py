"""Open the tracking server that settings or a source name, with the credentials of the environment."""

from __future__ import annotations

import importlib.metadata
import os

from tidemill.adapters.mlflow.rest_client import Credentials, RestClient
from tidemill.core.errors import UsageError
from tidemill.core.redaction import Redactor
from tidemill.project.mlflow_settings import (
    PASSWORD,
    TOKEN,
    USER,
    MlflowSettings,
    tracking_url,
)

# Where the clients of MLflow look for a server.
_USUAL = "env:MLFLOW_TRACKING_URI"


def open_server(
    settings: MlflowSettings | None,
    redactor: Redactor,
    *,
    uri: str = "",
    within_s: float | None = None,
) -> RestClient:
    """Open the server at `uri`, or that of the settings, or of MLFLOW_TRACKING_URI; UsageError without any.

    The `redactor` learns its credentials. All requests together may take `within_s` seconds.
    """
    known = settings or MlflowSettings(tracking_uri=_USUAL)
    found = {name: os.environ.get(name, "").strip() for name in (USER, PASSWORD, TOKEN)}
    redactor.learn({found[PASSWORD], found[TOKEN]} - {""})
    if not (found[TOKEN].isascii() and found[TOKEN].isprintable()):
        raise UsageError(
            f"{TOKEN} has characters that no header of a request can have: set it anew"
        )
    return RestClient(
        tracking_url(uri or known.tracking_uri),
        credentials=Credentials(user=found[USER], password=found[PASSWORD], token=found[TOKEN]),
        timeout_s=known.timeout,
        within_s=within_s,
        agent=f"tidemill/{importlib.metadata.version('tidemill')}",
    )
