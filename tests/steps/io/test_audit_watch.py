"""The watch of what code opens: which files count, whose they are, and in which threads."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tidemill.analysis.code.audited_calls import Caller
from tidemill.core.callsite import file_name
from tidemill.steps.io import audit_watch
from tidemill.steps.io.audit_watch import AuditWatch


def opened(act: Callable[[], object]) -> list[tuple[str, str]]:
    with AuditWatch("stage.py:1") as watch:
        act()
    assert all(item.where.startswith("test_audit_watch.py:") for item in watch.hidden_inputs)
    return [(item.name, item.kind) for item in watch.hidden_inputs]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rate.txt"
    path.write_text("[a]\nrate=1")
    return path


def read(path: Path) -> str:
    with open(path) as handle:
        return handle.read()


def test_reads_are_named_by_what_the_project_called(file: Path) -> None:
    folder = file.parent
    assert opened(lambda: read(file)) == [("open of rate.txt", "reads")]
    assert opened(lambda: ConfigParser().read(file)) == [
        ("configparser.RawConfigParser.read of rate.txt", "reads")
    ]
    assert opened(lambda: os.listdir(folder)) == [(f"os.listdir of {folder.name}", "reads")]
    assert opened(lambda: [*os.scandir(os.fsencode(folder))]) == [
        (f"os.scandir of {folder.name}", "reads")
    ]
    assert opened(lambda: os.listdir()) == [(f"os.listdir of {Path.cwd().name}", "reads")]
    assert opened(lambda: sqlite3.connect(file).close()) == [
        ("sqlite3.connect of rate.txt", "reads")
    ]


def test_one_line_counts_once(file: Path) -> None:
    other = file.with_name("other.txt")
    other.touch()
    assert opened(lambda: [read(path) for path in (file, other)]) == [("open of rate.txt", "reads")]


def test_files_that_the_block_wrote_do_not_count(tmp_path: Path, file: Path) -> None:
    def scratch() -> None:
        with open(tmp_path / "new", "a") as handle:
            handle.write("a")
        read(tmp_path / "new")
        with open(file, "w") as handle:
            handle.write("a")
        read(file)

    assert opened(scratch) == []


def test_what_was_in_a_file_before_counts(file: Path) -> None:
    def append() -> int:
        with open(file, "a") as handle:
            return handle.write("a")

    assert opened(append) == []
    assert opened(lambda: [append(), read(file)]) == [("open of rate.txt", "reads")]
    assert opened(lambda: os.close(os.open(file, os.O_RDWR))) == [("open of rate.txt", "reads")]


def test_descriptors_and_odd_paths_are_passed_over(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)

    def act() -> None:
        with open(handle) as stream:
            stream.read()
        read(Path(os.devnull))
        with pytest.raises(ValueError, match="null byte"):
            read(Path("a\0b"))

    assert opened(act) == []


def test_installed_files_do_not_count() -> None:
    assert opened(lambda: read(Path(os.__file__))) == []
    assert opened(lambda: read(Path(pl.__file__))) == []


def test_connections_and_programs() -> None:
    def connect() -> None:
        with socket.socket() as end:
            end.settimeout(0.01)
            end.connect_ex(("127.0.0.1", 9))

    def inside() -> None:
        one, other = socket.socketpair()
        one.close()
        other.close()

    assert opened(connect) == [("socket.connect", "network")]
    assert opened(inside) == []
    assert opened(lambda: socket.getaddrinfo("127.0.0.1", 80)) == [
        ("socket.getaddrinfo", "network")
    ]
    assert opened(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) == [
        ("subprocess.run", "environment")
    ]


@pytest.mark.parametrize(
    ("event", "arguments", "found"),
    [
        ("open", ("rate.txt", "r", os.O_RDONLY), [("open of rate.txt", "reads")]),
        ("open", ("rate.txt", "w", os.O_WRONLY | os.O_TRUNC), []),
        ("open", ("rate.txt", "a", os.O_WRONLY), []),
        ("open", ("new.txt", "a", os.O_WRONLY), []),
        ("open", ("rate.txt", "r+", os.O_RDWR), [("open of rate.txt", "reads")]),
        ("open", ("rate.txt", None, None), [("open of rate.txt", "reads")]),
        ("open", (3, "r", 0), []),
        ("open", (os.devnull, "r", 0), []),
        ("open", (pl.__file__, "r", 0), []),
        ("open", ("/usr/share/zoneinfo/Europe/Berlin", "r", 0), []),
        ("os.listdir", (None,), True),
        ("glob.glob", ("*.txt", False), [("glob.glob of *.txt", "reads")]),
        ("socket.connect", (None, ("127.0.0.1", 9)), [("socket.connect", "network")]),
        ("socket.connect", (None, "/run/socket"), []),
        ("socket.gethostbyname", ("a",), [("socket.gethostbyname", "network")]),
        ("os.system", ("true",), [("os.system", "environment")]),
        ("import", ("a",), []),
    ],
)
def test_events(
    file: Path, monkeypatch: pytest.MonkeyPatch, event: str, arguments: Any, found: Any
) -> None:
    """The hook is called directly: no tracer sees what runs in a hook that Python calls."""
    monkeypatch.chdir(file.parent)
    with AuditWatch("stage.py:1") as watch:
        audit_watch._hook(event, arguments)
    got = [(item.name, item.kind) for item in watch.hidden_inputs]
    assert got == ([(f"os.listdir of {file.parent.name}", "reads")] if found is True else found)
    audit_watch._hook(event, arguments)  # nothing is watched any more
    assert len(watch.hidden_inputs) == len(got)


def in_a_query(act: Callable[[], object]) -> object:
    def call(value: float) -> float:
        act()
        return value

    frame = pl.LazyFrame({"a": [1.0], "b": [2.0]})
    return frame.with_columns(
        pl.col("a").map_elements(call, return_dtype=pl.Float64),
        pl.col("b").map_elements(call, return_dtype=pl.Float64),
    ).collect()


def in_a_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


@pytest.mark.parametrize("run", [in_a_query, in_a_thread])
def test_threads_that_begin_in_the_block_are_watched(
    file: Path, run: Callable[[Callable[[], object]], object]
) -> None:
    assert opened(lambda: run(lambda: read(file))) == [("open of rate.txt", "reads")]


def test_threads_of_polars_are_watched_after_code_in_them_asked_for_the_thread(file: Path) -> None:
    pl.LazyFrame({"a": [1.0] * 1000}).with_columns(
        pl.col("a")
        .map_elements(lambda x: x + len(threading.current_thread().name), return_dtype=pl.Float64)
        .alias(str(n))
        for n in range(64)
    ).collect()
    assert opened(lambda: in_a_query(lambda: read(file))) == [("open of rate.txt", "reads")]


def test_threads_that_were_there_before_are_not(file: Path) -> None:
    go, done = threading.Event(), threading.Event()

    def wait() -> None:
        go.wait()
        read(file)
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()

    def meanwhile() -> None:
        go.set()
        done.wait()

    assert opened(meanwhile) == []
    thread.join()


def test_each_thread_has_its_watch(file: Path) -> None:
    barrier = threading.Barrier(2)
    found: dict[str, Any] = {}

    def work(name: str, reads: bool) -> None:
        with AuditWatch(f"{name}.py:1") as watch:
            barrier.wait()
            if reads:
                read(file)
            barrier.wait()
        found[name] = [item.name for item in watch.hidden_inputs]

    threads = [threading.Thread(target=work, args=item) for item in (("a", True), ("b", False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"a": ["open of rate.txt"], "b": []}


def test_what_is_known_is_not_described_twice(file: Path) -> None:
    with AuditWatch("stage.py:1") as watch:
        read(file)
    line = read.__code__.co_firstlineno + 1
    here = f"{file_name(read.__code__)}:{line}"
    word = f"it reads something that is not one of its inputs: open of rate.txt ({here})"
    assert watch.describe() == (word,)
    assert watch.describe(("it reads the clock: time.time (a.py:1)",))[1:] == (word,)
    assert watch.describe((f"it reads it: open ({here})",)) == (f"it reads it: open ({here})",)


def test_one_that_is_not_active_sees_nothing(file: Path) -> None:
    with AuditWatch("stage.py:1", active=False) as watch:
        read(file)
    assert watch.hidden_inputs == ()


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/etc/localtime", False),
        ("/dev/urandom", False),
        # Users keep files there, too.
        ("/dev/shm/rates.csv", True),
        # As macOS resolves /etc/localtime, and its time zones.
        ("/private/etc/localtime", False),
        ("/private/var/db/timezone/tz/2026a.1.0/zoneinfo/Europe/Berlin", False),
        ("/private/var/folders/ab/T/rates.csv", True),
        ("/private/tmp/rates.csv", True),
    ],
)
def test_packages_may_read_what_describes_the_system(path: str, hidden: bool) -> None:
    by_package, by_stage = (
        Caller(name="open", where="stage.py:1", direct=direct) for direct in (False, True)
    )
    assert audit_watch._is_hidden("reads", path, (path,), by_package) == hidden
    assert audit_watch._is_hidden("reads", path, (path,), by_stage)
