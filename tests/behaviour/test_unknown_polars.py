"""Under a release of Polars whose query plans are unknown, stages are judged by their code."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.soundness.loading import engines
from tests.support.tides import STAGES, Tides, day, rows_of
from tidemill.analysis.query import serialized

COUNTS = {"raw": 3, "doubled": 3, "daily": 3}


def contents(tides: Tides) -> dict[tuple[str, str], str]:
    with tides.open() as project:
        return {
            (name, key): binding.product.content
            for name, head in project.state().heads.items()
            for key, binding in head.partitions.items()
        }


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialized, "SUPPORTED", ((1, 9),))


def filled(root: Path) -> Tides:
    tides = Tides(root)
    for number in range(3):
        tides.put(f"{day(number)}.parquet", rows_of(number))
    return tides


def ran(tides: Tides) -> dict[str, int]:
    return {tally.stage: tally.ran for tally in tides.run().stages if tally.ran}


@pytest.mark.usefixtures("unknown")
def test_stages_are_judged_by_their_code(tmp_path: Path) -> None:
    tides = filled(tmp_path)
    assert ran(tides) == COUNTS
    assert ran(tides) == {}
    tides.edit("def times(", "# how much\ndef times(")
    assert ran(tides) == {}
    # The same meaning, which only a known query shows.
    tides.edit("return value * 2", "return 2 * value")
    assert ran(tides)["doubled"] == 3
    tides.edit("return 2 * value", "return 3 * value")
    assert ran(tides) == {"doubled": 3, "daily": 3}
    tides.put(f"{day(1)}.parquet", rows_of(1, (5.0,)))
    assert ran(tides) == dict.fromkeys(STAGES, 1)


def test_rows_are_those_of_a_known_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = filled(tmp_path / "known")
    known.run()
    monkeypatch.setattr(serialized, "SUPPORTED", ((1, 9),))
    other = filled(tmp_path / "other")
    other.run()
    assert contents(other) == contents(known)
    # A project that was built with another version is built again, once, and holds the same.
    before = contents(known)
    with engines() as use_engine:
        use_engine("97.1.0")
        assert ran(known) == {"doubled": 3, "daily": 3}
        assert ran(known) == {}
    assert contents(known) == before


@pytest.mark.usefixtures("unknown")
def test_check_says_so_once_and_how_to_go_on(tmp_path: Path) -> None:
    with filled(tmp_path).open() as project:
        assert project.checks.notes() == (
            f"doubled, daily are opaque: query plans of Polars {pl.__version__} are not supported "
            "(supported: 1.9; install one of these, or a newer Tidemill); their code and all columns count",
        )
