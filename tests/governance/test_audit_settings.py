"""The settings of checkpoints are checked when they are read."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.governance.audit_settings import AuditSettings, parse_audit_settings
from tidemill.governance.checkpoint import CheckpointTerms

PLACE = "pyproject.toml: [tool.tidemill.audit]"


def test_without_the_table_no_checkpoint_is_made() -> None:
    assert not parse_audit_settings({}, PLACE).is_on


def test_the_table_is_read() -> None:
    found = parse_audit_settings(
        {"key": "k", "keys": ["a", "b"], "file": "f", "events": 5, "every": "10m"}, PLACE
    )
    assert found == AuditSettings(key="k", keys=("a", "b"), file="f", events=5, every="10m")
    assert found.is_on
    assert found.terms == CheckpointTerms(events=5, every_s=600.0)


def test_who_only_verifies_needs_no_private_key() -> None:
    assert not parse_audit_settings({"keys": ["a.pub"], "file": "f"}, PLACE).is_on


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fil": "x"}, r"fil: did you mean 'file'"),
        ({"key": 5}, r"key = 5 is not text"),
        ({"key": "k", "file": ""}, r"file = '' is not text"),
        ({"key": "k", "keys": "a"}, r"keys = 'a' is not a list of files"),
        ({"key": "k", "events": 0}, r"events = 0 is not a number of events"),
        ({"key": "k", "events": True}, r"events = True is not a number of events"),
        ({"key": "k", "every": "soon"}, r"every = 'soon' is not a time"),
        ({"key": "k", "every": []}, r"every = \[\] is not a time"),
        ({"file": "f"}, r"needs a key that signs: `tidemill keys create"),
    ],
)
def test_a_mistake_is_named(table: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_audit_settings(table, PLACE)
