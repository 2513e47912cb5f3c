"""The table [tool.tidemill.attest]."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.governance.attest_settings import AttestSettings, parse_attest_settings


def test_the_settings_are_paths_of_keys() -> None:
    assert parse_attest_settings({}, "attest") == AttestSettings()
    found = parse_attest_settings({"key": "~/k.pem", "trusted": ["a.pub"]}, "attest")
    assert found == AttestSettings(key="~/k.pem", trusted=("a.pub",))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"keys": "a"}, "attest keys: did you mean 'key'"),
        ({"key": 3}, "attest key = 3 is not the path of a key"),
        ({"trusted": "a.pub"}, "attest trusted = 'a.pub' is not a list"),
        ({"trusted": [""]}, "is not a list of paths"),
    ],
)
def test_other_settings_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_attest_settings(table, "attest")
