"""Errors as the API tells them."""

import pytest

from tidemill.console.problems import problem, status_of, title_of
from tidemill.core.errors import (
    AccessError,
    ConflictError,
    DeclarationError,
    SourceError,
    StorageError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccessError("no"), 403),
        (UsageError("no"), 400),
        (ConflictError("no"), 409),
        (DeclarationError("flow", []), 422),
        (StorageError("no"), 503),
        (SourceError("no"), 409),
        (ZeroDivisionError("no"), 500),
    ],
)
def test_statuses(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_a_problem_has_a_title() -> None:
    assert problem(412, "look again") == {
        "type": "about:blank",
        "title": "It has changed since you saw it",
        "status": 412,
        "detail": "look again",
    }
    assert title_of(418) == "This can't be done"
