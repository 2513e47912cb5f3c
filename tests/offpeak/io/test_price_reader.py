"""Where prices are read: whatever is wrong there is a note, and no error."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemill.offpeak.io import price_worker
from tidemill.offpeak.io.price_reader import HORIZON_S, read_prices
from tidemill.offpeak.offpeak_settings import OffPeakSettings
from tidemill.offpeak.tariff import Tariff, TariffBand

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()
GOOD = "start,price\n2026-01-15T12:00Z,5\n2026-01-15T13:00Z,4\n"
FUNCTIONS = """
from datetime import datetime, timezone


def today():
    print("what it prints is no price")
    start = datetime(2026, 1, 15, 12, tzinfo=timezone.utc)
    return [(start, 5), ("2026-01-15T13:00Z", None), (start.timestamp() + 7200, 4)]


def broken():
    raise ConnectionError("the market is closed")


def endless():
    while True:
        pass


def silent():
    import os

    os._exit(3)


def far():
    return [(10**400, 1)]


def dear():
    return [("2026-01-15T13:00Z", 10**400)]


def long():
    return [(number, 1) for number in range(400_000)]
"""


def read(folder: Path, **settings: Any) -> Any:
    return read_prices(OffPeakSettings(**settings), folder, NOW)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (GOOD.encode(), ""),
        (None, "prices.csv: there is no such file"),
        (b"", "prices.csv: it has no prices"),
        (b"2026-01-14T12:00Z,5", "prices.csv: all of its prices are of the past"),
        (b"\xff\xfe\x00", "prices.csv: 'utf-8' codec can't decode byte 0xff"),
        (b"soon,cheap", "prices.csv: there is no column 'start'; there are soon, cheap"),
        (f"[[1{'0' * 400}, 1.0]]".encode(), "prices.csv: entry 1: '1000"),
        (f'[["2026-01-15T12:00Z", 1{"0" * 400}]]'.encode(), "prices.csv: entry 1: '1000"),
        (f"[[1{'0' * 5000}, 1.0]]".encode(), "prices.csv: it isn't JSON"),
        (b"1," * 3_000_000, "prices.csv: it is larger than 4 MB"),
    ],
)
def test_files_are_read_or_noted(tmp_path: Path, content: bytes | None, note: str) -> None:
    if content is not None:
        (tmp_path / "prices.csv").write_bytes(content)
    found = read(tmp_path, file="prices.csv")
    assert found.note.startswith(note)
    assert bool(found.note) == bool(note)
    assert (found.curve.until > NOW) == (not note)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "Is a directory" in read(tmp_path, file=".").note


def test_a_tariff_is_known_for_some_days() -> None:
    tariff = Tariff(
        bands=(TariffBand(days=frozenset(range(7)), begin=0, end=60, price=1.0),), default=2.0
    )
    found = read(Path(), tariff=tariff)
    assert (found.note, found.curve.until) == ("", NOW + HORIZON_S)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("today", ""),
        ("broken", "market:broken: ConnectionError: the market is closed"),
        ("missing", "market:missing: AttributeError: module 'market' has no attribute 'missing'"),
        (
            "far",
            f"market:far: entry 1: '1{'0' * 56}...' is not a time such as 2026-01-31T14:00+01:00",
        ),
        ("dear", "market:dear: OverflowError: int too large to convert to float"),
        ("silent", "market:silent: it ended with exit code 3"),
        ("long", "market:long: it returned more than 4 MB"),
    ],
)
def test_functions_are_called_elsewhere(tmp_path: Path, name: str, note: str) -> None:
    (tmp_path / "market.py").write_text(FUNCTIONS)
    found = read(tmp_path, function=f"market:{name}")
    assert found.note == note
    if not note:
        assert [piece.price for piece in found.curve.pieces] == [5, 4]


def test_a_function_is_ended(tmp_path: Path) -> None:
    (tmp_path / "market.py").write_text(FUNCTIONS)
    found = read(tmp_path, function="market:endless", timeout=0.5)
    assert found.note == "market:endless: it took longer than 0.5 s"


def test_entries_are_written_as_json() -> None:
    entries = price_worker._entries([(datetime(2026, 1, 1, tzinfo=UTC), 1), (3, None)])
    assert [*entries] == [["2026-01-01T00:00:00+00:00", 1.0], [3, None]]
