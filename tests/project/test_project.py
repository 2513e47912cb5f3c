"""The composition root: finding a workflow, planning, trying a step, reading what is there."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidemill as tm
from tests.behaviour.test_models import WINDOW, Sea
from tests.support.tides import CHAIN, Tides, day, everything, flow_of, rows_of
from tidemill.core.errors import DeclarationError, StepError, UsageError
from tidemill.ledger.run import Status
from tidemill.project.project import Project, open_project
from tidemill.sources.io import file_listing


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.send(1, (4.0, 5000.0))
    return tides


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules and search paths are as they were afterwards."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - set(before):
        if name.startswith("wf_"):
            del sys.modules[name]


def project_in(folder: Path, workflow: str, **files: str) -> Path:
    """A folder with settings and modules."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "{workflow}"\n')
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.write_text(text)
    return folder


@pytest.mark.usefixtures("importable")
def test_a_workflow_is_found_by_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project_in(tmp_path / "p", "wf_a:flow", wf_a=CHAIN)
    (root / "deep").mkdir()
    monkeypatch.chdir(root / "deep")
    project = tm.open()
    assert (project.root, project.home) == (root, root / ".tidemill")
    assert project.flow.names == ("raw", "doubled", "daily")
    # Nothing is opened before it is needed.
    assert not project.home.exists()
    project.close()
    assert project.state().heads == {}
    assert (project.home / ".gitignore").read_text() == "*\n"
    project.close()


WRONG = [
    ("wf_b", "workflow 'wf_b' is not module:name, such as flights:flow"),
    ("wf_b:flw", r"wf_b has no workflow 'flw' \(did you mean 'flow'\?\)"),
    ("wf_none:flow", "there is no module 'wf_none' in .* or on the path"),
    ("wf_pack.none:flow", "there is no module 'wf_pack.none' in"),
    ("wf_none.sub:flow", "there is no module 'wf_none.sub' in"),
    ("wf_b:times", r"wf_b has no workflow 'times' \(there is: flow\)"),
]


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(("workflow", "says"), WRONG, ids=[w for w, _ in WRONG])
def test_a_workflow_that_is_not_there(tmp_path: Path, workflow: str, says: str) -> None:
    root = project_in(tmp_path, workflow, wf_b=CHAIN)
    (root / "wf_pack").mkdir()
    (root / "wf_pack" / "__init__.py").touch()
    with pytest.raises(UsageError, match=says):
        open_project(root)


@pytest.mark.usefixtures("importable")
def test_what_a_workflow_imports_and_isnt_there_is_the_modules_own_error(tmp_path: Path) -> None:
    root = project_in(tmp_path, "wf_c:flow", wf_c="import no_such_thing\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        open_project(root)


@pytest.mark.usefixtures("importable")
def test_a_module_that_ends_the_program_ends_no_command_well(tmp_path: Path) -> None:
    root = project_in(tmp_path, "wf_d:flow", wf_d="import sys\nsys.exit(0)\n")
    with pytest.raises(
        UsageError, match=r"wf_d ended the program while it was imported \(exit code 0\)"
    ):
        open_project(root)


def test_a_workflow_may_be_handed_over(tides: Tides) -> None:
    project = tides.open()
    assert isinstance(project, Project)
    assert project.environment == "prod"
    assert project.stage("raw").name == "raw"
    with pytest.raises(UsageError, match=r"no stage 'row' \(did you mean 'raw'\?\)"):
        project.stage("row")


def test_environments_share_what_was_computed(tides: Tides) -> None:
    tides.ok()
    project = open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="dev-ana")
    project.environments.create("dev-ana", parent="")
    receipt = project.run()
    assert (receipt.status, receipt.exit_code) == (Status.OK, 0)
    assert [(s.stage, s.ran, s.bound) for s in receipt.stages] == [
        ("raw", 0, 2),
        ("doubled", 0, 2),
        ("daily", 0, 2),
    ]


def test_a_folder_name_is_no_pattern(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "tides [1]*?")
    tides.send(0)
    tides.ok()
    tides.send(0, (7.0, 2000.0))
    tides.edit("value * 2", "value * 3")
    # What the second run hands on is read from the store, and so is all that is shown.
    tides.ok()
    tides.edit("value * 3", "value * 4")
    tides.ok()
    assert tides.read("daily")["total"].to_list() == [28.0]
    with tides.open() as project:
        assert project.quarantined("raw").collect()["value"].to_list() == [2000.0]


def test_a_plan_changes_nothing(tides: Tides) -> None:
    project = tides.open()
    plan = project.plan()
    assert [step.id for step in plan.steps][:2] == [f"run raw[{day(0)}]", f"run doubled[{day(0)}]"]
    assert [step.reasons for step in plan.steps] == [("new partition",)] * 6
    assert plan.steps[0].rows == 3
    assert plan.steps[0].bytes > 0
    assert tides.published() == {}
    assert list(project.tools.ledger.events()) == []


def test_check_needs_no_data(tides: Tides) -> None:
    assert tides.open().check() == ()
    tides.edit("double=times(", "duble=times(")
    with pytest.raises(DeclarationError, match=r"transform 'doubled'.*double"):
        tides.open().check()


def test_check_tells_what_is_opaque_and_what_is_never_reused(tides: Tides) -> None:
    tides.edit("import polars as pl\n", "import time\n\nimport polars as pl\n")
    tides.edit("value * 2", "value * 2 + 0 * time.time()")
    tides.edit("    return doubled.group_by", "    doubled.collect()\n    return doubled.group_by")
    opaque, never = tides.open().check()
    assert opaque == (
        "daily is opaque: it collects doubled when it is called; its code and all columns count"
    )
    assert never.startswith("doubled is never reused: it reads the clock: time.time")


def test_check_refuses_readers_in_a_transform(tides: Tides) -> None:
    tides.edit("return raw.select(", 'pl.read_csv("x.csv")\n    return raw.select(')
    with pytest.raises(DeclarationError, match="declare what it reads"):
        tides.open().check()


def test_a_step_is_tried_without_publishing(tides: Tides) -> None:
    project = tides.open()
    trial = project.debug("raw", day(1))
    assert (trial.product.rows, trial.product.quarantined) == (1, 1)
    assert trial.rows["value"].to_list() == [4.0]
    assert trial.bad is not None
    assert trial.bad["_reasons"].to_list() == [["value.max"]]
    assert tides.published() == {}
    with pytest.raises(UsageError, match=f"doubled {day(0)} needs raw, which has no partitions"):
        project.debug("doubled", day(0))
    tides.ok("raw")
    trial = project.debug("doubled", day(0))
    assert trial.rows["double"].to_list() == [6.0, 4.0, 2.0]
    assert trial.bad is None
    assert list(tides.published()) == ["raw"]


def test_what_cannot_be_tried(tides: Tides, tmp_path: Path) -> None:
    project = tides.open()
    with pytest.raises(
        UsageError,
        match=rf"the source of raw has no rows for '2025-01-01'; it has {day(0)} \.\.",
    ):
        project.debug("raw", "2025-01-01")
    tides.ok()
    with pytest.raises(UsageError, match=f"doubled 2025-01-01 needs raw, which has {day(0)}"):
        project.debug("doubled", "2025-01-01")
    with pytest.raises(UsageError, match="--debug works on ingest and transform stages, model is"):
        Sea(tmp_path / "sea").open().debug("model", "all")
    tides.edit("    return raw.select(", "    1 / 0\n    return raw.select(")
    with pytest.raises(StepError, match="ZeroDivisionError") as caught:
        tides.open().debug("doubled", day(0))
    assert "1 / 0" in caught.value.trace


def test_a_whole_output_is_tried_on_all_that_it_sees(tides: Tides) -> None:
    tides.text += """

class Total(tm.Contract):
    total = tm.Float64()


@flow.transform
def total(daily: tm.Frame[Daily]) -> tm.Frame[Total]:
    return daily.select(pl.col("total").sum())
"""
    tides.ok("daily")
    assert tides.open().debug("total", "all").rows["total"].to_list() == [20.0]


def test_what_is_there_is_read_and_what_is_not_is_said(tides: Tides) -> None:
    project = tides.open()
    with pytest.raises(UsageError, match="raw has nothing published yet; run `tidemill run raw`"):
        project.read("raw")
    tides.ok()
    assert project.read("raw").collect().height == 4
    assert project.read("raw", day(0)).collect().equals(rows_of(0).sort("id"))
    with pytest.raises(
        UsageError, match=rf"no partition '2025'; there is {day(0)} \.\. {day(1)} \(2\)"
    ):
        project.read("raw", "2025")
    assert project.quarantined("raw", day(0)).collect().height == 0
    assert project.quarantined("raw").collect()["value"].to_list() == [5000.0]
    with pytest.raises(UsageError, match="no stage 'rew'"):
        project.read("rew")


def test_models_and_scores_have_no_rows(tmp_path: Path) -> None:
    sea = Sea(tmp_path)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok()
    project = sea.open()
    for stage in ("model", "scores"):
        with pytest.raises(UsageError, match=f"{stage} is a .*: it has no rows to read"):
            project.read(stage)
    assert project.read("out", day(0)).collect()["prediction"].to_list() == [9.0, 9.0]


@pytest.mark.parametrize("name", ["", "../x", "x/y", ".", "x" * 300])
def test_a_name_that_no_environment_can_have(tides: Tides, name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid name of an environment"):
        open_project(tides.root, workflow=flow_of(tides.root, tides.text), env=name)


@pytest.mark.parametrize(
    "request_",
    [
        {"since": "yesterday"}, {"until": "2024-13"}, {"train": ["raw"]}, {"limit": -1},
        {"since": "2024-03-04", "until": "2024-03-01"}, {"since": "2024-03", "until": "2024-02-29"},
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense(tides: Tides, request_: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        tides.run(**request_)  # type: ignore[arg-type]
    # It was refused before anything was taken.
    assert tides.ok() == everything([0, 1])


def test_a_range_may_be_one_partition_named_in_two_ways(tides: Tides) -> None:
    project = tides.open()
    assert project.plan(since=day(0), until=day(0)).steps
    assert project.plan(since=day(0)[:7], until=day(0)).steps
    with pytest.raises(UsageError, match=r"from 2024-03-04 to 2024-03-01 leaves nothing to do"):
        project.plan(since="2024-03-04", until="2024-03-01")


def test_a_run_costs_what_its_processor_time_costs(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    project = tides.open()
    object.__setattr__(project.settings, "cpu_hour", 3600.0)
    for _ in range(2):
        receipt = project.run()
        assert receipt.currency == "USD"
        assert receipt.cost == pytest.approx(receipt.cpu_s)
        assert receipt.wall_s > 0


def test_files_that_were_only_touched_are_hashed_once(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the files had been written long ago: the time at which an inode changed can't be set.
    monkeypatch.setattr(file_listing, "_SETTLED_NS", -60_000_000_000)
    tides.ok()
    hashed: list[str] = []
    digest = hashlib.file_digest

    def note(stream: object, algorithm: str) -> object:
        hashed.append(stream.name)  # type: ignore[attr-defined]
        return digest(stream, algorithm)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", note)
    path = tides.root / "data" / f"{day(0)}.parquet"
    for file in (tides.root / "data").iterdir():
        os.utime(file, ns=(10**18, 10**18))
    assert tides.ok() == {}
    assert len(hashed) == 2
    assert tides.ok() == {}
    assert len(hashed) == 2
    os.utime(path, ns=(10**18, 10**18 + 5))
    assert tides.ok() == {}
    assert len(hashed) == 3


def test_an_ingest_that_gives_no_source(tides: Tides) -> None:
    tides.edit('    return tm.files("data/*.parquet")', "    return 5")
    with pytest.raises(DeclarationError, match=r"ingest 'raw' returned int.*tm\.files"):
        tides.run()


def test_other_partitions_of_the_same_column(tides: Tides) -> None:
    tides.ok()
    tides.edit('tm.Date(partition="1d")', 'tm.Date(partition="1mo")')
    assert tides.run().exit_code == 0
    assert tides.published() == {name: ["2024-03"] for name in ("raw", "doubled", "daily")}
    assert tides.read("daily").height == 2
    assert tides.ok() == {}


def test_a_project_shows_itself_without_opening_anything(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    project = open_project(tmp_path, workflow=flow_of(tmp_path, tides.text))
    assert repr(project) == f"<Project tides in prod, {tmp_path}>"
    found = project._repr_html_()
    assert "<td>doubled</td><td>transform</td><td>raw</td><td>tides.py:" in found
    assert not project.home.exists()


def test_a_failure_does_not_pass_in_silence(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.edit("id = tm.Int64(min=0)", 'id = tm.Int64(min=2, on_fail="fail")')
    with tides.open() as project:
        with pytest.raises(
            tm.RunFailed, match=r"(?s)^run .* failed; see its receipt.*raw 2024-03-01: "
        ) as failed:
            project.run()
        receipt = failed.value.receipt
        assert (receipt.exit_code, failed.value.exit_code, len(receipt.failures)) == (3, 3, 1)
        assert project.run(raise_on_failure=False).exit_code == 3
