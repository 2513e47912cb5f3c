"""`tidemill bench-endpoint` against a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from tests.support.commands import Ended, tidemill
from tests.support.serving import ROW, Served, served, shared_project
from tidemill.project.project import Project
from tidemill.serving.io import usage_record


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return shared_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        # The command waits until the server has adjusted its measured CPU times.
        patch.setattr(usage_record, "ADJUST_EVERY_S", 0.2)
        with served(project) as found:
            yield found


@pytest.fixture(autouse=True)
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)


def bench(server: Served, *arguments: str) -> Ended:
    return tidemill(
        "bench-endpoint", "demand", "--url", server.url, "--duration", "0.3s", *arguments
    )


def test_an_open_loop(server: Served) -> None:
    ended = bench(server, "--rate", "100", "--json")
    found = ended.document
    assert found["schema"] == "tidemill.load_report/1"
    assert (found["loop"], found["rate"], found["sent"], found["answered"]) == ("open", 100, 30, 30)
    assert found["errors"] == {}
    assert found["latency_ms"]["max"] >= found["latency_ms"]["p50"] > 0
    assert found["latency_ms"]["max"] >= found["service_ms"]["max"]
    assert found["server_cpu_us"] > 0
    assert "latency, from when it was due" in ended.err


def test_a_closed_loop_says_what_it_hides(server: Served) -> None:
    ended = bench(server, "--concurrency", "2", "--batch", "5")
    assert ended.code == 0
    assert "2 callers, waiting for each reply (closed loop), 5 rows each" in ended.out
    assert "as seen if sent every" in ended.out
    assert "coordinated omission" in ended.out
    assert "CPU of the server" in ended.out


@pytest.mark.parametrize("suffix", ["json", "ndjson", "csv", "arrow", "parquet"])
def test_rows_of_a_file(server: Served, tmp_path: Path, suffix: str) -> None:
    # As a prediction log has them: the inputs, and what else is known of the request.
    rows = [{**ROW, "rain": 0.5, "version": "3f6c", "prediction": 5.0}, {**ROW, "rain": None}]
    frame, file = pl.DataFrame(rows), tmp_path / f"rows.{suffix}"
    match suffix:
        case "json":
            frame.write_json(file)
        case "ndjson":
            frame.write_ndjson(file)
        case "csv":
            frame.write_csv(file)
        case "arrow":
            frame.write_ipc_stream(file)
        case "parquet":
            frame.write_parquet(file)
    found = bench(server, "--rate", "50", "--rows", str(file), "--batch", "3", "--json").document
    assert (found["answered"], found["rows_per_request"], found["errors"]) == (15, 3, {})


def test_requests_of_a_prediction_log(server: Served, tmp_path: Path) -> None:
    # The zone of the log was changed between the first two.
    for number, (arm, zone) in enumerate(
        (("live", "UTC"), ("live", "Asia/Tokyo"), ("shadow", "UTC"))
    ):
        folder = tmp_path / f"day={number}"
        folder.mkdir()
        # The shadow has a row that would be refused.
        row = {**ROW, "price": 2.5 if arm == "live" else -1.0, "log_arm": arm, "prediction": 5.0}
        at = datetime(2026, 1, 2, tzinfo=ZoneInfo(zone))
        rows = pl.DataFrame([{**row, "log_time": at}] * 3)
        rows.with_columns(pl.col("log_time").dt.convert_time_zone(zone)).write_parquet(
            folder / "part.parquet"
        )
    ended = bench(server, "--rate", "50", "--rows", str(tmp_path), "--json")
    assert (ended.document["answered"], ended.document["errors"]) == (15, {})
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no .parquet files" in bench(server, "--rate", "5", "--rows", str(empty)).err


def test_the_first_refusal_ends_it(server: Served, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([{**ROW, "price": -1}]))
    ended = bench(server, "--rate", "50", "--rows", str(file))
    assert (ended.code, "price.min" in ended.err) == (3, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "has none of the columns that the endpoint reads: kind, price, rain"),
        ('[{"shop": 5}]', "has none of the columns that the endpoint reads: kind, price, rain"),
        ("nonsense", "can't be read"),
    ],
)
def test_files_without_rows(server: Served, tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "rows.json"
    file.write_text(content)
    ended = bench(server, "--rate", "50", "--rows", str(file))
    assert (ended.code, message in ended.err) == (2, True)
    empty = tmp_path / "empty.csv"
    empty.write_text("kind,price,rain\n")
    assert "has no rows" in bench(server, "--rate", "50", "--rows", str(empty)).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --rate or --concurrency"),
        (("--rate", "5", "--concurrency", "5"), "give either --rate or --concurrency"),
        (("--rate", "5", "--token-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (("--rate", "5", "--rows", "rows.xlsx"), "rows are read from .json, .ndjson, .csv"),
        (("--rate", "5", "--duration", "soon"), "'soon' is not a duration"),
    ],
)
def test_what_can_not_be_measured(server: Served, arguments: tuple[str, ...], message: str) -> None:
    ended = bench(server, *arguments)
    assert (ended.code, message in ended.err) == (2, True)


def test_a_token_is_read_from_the_environment(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMAND_TOKEN", "tm_0000000000_x")
    ended = bench(server, "--rate", "5", "--token-env", "DEMAND_TOKEN")
    assert ended.code == 1
    assert "token" in ended.err
    assert "tm_0000000000_x" not in ended.err


def test_a_server_that_answers_nothing(monkeypatch: pytest.MonkeyPatch, server: Served) -> None:
    ended = tidemill("bench-endpoint", "nothing", "--url", server.url, "--rate", "5")
    assert (ended.code, "there is no endpoint 'nothing'" in ended.err) == (2, True)


FLOW = """
import tidemill as tm

class Shops(tm.Contract):
    shop = tm.String()

flow = tm.Workflow("none")

@flow.ingest
def shops() -> tm.Source[Shops]:
    return tm.files("shops.csv")
"""


def test_a_unix_socket_needs_the_url_of_its_proxy(tmp_path: Path) -> None:
    settings = '[tool.tidemill]\nworkflow = "none:flow"\n[tool.tidemill.serve]\nsocket = "s"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    (tmp_path / "none.py").write_text(FLOW)
    ended = tidemill("-C", str(tmp_path), "bench-endpoint", "demand", "--rate", "5")
    assert (ended.code, "name the proxy in front of it with --url" in ended.err) == (2, True)
