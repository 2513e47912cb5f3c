"""Settings of a proxy that names users are read strictly."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.serving.proxy_settings import ProxySettings, parse_proxy_settings

PLACE = "pyproject.toml: [tool.tidemill.serve.proxy]"


def test_every_setting_is_read() -> None:
    table = {
        "user_header": "X-Auth-Request-Email",
        "groups_header": "X-Auth-Request-Groups",
        "secret_header": "X-Proxy-Secret",
        "secret_env": "PROXY_SECRET",
    }
    assert parse_proxy_settings(table, PLACE) == ProxySettings(**table)
    assert parse_proxy_settings({}, PLACE) == ProxySettings()
    assert {*table, "secret_file"} == set(ProxySettings.__slots__)


@pytest.mark.parametrize(
    ("table", "has_secret"),
    [({}, False), ({"secret_env": "S"}, True), ({"secret_file": "run/secret"}, True)],
)
def test_a_secret_is_in_the_environment_or_a_file(table: dict[str, str], has_secret: bool) -> None:
    assert parse_proxy_settings(table, PLACE).has_secret is has_secret


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (True, "= True is not a table"),
        ({"secret": "5f0c"}, "secret: did you mean 'secret_"),
        ({"secret_env": 3}, "secret_env = 3 is not text"),
        ({"secret_file": " "}, "secret_file = ' ' is not text"),
        ({"secret_env": "S", "secret_file": "f"}, "has secret_env and secret_file: name one"),
        # Programs that know only `_` in names take both for one.
        ({"user_header": "X_Forwarded_User"}, "is not a name of letters, digits and hyphens"),
        ({"user_header": "X-User\r\nX-B"}, "is not a name of letters, digits and hyphens"),
        ({"user_header": "Näme"}, "is not a name of letters, digits and hyphens"),
        ({"user_header": ""}, "user_header = '' is not text"),
        ({"user_header": "Authorization"}, "is a header with another meaning: choose another one"),
        ({"groups_header": "hOST"}, "is a header with another meaning"),
        ({"groups_header": "x-forwarded-user"}, "groups_header = 'x-forwarded-user' is the user_header"),
        ({"secret_header": "X-FORWARDED-USER"}, "secret_header = .* is the user_header as well"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(table: object, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_proxy_settings(table, PLACE)
    assert str(caught.value).startswith(PLACE)
