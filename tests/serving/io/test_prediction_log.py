"""The log of predictions: whole files, bounded memory, and several writers side by side."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import spec_of
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io import prediction_log
from tidemill.serving.io.prediction_log import EndpointLog, LogOptions, PredictionLogs
from tidemill.serving.logged_requests import LoggedVersion
from tidemill.serving.rows import InferRequest, RequestRows
from tidemill.workflow.prediction_log import RequestLog


class Loans(tm.Contract):
    amount = tm.Float64()


VERSION = LoggedVersion(
    served=ServedVersion(model="loans", version="v1", contract="Loans 1.0.0"),
    outputs=AnswerForm().outputs,
    schema=InputSchema(spec_of(Loans)),
)


def open_log(folder: Path, token: str = "a", **options: Any) -> EndpointLog:
    setting = options.pop("setting", RequestLog())
    return EndpointLog("loans", setting, LogOptions(folder=folder, token=token), **options)


def add(log: EndpointLog, *amounts: Any) -> None:
    request = InferRequest(rows=RequestRows(len(amounts), (list(amounts),)))
    answer = AnswerForm().many([float(index) for index in range(len(amounts))])
    log.add(b"r", "live", VERSION, request, answer)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("loans/*/*"))


def amounts(folder: Path) -> list[float]:
    return pl.concat(map(pl.read_parquet, files(folder)))["amount"].to_list()


def test_processes_write_side_by_side(tmp_path: Path) -> None:
    for token in ("a", "b"):
        log = open_log(tmp_path, token)
        for amount in (1.0, 2.0):
            add(log, amount)
            log.collect()
            log.write()
        assert (log.rows, log.drops) == (2, 0)
    assert [path.name for path in files(tmp_path)] == [
        f"{token}-00000{number}.parquet" for token in "ab" for number in (1, 2)
    ]
    assert amounts(tmp_path) == [1.0, 2.0, 1.0, 2.0]


def test_requests_that_nobody_collects_are_dropped_and_counted(tmp_path: Path) -> None:
    log = open_log(tmp_path, most_waiting=3)
    # One request alone is always accepted.
    add(log, 1.0, 2.0, 3.0, 4.0)
    add(log, 5.0)
    assert log.drops == 1
    log.collect()
    add(log, 6.0)
    log.collect()
    log.write()
    assert amounts(tmp_path) == [1.0, 2.0, 3.0, 4.0, 6.0]
    assert log.status() == {
        "share": 1.0, "rows": 5, "drops": 1, "keep": "", "removed": 0, "fault": "",
    }  # fmt: skip


def test_what_cannot_be_written_is_tried_again_until_it_is_too_much(tmp_path: Path) -> None:
    log = open_log(tmp_path, most_bytes=1)
    (tmp_path / "loans").write_text("a file where the folder should be")
    add(log, 1.0)
    log.collect()
    log.write()
    assert "can't be written" in log.fault
    add(log, 2.0)
    log.collect()
    assert log.drops == 1
    (tmp_path / "loans").unlink()
    log.write()
    assert (log.fault, log.rows, amounts(tmp_path)) == ("", 1, [1.0])


def test_values_that_cannot_be_logged_end_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    add(log, object())
    log.collect()
    assert log.drops == 1
    assert "a request can't be logged" in log.fault
    add(log, 2.0)
    log.collect()
    log.write()
    assert (log.fault, amounts(tmp_path)) == ("", [2.0])


def test_a_request_that_cannot_be_logged_takes_no_others_along(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for amount in (1.0, object(), 3.0):
        add(log, amount)
    log.collect()
    log.write()
    assert (log.drops, amounts(tmp_path)) == (1, [1.0, 3.0])


def test_what_cannot_be_written_at_the_end_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(tmp_path)
    (tmp_path / "loans").mkdir()
    logs = PredictionLogs({"loans": log})
    logs.start()
    (tmp_path / "loans").rmdir()
    (tmp_path / "loans").write_text("in the way")
    add(log, 1.0, 2.0)
    add(log, 3.0)
    logs.close()
    assert log.drops == 2
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("2 requests aren't in the log ")
    assert "can't be written" in said


def test_a_file_is_due_after_its_period_or_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(tmp_path, setting=tm.log(period=60))
    now = time.monotonic()
    assert not log.is_due(now + 3600)
    add(log, 1.0)
    log.collect()
    assert not log.is_due(now + 3600)
    assert log.is_due(now + 3660)
    assert not log.is_due(now)
    monkeypatch.setattr(prediction_log, "_FILE_BYTES", 10)
    assert log.is_due(now)


def test_the_thread_writes_what_is_left_at_the_end(tmp_path: Path) -> None:
    log = open_log(tmp_path, setting=tm.log(period=1))
    logs = PredictionLogs({"loans": log})
    logs.start()
    add(log, 1.0)
    until(lambda: log.rows == 1)
    add(log, 2.0)
    logs.close()
    assert sorted(amounts(tmp_path)) == [1.0, 2.0]
    assert logs.fault == ""


def test_a_fault_of_one_log_doesnt_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = open_log(tmp_path / "good"), open_log(tmp_path / "bad")

    def fail() -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(bad, "collect", fail)
    logs = PredictionLogs({"bad": bad, "good": good})
    logs.start()
    until(lambda: logs.fault)
    add(good, 1.0)
    logs.close()
    assert logs.fault == "the prediction log failed: odd"
    assert amounts(tmp_path / "good") == [1.0]


def test_a_folder_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "loans").write_text("")
    logs = PredictionLogs({"loans": open_log(tmp_path)})
    with pytest.raises(UsageError, match=r"the prediction log .*loans can't be written"):
        logs.start()
    logs.close()


def test_what_a_crash_left_is_never_read_and_removed_later(tmp_path: Path) -> None:
    day = tmp_path / "loans" / "2026-01-26"
    day.mkdir(parents=True)
    torn, recent = day / ".a-000001.parquet.tmp", day / ".b-000001.parquet.tmp"
    for path in (torn, recent):
        path.write_bytes(b"PAR1")
    os.utime(torn, (0, 0))
    logs = PredictionLogs({"loans": open_log(tmp_path)})
    logs.start()
    logs.close()
    assert files(tmp_path) == [recent]
    assert list(tmp_path.glob("loans/*/*.parquet")) == []


def test_one_process_removes_what_is_older_than_the_log_is_kept(tmp_path: Path) -> None:
    old = tmp_path / "loans" / "2020-01-01"
    old.mkdir(parents=True)
    (old / "a-000001.parquet").write_bytes(b"PAR1")
    setting = tm.log(keep="30d")
    logs = PredictionLogs({"loans": open_log(tmp_path, setting=setting)})
    logs.start()
    logs.close()
    assert old.exists()
    first = EndpointLog("loans", setting, LogOptions(folder=tmp_path, token="a", removes=True))
    logs = PredictionLogs({"loans": first})
    logs.start()
    add(first, 1.0)
    until(lambda: not old.exists())
    (tmp_path / "loans" / "2020-01-02").mkdir()
    logs.close()
    # It looks again ten minutes later.
    assert (tmp_path / "loans" / "2020-01-02").exists()
    assert amounts(tmp_path) == [1.0]
    assert (first.status()["keep"], first.status()["removed"], logs.fault) == ("30d", 1, "")
