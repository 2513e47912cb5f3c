"""Tables of the settings: what they say, what holds without them, and when their modules are imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.project.settings import Settings
from tidemill.project.settings_table import SettingsTable, tables_of
from tidemill.serving.serve_settings import ServeSettings

TABLES = tables_of(Settings)
SETTINGS = Settings(root=Path("here"), workflow="shop:flow")


def test_a_table_is_what_it_says_or_else_what_holds_without_it() -> None:
    said = ServeSettings(port=3)
    assert Settings(root=Path(), workflow="a:b", tables={"serve": said}).serve is said
    assert SETTINGS.serve == ServeSettings()
    assert SETTINGS.serve is SETTINGS.serve
    assert SETTINGS.oidc is None
    assert SETTINGS.slo == ()


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_a_reader_that_refuses_what_it_does_not_know(name: str) -> None:
    table: SettingsTable[Any] = TABLES[name]
    with pytest.raises(UsageError, match=r"^here\]"):
        table.read({"no such setting": []}, "here]")


@pytest.mark.parametrize("name", TABLES)
def test_what_holds_without_a_table_is_of_the_type_that_is_declared(name: str) -> None:
    declared = str(Settings.__annotations__[name]).removeprefix("ClassVar[SettingsTable[")
    found = getattr(SETTINGS, name)
    if found is None:
        assert declared.endswith(" | None]]")
    else:
        assert declared.startswith(type(found).__name__)


def test_settings_import_no_table_that_nobody_asks_for() -> None:
    code = (
        "import sys; from pathlib import Path; from tidemill.project.settings import Settings\n"
        "found = Settings(root=Path(), workflow='a:b')\n"
        "module = 'tidemill.serving.serve_settings'\n"
        "assert module not in sys.modules; found.serve; assert module in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
