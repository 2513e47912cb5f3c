"""A stage that was renamed or deleted stays readable until what it published is removed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.commands import Ended, tidemill
from tests.support.tides import CHAIN, Tides, day

GONE = "no longer declared"
# Without `daily`, and with `raw` under another name.
RENAMED = (
    CHAIN[: CHAIN.index("@flow.transform\ndef daily")]
    .replace("def raw", "def source")
    .replace("raw: tm.Frame[Raw]", "source: tm.Frame[Raw]")
    .replace("return raw.select", "return source.select")
)


@pytest.fixture
def renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stage `raw` was renamed and whose stage `daily` was deleted after a run."""
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "tides:flow"\n')
    (tmp_path / "tides.py").write_text(CHAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "tides", raising=False)
    tides = Tides(tmp_path)
    for number in range(2):
        tides.send(number, (1.0, 2000.0))
    monkeypatch.delitem(sys.modules, "tides", raising=False)
    assert tidemill("run").code == 0
    (tmp_path / "tides.py").write_text(RENAMED)
    return tmp_path


def ok(*arguments: str) -> Ended:
    ended = tidemill(*arguments)
    assert (ended.code, ended.err) == (0, ""), arguments
    if "--json" not in arguments:
        assert ended.out.strip()
    return ended


def test_every_command_works_and_marks_it(renamed: Path) -> None:
    marked = (
        ["check"],
        ["show", "raw"],
        ["show", "raw", day(0)],
        ["show", "daily"],
        ["quarantine", "list"],
        ["quarantine", "list", "raw"],
        ["explain", "raw"],
        ["explain", "daily", day(1)],
        ["contract", "history", "raw"],
    )
    for command in marked:
        assert GONE in ok(*command).out, command
    shown = ok("show", "raw", day(0), "--bad").out
    assert "value.max" in shown
    assert GONE in shown
    assert "2000" in ok("quarantine", "show", "raw", day(0)).out
    ok("quarantine", "export", "raw", day(0), "--to", "bad.csv")
    ok("contract", "infer", "raw", "--stage")
    for command in (["plan"], ["env", "list"], ["runs"], ["runs", "last"], ["runs", "stages"]):
        ok(*command)
    assert tidemill("show", "raw", "--json").document["declared"] is False
    listed = tidemill("quarantine", "list", "--json").document["partitions"]
    assert [(item["stage"], item["declared"]) for item in listed] == [("raw", False)] * 2


def test_a_run_leaves_it_alone_and_environments_are_compared(renamed: Path) -> None:
    ok("run")
    ok("env", "create", "dev")
    ok("--env", "dev", "env", "forget", "daily")
    found = ok("env", "diff", "dev").out
    assert f"daily ({GONE})" in found
    assert "source" not in found
    assert "2 rows" in ok("show", "daily").out


def test_what_needs_the_declaration_says_so(renamed: Path) -> None:
    for command, words in (
        (["run", "raw"], f"it is {GONE}: `tidemill env forget raw` removes what it published"),
        (["plan", "raw"], f"it is {GONE}"),
        (
            ["quarantine", "drop", "raw", day(0), "--all", "--reason", "x"],
            "no run would apply a ruling",
        ),
        (["contract", "show", "raw"], "name it as raw@REF"),
        (["explain", "raw", day(0), "value"], "the lineage of its columns isn't known"),
        (["explain", "raw", "2020-01-01"], "has no partition '2020-01-01'"),
        (["show", "nothing"], "there is no stage 'nothing'"),
        (["env", "forget", "doubled"], "is declared in tides: remove it from the workflow first"),
        (["env", "forget", "nothing"], "there is no stage 'nothing'"),
    ):
        ended = tidemill(*command)
        assert (ended.code, ended.out) == (2, ""), command
        assert words in ended.err, command


def test_what_it_published_can_be_forgotten(renamed: Path) -> None:
    assert ok("env", "forget", "raw", "daily").out.splitlines() == [
        "removed 2 partitions of raw from prod",
        "removed 2 partitions of daily from prod",
    ]
    assert GONE not in ok("check").out
    assert ok("quarantine", "list").out == "nothing is quarantined\n"
    assert tidemill("show", "raw").code == 2
    # A stage of that name begins anew, with what is known.
    (renamed / "tides.py").write_text(CHAIN)
    done = tidemill("run", "--json").document["receipt"]["stages"]
    assert [(stage["stage"], stage["ran"], stage["bound"]) for stage in done] == [
        ("raw", 0, 2), ("doubled", 0, 0), ("daily", 0, 2),
    ]  # fmt: skip
    assert "2 rows" in ok("show", "daily").out
