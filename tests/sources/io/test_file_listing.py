"""What is found where a source has its files."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import polars as pl
import pytest

import tidemill as tm
from tests.support.tides import Tides, day
from tidemill.core.errors import SourceError
from tidemill.core.partition import WHOLE
from tidemill.ports.sources import StoredFile
from tidemill.project.project import open_project
from tidemill.sources.io.file_listing import scan_sources
from tidemill.sources.io.file_root import FileSet
from tidemill.sources.io.first_look import look_at_files
from tidemill.sources.scan import FileRows, Scan
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Stage


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to a device"])
def test_what_is_no_file_is_named_and_the_rest_runs(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    path = tmp_path / "data" / "odd.parquet"
    # The path of a socket may have no more than about 100 bytes.
    monkeypatch.chdir(path.parent)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path.name)
        case _:
            path.symlink_to("/dev/zero")
    receipt = tides.run()
    assert receipt.messages == ("raw: data/odd.parquet can't be read: it is not a regular file",)
    assert tides.published()["raw"] == [day(0)]


class Row(tm.Contract):
    n = tm.Int64()


FLOW = tm.Workflow("several")


@FLOW.ingest
def rows() -> tm.Source[Row]:
    return tm.sql("SELECT 1 AS n", "sqlite:///db")


@FLOW.ingest
def known() -> tm.Source[Row]:
    return tm.files("known/*.parquet")


@FLOW.ingest
def first() -> tm.Source[Row]:
    return tm.files("first/*.parquet")


@FLOW.ingest
def absent() -> tm.Source[Row]:
    return tm.files("absent/*.parquet")


@FLOW.ingest
def faulty() -> tm.Source[Row]:
    raise ValueError("no such folder")


@FLOW.ingest
def second() -> tm.Source[Row]:
    return tm.files("second/*.parquet")


def test_files_of_all_sources_are_counted_at_once_before_tables_are_listed(tmp_path: Path) -> None:
    for name in ("known", "first", "second"):
        (tmp_path / name).mkdir()
        pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / name / "a.parquet")
    (tmp_path / "second" / "b.parquet").write_bytes(b"?")
    project = open_project(tmp_path, workflow=FLOW)
    done: list[object] = []

    def count(sets: Sequence[FileSet]) -> list[dict[str, FileRows | SourceError]]:
        done.append([(some.stage.name, [*some.paths]) for some in sets])
        return look_at_files(sets)

    def look(source: object, stage: Stage, *_: object) -> dict[str, SourceFile]:
        done.append(stage.name)
        return {}

    def scan(known: Mapping[str, Mapping[str, SourceFile]]) -> dict[str, Scan]:
        return scan_sources(project.flow.stages, project.tools, known, count, look)

    before = scan({})["known"]
    done.clear()
    scans = scan({"known": before.files})
    assert done == [
        [("first", ["first/a.parquet"]), ("second", ["second/a.parquet", "second/b.parquet"])],
        "rows",
    ]
    assert [*scans] == ["rows", "known", "first", "absent", "faulty", "second"]
    assert scans["known"] == before
    assert {name: {*scan.files} for name, scan in scans.items() if scan.files} == {
        name: {f"{name}/a.parquet"} for name in ("known", "first", "second")
    }
    assert {(name, path) for name, scan in scans.items() for path in scan.broken} == {
        ("absent", "absent"), ("faulty", "faulty"), ("second", "second/b.parquet"),
    }  # fmt: skip
    assert scans["first"].files["first/a.parquet"].rows == {WHOLE: 2}


STORED = tm.Workflow("stored")


@STORED.ingest
def left() -> tm.Source[Row]:
    return tm.files("s3://bucket/left/*.parquet")


@STORED.ingest
def right() -> tm.Source[Row]:
    return tm.files("s3://bucket/right/*.parquet")


@STORED.ingest
def here() -> tm.Source[Row]:
    return tm.files("*.parquet")


class Bucket:
    """A bucket with a file for each source, whose copies lie in a folder; `done` gets what is fetched."""

    def __init__(self, folder: Path, done: list[object]) -> None:
        self._folder, self._done = folder, done

    def list_files(self, pattern: str) -> list[StoredFile]:
        return [StoredFile(path=pattern.replace("*", "a"), size=1, mtime_ns=1, tag="1")]

    def fetch(self, files: Sequence[StoredFile]) -> dict[str, StoredFile | SourceError]:
        self._done.append([file.path for file in files])
        return {file.path: replace(file, digest="1") for file in files}

    def copies(self, digests: Mapping[str, str], *, folders: bool) -> dict[str, Path]:
        return dict.fromkeys(digests, self._folder / "a.parquet")

    def file_store(self, url: str) -> Bucket:
        return self


def test_copies_are_counted_before_those_of_another_source_are_fetched(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    done: list[object] = []
    project = open_project(tmp_path, workflow=STORED)
    bucket: Any = Bucket(tmp_path, done)
    tools = replace(project.tools, external_sources=bucket)

    def count(sets: Sequence[FileSet]) -> list[dict[str, FileRows | SourceError]]:
        done.append([some.stage.name for some in sets])
        return look_at_files(sets)

    scans = scan_sources(project.flow.stages, tools, {}, count, Mock())
    # While nothing has started threads, a fork can read what is here.
    assert done == [
        ["here"],
        ["s3://bucket/left/a.parquet"], ["left"],
        ["s3://bucket/right/a.parquet"], ["right"],
    ]  # fmt: skip
    assert [file.rows for scan in scans.values() for file in scan.files.values()] == [
        {WHOLE: 2}
    ] * 3
