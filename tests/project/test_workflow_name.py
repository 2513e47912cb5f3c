"""The name of a workflow is found without its import, where its module says it plainly."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.event import EnvironmentCreated
from tidemill.operations.up_report import UpReport, UpRole
from tidemill.project.settings import Settings
from tidemill.project.workflow_name import (
    UnknownWorkflowName,
    find_workflow_name,
    recorded_workflow_name,
    written_times,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    found = SqliteLedger(tmp_path / "ledger.db")
    yield found
    found.close()


def settings(root: Path, text: str, module: str = "named_flows") -> Settings:
    file = root.joinpath(*module.split(".")).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"import tidemill as tm\n{text}\nraise SystemExit('imported')\n")
    return Settings(root=root, workflow=f"{module}:flow")


@pytest.mark.parametrize(
    "text",
    [
        'flow = tm.Workflow("shop")',
        'flow: tm.Workflow = tm.Workflow("shop", owner="ana")',
        'from tidemill import Workflow\nflow = Workflow(name="shop")',
    ],
)
@pytest.mark.parametrize("module", ["named_flows", "flows.__init__"])
def test_a_plain_name_is_read(tmp_path: Path, ledger: SqliteLedger, text: str, module: str) -> None:
    known = settings(tmp_path, text, module)
    known = Settings(root=tmp_path, workflow=known.workflow.replace(".__init__", ""))
    assert find_workflow_name(known, ledger, ()) == "shop"


@pytest.mark.parametrize(
    "text",
    [
        'flow = tm.Workflow("shop")\nflow = tm.Workflow("store")',
        'flow = tm.Workflow("shop")\nfrom others import *',
        'from others import shop as flow\nother = tm.Workflow("shop")',
        'name = "shop"\nflow = tm.Workflow(name)',
        "flow = tm.Workflow()",
        'flow = make("shop")',
        "flow = 3",
        "flow, other = tm.Workflow('shop'), 3",
        "def (:",
    ],
)
def test_for_what_is_not_plain_the_ledger_is_asked(
    tmp_path: Path, ledger: SqliteLedger, text: str
) -> None:
    known = settings(tmp_path, text)
    made = EnvironmentCreated(environment="night%20shop/prod", parent="", actor="ana")
    ledger.append([made], now=1.0)
    assert find_workflow_name(known, ledger, ()) == "night shop"


def test_a_supervisor_of_the_same_place_knows_it(tmp_path: Path, ledger: SqliteLedger) -> None:
    known = settings(tmp_path, 'flow = tm.Workflow("shop")')
    reports = [
        UpReport(environment="prod", holder={}, role=UpRole.WORKING, since=0.0, workflow=workflow,
                 place=place)
        for workflow, place in (
            ("other", "/elsewhere: named_flows:flow"),
            ("", f"{tmp_path}: named_flows:flow"),
            ("store", f"{tmp_path}: named_flows:flow"),
        )
    ]  # fmt: skip
    assert find_workflow_name(known, ledger, reports) == "store"


def test_what_nothing_tells_is_imported(
    tmp_path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "unnamed_flows.py").write_text(
        'import tidemill as tm\nname = "shop"\nflow = tm.Workflow(name)\n'
    )
    known = Settings(root=tmp_path, workflow="unnamed_flows:flow")
    assert find_workflow_name(known, ledger, ()) == "shop"
    monkeypatch.delitem(sys.modules, "unnamed_flows")


def test_what_nothing_tells_is_unknown(tmp_path: Path, ledger: SqliteLedger) -> None:
    known = settings(tmp_path, "flow = tm.Workflow(NAME)")
    with pytest.raises(UnknownWorkflowName, match="isn't known before its first run"):
        recorded_workflow_name(known, ledger, ())
    assert "named_flows" not in sys.modules


def test_when_the_module_was_written(tmp_path: Path) -> None:
    known = settings(tmp_path, 'flow = tm.Workflow("shop")')
    first, none = written_times(known)
    assert (first, none) == ((tmp_path / "named_flows.py").stat().st_mtime_ns, None)
