"""Errors as the API tells them: a status of HTTP, and a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import (
    AccessError,
    BudgetError,
    ConflictError,
    ContractError,
    DeclarationError,
    GateError,
    StorageError,
    TidemillError,
    UnknownNameError,
    UnknownTokenError,
    UsageError,
)

PROBLEM = "application/problem+json"
# Of who asks for something that isn't for them.
NOT_ALLOWED = (401, 403)
# The first class that fits counts.
_STATUSES: tuple[tuple[type[TidemillError], int], ...] = (
    (UnknownTokenError, 401),
    (AccessError, 403),
    (UnknownNameError, 404),
    (UsageError, 400),
    (ConflictError, 409),
    (GateError, 409),
    (BudgetError, 409),
    (ContractError, 422),
    (DeclarationError, 422),
    (StorageError, 503),
)
_TITLES = {
    400: "This request can't be answered",
    401: "Nobody is logged in",
    403: "This isn't allowed",
    404: "This doesn't exist",
    405: "This can't be done here",
    409: "This can't be done now",
    412: "It has changed since you saw it",
    413: "This request is too large",
    421: "This host isn't served",
    422: "The workflow or the data has faults",
    429: "There were too many attempts",
    500: "Something broke in Tidemill",
    503: "The project can't be read now",
}


def status_of(error: Exception) -> int:
    """The status of HTTP for an error."""
    fitting = (status for kind, status in _STATUSES if isinstance(error, kind))
    return next(fitting, 500 if not isinstance(error, TidemillError) else 409)


def title_of(status: int) -> str:
    """What a status means, in words."""
    return _TITLES.get(status, "This can't be done")


def problem(status: int, detail: str) -> Mapping[str, Any]:
    """The document about an error, as RFC 9457 has it."""
    return {"type": "about:blank", "title": title_of(status), "status": status, "detail": detail}
