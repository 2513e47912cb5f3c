"""A line for each request reaches the file, wherever logrotate moves it; nothing waits for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from tidemill.serving.io.access_log import AccessLine, AccessLog


def line(number: int = 1) -> AccessLine:
    return AccessLine(
        at=1767225600.1234,
        request=b"a-%d" % number,
        token="4kq0z7c2wm",
        endpoint="delays",
        version="v1",
        status=200,
        rows=2,
        wall_ns=1_234_567,
        cpu_ns=98_765,
        bytes_in=278,
        bytes_out=64,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "access.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[AccessLog]:
    found = AccessLog(path)
    found.start()
    yield found
    found.close()


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines() if text]


def test_a_line_says_who_asked_what_when_and_how_long_it_took(log: AccessLog, path: Path) -> None:
    log.add(line())
    log.close()
    assert written(path) == [
        {
            "time": "2026-01-01T00:00:00.123Z",
            "request": "a-1",
            "token": "4kq0z7c2wm",
            "user": "",
            "auth": "token",
            "endpoint": "delays",
            "version": "v1",
            "status": 200,
            "rows": 2,
            "ms": 1.235,
            "cpu_us": 98.8,
            "bytes_in": 278,
            "bytes_out": 64,
        }
    ]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("token", "user", "auth"), [("", "ana", "proxy"), ("4kq0z7c2wm", "", "token"), ("", "", "")]
)
def test_a_line_says_how_the_caller_was_authenticated(
    log: AccessLog, path: Path, token: str, user: str, auth: str
) -> None:
    log.add(line()._replace(token=token, user=user))
    log.close()
    [found] = written(path)
    assert (found["token"], found["user"], found["auth"]) == (token, user, auth)


def test_a_renamed_file_is_followed_by_a_new_one(log: AccessLog, path: Path) -> None:
    log.add(line(1))
    until(lambda: path.stat().st_size > 0)
    path.rename(path.with_suffix(".1"))
    log.add(line(2))
    until(path.exists)
    log.close()
    assert [each["request"] for each in written(path.with_suffix(".1"))] == ["a-1"]
    assert [each["request"] for each in written(path)] == ["a-2"]


def test_a_truncated_file_is_continued_at_its_start(log: AccessLog, path: Path) -> None:
    log.add(line(1))
    until(lambda: path.stat().st_size > 0)
    os.truncate(path, 0)
    log.add(line(2))
    log.close()
    assert [each["request"] for each in written(path)] == ["a-2"]


def test_too_many_lines_are_dropped_and_counted(path: Path) -> None:
    log = AccessLog(path, most_waiting=2)
    for number in range(5):
        log.add(line(number))
    assert log.drops == 3
    log.start()
    log.close()
    assert [each["request"] for each in written(path)] == ["a-0", "a-1"]


def test_a_full_disk_drops_lines_and_is_survived(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AccessLog(path)
    log._open()
    real = os.write

    def half(file: int, text: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return real(file, bytes(text)[:10])

    def full(file: int, text: bytes) -> int:
        raise OSError(28, "No space left on device")

    log.add(line(1))
    monkeypatch.setattr(os, "write", half)
    log._write()
    assert log.drops == 1
    monkeypatch.setattr(os, "write", real)
    log.add(line(2))
    log._write()
    log.close()
    torn, whole = path.read_text().splitlines()
    assert len(torn) == 10
    assert json.loads(whole)["request"] == "a-2"


def test_a_wrong_path_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        AccessLog(tmp_path).start()


def test_a_log_that_never_began_can_be_closed(path: Path) -> None:
    AccessLog(path).close()
    assert not path.exists()
