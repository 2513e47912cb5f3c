"""How the number of ledger queries grows with the number of partitions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.tides import STAGES, Tides
from tidemill.adapters.codec.events import decode_binding
from tidemill.adapters.sqlite import head_partitions, state_reader
from tidemill.ledger.binding import Binding
from tidemill.runs.io import publisher

FEW, MANY = 5, 45
Statements: TypeAlias = dict[str, list[str]]


@contextmanager
def asked_statements() -> Iterator[list[str]]:
    """All statements of connections that are opened meanwhile."""
    asked: list[str] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def traced(*given: object, **options: object) -> sqlite3.Connection:
        connection = connect(*given, **options)
        connection.set_trace_callback(asked.append)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        # On a busy machine steps that are published together would be published one by one.
        patch.setattr(publisher, "_PAUSE_S", 60.0)
        yield asked


def statements(act: Callable[[], object]) -> list[str]:
    with asked_statements() as asked:
        act()
    assert asked
    return asked


def acts(folder: Path, days: int) -> Statements:
    folder.mkdir()
    tides = Tides(folder)
    # Files that are new are hashed again by each run, until they are two seconds old.
    tides.use(clock=lambda: time.time() + 60)
    for number in range(days):
        tides.send(number)

    def plan() -> None:
        with tides.open() as project:
            project.plan()

    counted = {"first plan": statements(plan), "first run": statements(tides.ok)}
    counted["plan again"] = statements(plan)
    counted["run again"] = statements(tides.ok)
    tides.send(3, (7.0,))
    counted["plan of a change"] = statements(plan)
    counted["run of a change"] = statements(tides.ok)
    return counted


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Statements, Statements]:
    folder = tmp_path_factory.mktemp("days")
    return acts(folder / "few", FEW), acts(folder / "many", MANY)


def test_to_explain_a_stage_each_partition_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = Tides(tmp_path)
    days = 2 * head_partitions._SMALL_HEAD
    for number in range(days):
        tides.send(number)
    tides.ok()
    decoded: list[str] = []

    def counted(body: str) -> Binding:
        decoded.append(body)
        return decode_binding(body)

    # As if each of the heads had more partitions than are kept.
    monkeypatch.setattr(head_partitions, "decode_binding", counted)
    monkeypatch.setattr(state_reader, "LoadedHeads", partial(head_partitions.LoadedHeads, 0))
    with tides.open() as project:
        found = project.lineage.explain("daily")
    assert [len(origin.partitions) for origin in found.origins] == [days, days]
    assert len(decoded) == days * len(STAGES)


@pytest.mark.parametrize(
    "act", ["first plan", "plan again", "run again", "plan of a change", "run of a change"]
)
def test_what_changes_little_asks_as_often_of_more_days(
    counted: tuple[Statements, Statements], act: str
) -> None:
    few, many = counted
    assert len(many[act]) == len(few[act])


def test_a_first_run_asks_no_question_for_each_step(
    counted: tuple[Statements, Statements],
) -> None:
    few, many = (
        [text for text in each["first run"] if text.startswith("SELECT")] for each in counted
    )
    assert len(many) - len(few) < (MANY - FEW) * len(STAGES) / 2
