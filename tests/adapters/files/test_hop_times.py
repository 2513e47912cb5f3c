"""What hops cost is remembered by cluster; a file that is damaged or can't be written costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.adapters.files.hop_times import FileHopTimes


def test_each_cluster_has_its_own(tmp_path: Path) -> None:
    FileHopTimes(tmp_path).put("one:6379", 0.25)
    FileHopTimes(tmp_path).put("two:6379", 0.5)
    FileHopTimes(tmp_path).put("one:6379", 0.75)
    kept = FileHopTimes(tmp_path)
    assert (kept.get("one:6379"), kept.get("two:6379"), kept.get("three:6379")) == (0.75, 0.5, 0.0)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"one:6379": "slow"}', '{"one:6379": -1}', '{"one:6379": null}']
)
def test_what_cant_be_read_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "hops.json").write_text(text)
    kept = FileHopTimes(tmp_path)
    assert kept.get("one:6379") == 0.0
    kept.put("one:6379", 0.5)
    assert kept.get("one:6379") == 0.5


def test_a_home_that_cant_be_written_keeps_nothing(tmp_path: Path) -> None:
    kept = FileHopTimes(tmp_path / "gone")
    kept.put("one:6379", 0.5)
    assert kept.get("one:6379") == 0.0
