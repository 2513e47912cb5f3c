"""`tidemill predict` and `tidemill endpoints` on a project with a served model, without a server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest

from tests.support.commands import Ended, tidemill
from tests.support.serving import ROW, served, shared_project
from tidemill.cli import endpoints
from tidemill.project.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return shared_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.root)
    return project


def predict(*arguments: str) -> Ended:
    return tidemill("predict", "demand", *arguments)


def wanted(project: Project) -> float:
    frame = pl.DataFrame([ROW], schema={"kind": pl.String, "price": pl.Float64, "rain": pl.Float64})
    return float(project.model("demand").predict(frame)["prediction"][0])


def test_a_row_is_predicted(here: Project) -> None:
    found = predict("--row", json.dumps(ROW)).document
    assert found["predictions"] == [{"prediction": wanted(here)}]
    assert found["version"] == here.state().live["demand"].artifact.id


@pytest.mark.parametrize("suffix", ["json", "csv", "arrow", "parquet"])
def test_files_of_rows_are_predicted(here: Project, tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame([ROW, ROW], schema_overrides={"rain": pl.Float64})
    file = tmp_path / f"rows.{suffix}"
    match suffix:
        case "json":
            frame.write_json(file)
        case "csv":
            frame.write_csv(file)
        case "arrow":
            frame.write_ipc_stream(file)
        case "parquet":
            frame.write_parquet(file)
    found = predict(str(file), "--csv")
    value = str(wanted(here))
    assert found.out.splitlines() == ["prediction", value, value]


def test_a_file_may_have_more_rows_than_a_server_accepts(here: Project, tmp_path: Path) -> None:
    file = tmp_path / "rows.arrow"
    # An IPC file, as `write_ipc` writes them.
    pl.DataFrame([ROW] * 10_001, schema_overrides={"rain": pl.Float64}).write_ipc(file)
    found = predict(str(file), "--csv").out.splitlines()
    assert (len(found), set(found[1:])) == (10_002, {str(wanted(here))})


def test_rows_that_break_the_contract_exit_with_3(here: Project) -> None:
    ended = predict("--row", json.dumps({**ROW, "price": -1}))
    assert ended.code == 3
    assert "price.min" in ended.err


def test_partial_leaves_them_out(here: Project, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([{**ROW, "price": -1}, ROW]))
    found = predict(str(file), "--partial").document
    assert [row["row"] for row in found["predictions"]] == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either a FILE with rows, or one --row"),
        (("--row", "{}", "rows.json"), "give either a FILE"),
        (("missing.csv",), "can't be read"),
        (("rows.xlsx",), "rows are read from .json, .csv, .arrow and .parquet"),
        (("--row", "{}", "--version", "none"), "none was never delivered"),
    ],
)
def test_what_can_not_be_read(here: Project, arguments: tuple[str, ...], message: str) -> None:
    ended = predict(*arguments)
    assert ended.code != 0
    assert message in ended.err


def test_an_unknown_endpoint(here: Project) -> None:
    ended = tidemill("predict", "demnd", "--row", "{}")
    assert (ended.code, "did you mean 'demand'" in ended.err) == (2, True)


def test_endpoints_are_listed_with_what_answered(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = here.state().live["demand"].artifact.id
    with served(here) as server:
        assert server.predict([ROW]).status == 200
        said = f"process {os.getpid()} serves: it judges rollouts"
        assert said in tidemill("endpoints").out
        found = tidemill("endpoints", "--json").document
        assert [each["judges"] for each in found["servers"]] == [True]
        assert (found["endpoints"][0]["judged"], found["problems"]) == (True, [])

        def stop_at_the_second(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 2:
                raise KeyboardInterrupt

        slept: list[float] = []
        monkeypatch.setattr(endpoints, "sleep", stop_at_the_second)
        watched = tidemill("endpoints", "--watch")
        assert (watched.code, watched.out.count(said)) == (1, 2)
    assert tidemill("endpoints", "--watch", "--json").code == 2
    assert said not in tidemill("endpoints").out
    text = tidemill("endpoints").out
    assert "demand" in text
    assert version in text
    [known] = tidemill("endpoints", "--json").document["endpoints"]
    assert (known["name"], known["version"], known["candidate"]) == ("demand", version, "")
    [step] = tidemill("endpoints", "history", "demand", "--json").document["steps"]
    assert (step["action"], step["candidate"]) == ("completed", version)
    assert version in tidemill("endpoints", "history", "demand").out
    ended = tidemill("endpoints", "hold", "demand")
    assert (ended.code, "no rollout is under way" in ended.err) == (2, True)
    assert tidemill("endpoints", "resume", "demand").code == 2
