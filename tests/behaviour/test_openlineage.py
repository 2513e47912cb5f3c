"""Runs as events of OpenLineage: valid for every kind of run, exact, and never in a run's way."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import WINDOW
from tests.support.openlineage.projects import (
    SENT,
    LineageSea,
    check_runs,
    edges,
    end_of,
    ends,
)
from tests.support.openlineage.server import lineage_server
from tests.support.repository import git
from tests.support.tides import CHAIN, LENIENT, Before, Tides, day, flow_of
from tidemill.core.errors import StorageError
from tidemill.ledger.event import RunStarted
from tidemill.ledger.run import Receipt
from tidemill.lineage.io.repository import find_code
from tidemill.planning.plan import Step
from tidemill.project import openlineage
from tidemill.project.project import open_project
from tidemill.runs.io.publisher import Publisher
from tidemill.testing.records import attempted_event

THREAD = "tidemill-lineage"


def chain(root: Path, text: str = CHAIN, **lineage: Any) -> LineageSea:
    """The chain raw -> doubled -> daily, with two days."""
    tides = LineageSea(root, text, **lineage)
    for number in range(2):
        tides.send(number)
    return tides


def flooded(root: Path, **lineage: Any) -> LineageSea:
    sea = LineageSea(root, **lineage)
    for number in range(WINDOW):
        sea.flood(number)
    return sea


def test_a_run_of_every_kind_of_stage(tmp_path: Path) -> None:
    sea = flooded(tmp_path)
    receipt = sea.run()
    events = sea.take()
    assert events == sea.exported(receipt.run)
    data = ("raw", "features", "labels")
    stages = (*data, *(f"{name}.contract" for name in data), "model", "scores", "out", "")
    assert ends(events) == dict.fromkeys(stages, "COMPLETE")
    reads = {
        stage: [dataset["name"] for dataset in end_of(events, stage)["inputs"]]
        for stage in ("raw", "features", "model", "scores", "out")
    }
    assert reads == {
        "raw": [f"{tmp_path}/data"],
        "features": ["tides.raw"],
        "model": ["tides.features", "tides.labels"],
        "scores": ["tides.features", "tides.labels", "tides.model"],
        "out": ["tides.features", "tides.model"],
    }
    assert edges(end_of(events, "features")) == {
        "day": {("tides.raw", "day", "DIRECT/IDENTITY")},
        "id": {("tides.raw", "id", "DIRECT/IDENTITY")},
        "x": {("tides.raw", "x", "DIRECT/IDENTITY")},
        "": set(),
    }
    [table] = end_of(events, "out")["outputs"]
    assert (table["namespace"], table["name"]) == ("file", f"{tmp_path}/out")
    assert table["outputFacets"]["outputStatistics"]["fileCount"] == WINDOW
    [version] = {
        o["facets"]["version"]["datasetVersion"] for o in end_of(events, "model")["outputs"]
    }
    assert version == sea.open().state().live["model"].artifact.id
    facets = end_of(events, "raw")["run"]["facets"]
    assert facets["nominalTime"]["nominalStartTime"] == f"{day(0)}T00:00:00Z"
    assert facets["nominalTime"]["nominalEndTime"] == f"{day(WINDOW)}T00:00:00Z"


def test_column_lineage_is_what_the_query_says(tmp_path: Path) -> None:
    tides = chain(tmp_path)
    tides.ok()
    found = edges(end_of(tides.take(), "daily"))
    assert found == {
        "day": {("tides.doubled", "day", "DIRECT/IDENTITY")},
        "total": {("tides.doubled", "double", "DIRECT")},
        "rows": set(),
        "": {("tides.doubled", "day", "INDIRECT")},
    }


def test_nothing_to_do_and_a_backfill(tmp_path: Path) -> None:
    tides = chain(tmp_path)
    tides.ok()
    tides.take()
    tides.ok()
    assert ends(tides.take()) == {"": "COMPLETE"}
    receipt = tides.run("doubled", again=True, since=day(1), until=day(1))
    events = tides.take()
    assert events == tides.exported(receipt.run)
    facets = end_of(events, "doubled")["run"]["facets"]
    keys = {p["key"]: p["value"] for p in facets["executionParameters"]["parameters"]}
    assert (keys["partitions"], keys["steps"]) == (day(1), "1 ok")
    tides.remove_missing()
    tides.withdraw(1)
    tides.ok()
    facets = end_of(tides.take(), "raw")["run"]["facets"]
    assert {"key": "removed partitions", "value": "1"} in facets["executionParameters"][
        "parameters"
    ]


def fails(tides: LineageSea) -> dict[str, str]:
    query = '    return raw.select("day"'
    tides.edit(query, f"    assert not raw.collect().height, 'no such tide'\n{query}")
    return {
        "raw": "COMPLETE",
        "raw.contract": "COMPLETE",
        "doubled": "FAIL",
        "daily": "ABORT",
        "": "FAIL",
    }


def is_bad(tides: LineageSea) -> dict[str, str]:
    tides.send(1, (5000.0, 6000.0, 1.0))
    return {
        "raw": "FAIL",
        "raw.contract": "FAIL",
        "doubled": "ABORT",
        "doubled.contract": "COMPLETE",
        "daily": "ABORT",
        "daily.contract": "COMPLETE",
        "": "FAIL",
    }


def is_quarantined(tides: LineageSea) -> dict[str, str]:
    tides.text = LENIENT
    tides.send(1, (5000.0, 6000.0, 1.0))
    stages = ("raw", "doubled", "daily")
    return dict.fromkeys((*stages, *(f"{s}.contract" for s in stages), ""), "COMPLETE")


@pytest.mark.parametrize("happen", [fails, is_bad, is_quarantined])
def test_what_goes_wrong(tmp_path: Path, happen: Callable[[LineageSea], dict[str, str]]) -> None:
    tides = chain(tmp_path)
    wanted = happen(tides)
    receipt = tides.run()
    text = (tmp_path / SENT).read_text()
    events = tides.take()
    assert ends(events) == wanted
    assert events == tides.exported(receipt.run)
    # The values of rows stay here.
    assert "5000" not in text
    if wanted[""] == "FAIL":
        failed = end_of(events, "doubled" if happen is fails else "raw")
        message = failed["run"]["facets"]["errorMessage"]["message"]
        assert ("no such tide" if happen is fails else "value.max") in message
    else:
        [read] = end_of(events, "raw.contract")["inputs"]
        [broken] = [
            check
            for check in read["inputFacets"]["dataQualityAssertions"]["assertions"]
            if not check["success"]
        ]
        assert broken == {
            "assertion": "max",
            "success": False,
            "name": "value.max",
            "column": "value",
            "expected": "1000",
            "severity": "quarantine",
            "actual": "2 rows break it",
        }


def test_a_model_that_gates_refuse(tmp_path: Path) -> None:
    sea = flooded(tmp_path)
    sea.ok()
    sea.take()
    sea.edit('"value": 9.0', '"value": 1.0')
    receipt = sea.run(train=["model"])
    events = sea.take()
    assert (receipt.exit_code, ends(events)["model"]) == (4, "FAIL")
    assert events == sea.exported(receipt.run)


def test_an_interrupted_run_and_one_in_another_environment(tmp_path: Path) -> None:
    tides = chain(tmp_path)

    def interrupt(done: int, step: Step) -> None:
        if done == 2:
            raise KeyboardInterrupt

    receipt = tides.run(progress=Before(interrupt))
    events = tides.take()
    assert receipt.status == "interrupted"
    assert ends(events)[""] == "ABORT"
    assert events == tides.exported(receipt.run)
    project = open_project(tmp_path, workflow=flow_of(tmp_path, CHAIN), env="dev")
    space = project.workspace
    space.settings = tides.open().settings
    project.run()
    project.close()
    assert {event["job"]["namespace"] for event in tides.take()} == {"tidemill/dev"}


def test_a_promotion(tmp_path: Path) -> None:
    tides = chain(tmp_path)
    tides.ok()
    tides.take()
    tides.edit("value * 2", "value * 3")
    settings = tides.open().settings
    for env in ("dev", "prod"):
        project = open_project(tmp_path, workflow=flow_of(tmp_path, tides.text), env=env)
        project.workspace.settings = settings
        receipt = project.run() if env == "dev" else project.promote("dev")
        project.close()
        events = tides.take()
        assert events == tides.exported(receipt.run)
    assert ends(events)["daily"] == "COMPLETE"
    [made] = end_of(events, "daily")["outputs"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 2


SQL = """
import tidemill as tm


class Orders(tm.Contract, key=("id",)):
    id = tm.Int64()
    price = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.sql("select o.id, i.price from orders o join items i using (id)", "sqlite:///shop.db")


flow.table("sent", stage=orders, sink=tm.sqlite("out.db", "orders"))
"""


def test_databases_that_are_read_and_written(tmp_path: Path) -> None:
    tides = LineageSea(tmp_path, SQL)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("create table orders (id)")
        connection.execute("create table items (id, price)")
        connection.execute("insert into orders values (1), (2)")
        connection.execute("insert into items values (1, 2.5), (2, 3.5)")
        connection.commit()
    receipt = tides.run()
    events = tides.take()
    assert events == tides.exported(receipt.run)
    read, sent = end_of(events, "orders"), end_of(events, "sent")
    shop = f"sqlite://{tmp_path}/shop.db"
    assert [(d["namespace"], d["name"]) for d in read["inputs"]] == [
        (shop, "orders"),
        (shop, "items"),
    ]
    assert "join items i" in read["job"]["facets"]["sql"]["query"]
    [table] = sent["outputs"]
    assert (table["namespace"], table["name"]) == (f"sqlite://{tmp_path}/out.db", "orders")
    assert edges(sent)["price"] == {("tides.orders", "price", "DIRECT/IDENTITY")}


def test_a_run_that_died_is_closed_by_the_next(tmp_path: Path) -> None:
    tides = chain(tmp_path)
    with tides.open() as project:
        start = RunStarted(
            run="20240101-000000-aaaaaa",
            environment="prod",
            command="tidemill run",
            holder={"pid": "1", "host": "gone"},
            steps=9,
        )
        attempt = attempted_event("raw", day(0), run=start.run)
        project.tools.ledger.append([start, attempt], now=1000.0)
    receipt = tides.run()
    events = tides.take()
    assert events == [*tides.exported(start.run), *tides.exported(receipt.run)]
    assert ends(events[:4]) == {"raw": "ABORT", "": "ABORT"}


def test_names_that_others_wouldnt_choose(tmp_path: Path) -> None:
    odd = {
        'tm.Workflow("tides")': 'tm.Workflow("Gezeiten / 潮.汐 #1?", owner="Ana & Böb")',
        "    double = tm.Float64(nullable=True)": (
            '    locals()["x.ü \\"q\\" ☃"] = tm.Float64(nullable=True, description="übel\\n\\t<b>")'
        ),
        'double=times(pl.col("value"))': '**{"x.ü \\"q\\" ☃": times(pl.col("value"))}',
        'pl.col("double")': 'pl.col("x.ü \\"q\\" ☃")',
    }
    text = CHAIN
    for old, new in odd.items():
        assert old in text
        text = text.replace(old, new)
    tides = chain(tmp_path / "ein Ördner", text)
    receipt = tides.run()
    assert receipt.exit_code == 0
    events = tides.take()
    assert events == tides.exported(receipt.run)
    [found] = [e for e in events if e["job"]["name"] == "Gezeiten / 潮.汐 #1?.daily"][1:]
    facet = found["outputs"][0]["facets"]["columnLineage"]["fields"]["total"]
    assert [field["field"] for field in facet["inputFields"]] == ['x.ü "q" ☃']


def test_columns_of_code_that_has_changed_since_arent_described(tmp_path: Path) -> None:
    tides = chain(tmp_path)
    receipt = tides.run()
    before = {e["job"]["name"]: e for e in tides.take() if e["eventType"] != "START"}
    tides.edit("value * 2", "value * 3")
    after = {e["job"]["name"]: e for e in tides.exported(receipt.run) if e["eventType"] != "START"}
    assert before.keys() == after.keys()
    assert before["tides.raw"] == after["tides.raw"]
    changed = after["tides.doubled"]["outputs"][0]
    assert changed["outputFacets"] == before["tides.doubled"]["outputs"][0]["outputFacets"]
    assert {"schema", "columnLineage"}.isdisjoint(changed["facets"])
    assert after["tides.doubled"]["inputs"] == before["tides.doubled"]["inputs"]
    check_runs(tides.exported(receipt.run))


def test_the_code_is_where_the_repository_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tides = chain(tmp_path)
    flow_of(tmp_path, CHAIN)
    git("init", "--quiet")
    git("remote", "add", "origin", "git@git.example.com:shop/tides.git")
    git("add", "tides.py")
    git("commit", "--quiet", "-m", "first")
    tides.ok()
    events = tides.take()
    found = end_of(events, "doubled")["job"]["facets"]["sourceCodeLocation"]
    assert found["repoUrl"] == "https://git.example.com/shop/tides"
    assert found["url"] == f"{found['repoUrl']}/blob/{found['version']}/tides.py"
    assert len(found["version"]) == 40


def hang_git(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a git before the real one that hangs until something is written to the pipe."""
    folder, pipe = root / "bin", root / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    (folder / "git").write_text(f'#!/bin/sh\necho "$@" >> {root}/asked\nread line < {pipe}\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return pipe


def test_a_run_doesnt_wait_for_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = hang_git(tmp_path, monkeypatch)
    monkeypatch.setattr(openlineage, "find_code", partial(find_code, limit_s=600))
    tides = chain(tmp_path / "tides", file=SENT, flush=0.05)
    receipt = tides.run()
    # Git still hangs, when everything is published.
    [message] = [m for m in receipt.messages if m.startswith("OpenLineage: ")]
    assert "of 14 events weren't sent (the time at the end of the run was over)" in message
    assert receipt.exit_code == 0
    with tides.open() as project:
        assert project.history.notes(receipt.run) == [message]
    # Whatever it answers, the thread ends.
    descriptor = os.open(pipe, os.O_RDWR)
    for thread in threading.enumerate():
        if thread.name == THREAD:
            os.write(descriptor, b"\n" * 99)
            thread.join(60)
    os.close(descriptor)
    assert [thread for thread in threading.enumerate() if thread.name == THREAD] == []


def test_without_an_answer_of_git_the_code_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang_git(tmp_path, monkeypatch)
    monkeypatch.setattr(openlineage, "find_code", partial(find_code, limit_s=0.5))
    tides = chain(tmp_path / "tides", file=SENT, flush=600)
    for again in (False, True):
        receipt = tides.run(again=again)
        assert receipt.messages == ()
        events = tides.take()
        assert events == tides.exported(receipt.run)
        assert not any("sourceCodeLocation" in event["job"]["facets"] for event in events)
    # It isn't asked once more, and not for the rest either.
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_events_of_a_run_that_is_broken_off_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = chain(tmp_path, file="data")
    with tides.open() as project:

        def fail(*_: object) -> object:
            raise StorageError("the disk is full")

        monkeypatch.setattr(Publisher, "_publish", fail)
        with pytest.raises(StorageError):
            project.run()
        run = project.history.run("last").id
        [note] = project.history.notes(run)
        assert "data can't be written: Is a directory" in note
        status = project.openlineage.status()
        assert [(each.run, each.message) for each in status.lost] == [(run, note)]


def lost(receipt: Receipt) -> str:
    [message] = [m for m in receipt.messages if m.startswith("OpenLineage: ")]
    assert receipt.exit_code == 0
    assert [thread for thread in threading.enumerate() if thread.name == THREAD] == []
    return message


def test_a_server_gets_what_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAGE_KEY", "s3cret-key")
    with lineage_server([503]) as server:
        tides = chain(tmp_path, url=server.url, api_key="env:LINEAGE_KEY", gzip=True)
        receipt = tides.run()
        assert receipt.messages == ()
        assert server.invalid == []
        assert server.events == tides.exported(receipt.run)
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer s3cret-key"}
        assert set(server.paths) == {"/api/v1/lineage"}


def test_a_run_doesnt_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    hold = threading.Event()
    with lineage_server(hold=hold) as server:
        tides = chain(tmp_path, url=server.url, timeout=600, flush=0.05)
        receipt = tides.run()
        # The server still hangs.
        assert not hold.is_set()
        message = lost(receipt)
    assert message.startswith("OpenLineage: 14 of 14 events weren't sent (the time at the end")
    with tides.open() as project:
        assert project.history.notes(receipt.run) == [message]


def test_a_server_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAGE_KEY", "thanks")
    with lineage_server([401] * 99) as server:
        tides = chain(tmp_path, url=server.url, api_key="env:LINEAGE_KEY")
        message = lost(tides.run())
        # The rest isn't sent to a server that refused three.
        assert len(server.answers) == 96
    # The server's answer shows the key.
    assert " answered 401 Unauthorized: no\\x1b[31m ***" in message
    assert message.endswith("`")


def test_what_was_lost_can_be_sent_again(tmp_path: Path) -> None:
    with lineage_server([400] * 3) as server:
        tides = chain(tmp_path, url=server.url)
        receipt = tides.run()
        assert server.bodies == []
        assert lost(receipt).endswith(f"`tidemill lineage send {receipt.run}`")
        with tides.open() as project:
            found = project.openlineage.send(receipt.run)
        assert (found.sent, found.dropped) == (14, 0)
        assert server.events == tides.exported(receipt.run)


def test_a_command_gets_lines(tmp_path: Path) -> None:
    code = "import sys; open('got.jsonl', 'w').write(sys.stdin.read())"
    tides = chain(tmp_path, command=[sys.executable, "-c", code], flush=60)
    receipt = tides.run()
    got = [json.loads(line) for line in (tmp_path / "got.jsonl").read_text().splitlines()]
    assert got == tides.exported(receipt.run)


def test_a_variable_that_isnt_set_switches_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_LINEAGE", raising=False)
    tides = chain(tmp_path, url="env:NO_LINEAGE")
    assert tides.run().messages == ()
    monkeypatch.setenv("NO_LINEAGE", "somewhere")
    assert "(env:NO_LINEAGE is not an http:// or https:// URL)" in lost(tides.run(again=True))


def test_without_settings_nothing_of_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tidemill.project.openlineage", "tidemill.lineage.io.followed_ledger"):
        monkeypatch.setitem(sys.modules, name, None)
    tides = Tides(tmp_path)
    tides.send(0)
    tides.ok()
    sending = chain(tmp_path / "sending")
    with pytest.raises(ImportError):
        sending.run()
