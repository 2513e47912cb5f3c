"""Contracts in IPython: a real shell, in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tidemill.contracts.io.notebooks import register_formatters

SHELL = """
import json, sys
{first}
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(history_manager=None)
{before}
shell.run_cell('''
import tidemill as tm
class Orders(tm.Contract, version="1.0.0"):
    "One row <per> order."
    id = tm.Int64(min=1)
class Later(tm.Contract, version="2.0.0"):
    id = tm.Int64()
class Plain: ...
''').raise_error()
{after}
shown = {{}}
for code in ("Orders", "[Orders]", "Plain", "int", "tm.Contract", "tm.diff(Orders, Later)",
             "Orders.describe()", "tm.diff(Orders, Orders)"):
    value = eval(code, shell.user_ns)
    shown[code] = shell.display_formatter.format(value)[0]
print(json.dumps(shown))
"""


def shown(*, first: str = "", before: str = "", after: str = "") -> dict[str, dict[str, str]]:
    """The output of a shell for some values, by type of content."""
    ended = subprocess.run(
        [sys.executable, "-c", SHELL.format(first=first, before=before, after=after)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_a_cell_that_ends_with_a_contract_shows_it() -> None:
    cells = shown()
    orders = cells["Orders"]
    assert orders["text/plain"].startswith("Orders 1.0.0 (")
    assert "&gt;= 1" in orders["text/html"]
    assert "One row &lt;per&gt; order." in orders["text/html"]
    assert cells["Orders.describe()"] == orders
    # All others are shown as before.
    assert cells["[Orders]"] == {"text/plain": "[__main__.Orders]"}
    assert cells["Plain"] == {"text/plain": "__main__.Plain"}
    assert cells["int"] == {"text/plain": "int"}
    assert cells["tm.Contract"] == {"text/plain": "tidemill.contracts.io.contract.Contract"}


def test_a_comparison_is_a_table() -> None:
    cells = shown()
    html = cells["tm.diff(Orders, Later)"]["text/html"]
    assert "<table><caption>Orders 1.0.0 -&gt; Later 2.0.0</caption>" in html
    assert "<td>min 1 -&gt; none</td><td>loosens</td>" in html
    same = cells["tm.diff(Orders, Orders)"]["text/html"]
    assert "<caption>Orders 1.0.0 -&gt; 1.0.0: no changes</caption>" in same
    assert "<th>" not in same


def test_what_others_registered_for_classes_stays() -> None:
    other = "shell.display_formatter.formatters['text/html'].for_type(type, lambda c: 'other')"
    again = "from tidemill.contracts.io.notebooks import register_formatters; assert register_formatters()"
    cells = shown(before=other, after=again)
    assert cells["Plain"]["text/html"] == "other"
    assert "One row" in cells["Orders"]["text/html"]


def test_tidemill_before_the_shell_can_be_told() -> None:
    late = "from tidemill.contracts.io.notebooks import register_formatters; register_formatters()"
    assert "text/html" not in shown(first="import tidemill; tidemill.Contract")["Orders"]
    assert "text/html" in shown(first="import tidemill; tidemill.Contract", after=late)["Orders"]


def test_without_a_shell_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not register_formatters()
