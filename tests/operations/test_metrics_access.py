"""Who may read metrics."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.metrics_access import MetricsAccess

LOCAL = MetricsAccess(host="127.0.0.1")
OPEN = MetricsAccess(host="0.0.0.0", token="secret-token")


@pytest.mark.parametrize(
    ("access", "method", "target", "hosts", "authorization", "status"),
    [
        (LOCAL, "GET", "/metrics", ["127.0.0.1:9464"], "", 200),
        (LOCAL, "HEAD", "/metrics?x=1", ["localhost"], "", 200),
        (LOCAL, "GET", "/healthz", ["[::1]:9464"], "", 200),
        (LOCAL, "GET", "/", ["localhost"], "", 404),
        (LOCAL, "POST", "/metrics", ["localhost"], "", 405),
        # A page of another site whose name leads to this machine.
        (LOCAL, "GET", "/metrics", ["evil.example.com"], "", 421),
        (LOCAL, "GET", "/metrics", [], "", 400),
        (LOCAL, "GET", "/metrics", ["localhost", "localhost"], "", 400),
        (LOCAL, "GET", "/metrics", ["a b"], "", 400),
        (OPEN, "GET", "/metrics", ["tidemill.example.com"], "", 401),
        (OPEN, "GET", "/metrics", ["tidemill.example.com"], "Bearer wrong", 401),
        (OPEN, "GET", "/metrics", ["tidemill.example.com"], "Basic secret-token", 401),
        (OPEN, "GET", "/metrics", ["tidemill.example.com"], "Bearer secret-token", 200),
        (OPEN, "GET", "/healthz", ["tidemill.example.com"], "", 200),
        (OPEN, "GET", "/other", ["tidemill.example.com"], "bearer secret-token", 404),
    ],
)
def test_what_a_request_gets(
    access: MetricsAccess,
    method: str,
    target: str,
    hosts: list[str],
    authorization: str,
    status: int,
) -> None:
    assert access.status(method, target, hosts, authorization) == status


def test_only_this_machine_needs_no_token() -> None:
    assert MetricsAccess(host="::1").is_local
    with pytest.raises(UsageError, match="could be read from other machines"):
        MetricsAccess(host="0.0.0.0")
    for odd in ("", "a b", "127.0.0.1:80"):
        with pytest.raises(UsageError, match="is not a host"):
            MetricsAccess(host=odd)
