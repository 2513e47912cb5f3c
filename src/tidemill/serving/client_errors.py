"""The errors of a client of a server.

ServingError               the server didn't answer with predictions
├── RowsRefused            rows break the contract of the endpoint: row, field, rule and value of each
├── RequestRefused         the request isn't what the server reads, or is too large
├── NotServed              there is no such endpoint or version
├── NotAllowed             the token is missing, unknown, expired, or doesn't open the endpoint
├── ServerBusy             the server refused the request because it has too much to do
├── ServerFailed           the model, or the server, failed
└── ServerUnreachable      no server answered in time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.core.errors import TidemillError


class ServingError(TidemillError):
    """The server didn't answer with predictions; `status` is that of its reply, 0 without a reply."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class RowsRefused(ServingError):
    """Rows break the contract of the endpoint.

    `findings` are the first ones, each with `row`, `field`, `rule`, `value`, `message`; `count` counts all.
    """

    exit_code = 3

    def __init__(self, message: str, findings: Sequence[Mapping[str, Any]], count: int) -> None:
        super().__init__(message, 422)
        self.findings = tuple(findings)
        self.count = count


class RequestRefused(ServingError):
    """The request isn't what the server reads, or is too large."""

    exit_code = 2


class NotServed(ServingError):
    """There is no such endpoint or version."""

    exit_code = 2


class NotAllowed(ServingError):
    """The token is missing, unknown, expired, or doesn't open the endpoint."""


class ServerBusy(ServingError):
    """The server refused the request because it has too much to do; each retry was refused, too."""


class ServerFailed(ServingError):
    """The model, or the server, failed."""


class ServerUnreachable(ServingError):
    """No server answered in time."""
