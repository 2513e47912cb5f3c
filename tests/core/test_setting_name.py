"""Names of tables in the settings."""

from __future__ import annotations

import pytest

from tidemill.core.setting_name import name_fault, shown_name


@pytest.mark.parametrize("name", ["a", "7", "nightly-2.b_C", "x" * 100])
def test_names(name: str) -> None:
    assert name_fault(name) == ""


@pytest.mark.parametrize("name", ["", "ünï", "-n", ".n", "a b", "a\n", "\x1b[31m", "x" * 101])
def test_what_is_no_name_is_told_in_one_short_line(name: str) -> None:
    fault = name_fault(name)
    assert "is not a name: begin with a letter A-Z" in fault
    assert fault.isprintable()
    assert len(fault) < 250


def test_a_name_is_shown_in_one_short_line() -> None:
    assert shown_name("evil\x1b[31m\nx") == "evil\\x1b[31m\\nx"
    assert len(shown_name("x" * 3_000)) == 60
