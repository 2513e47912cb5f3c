"""What is written stays apart from what is only read."""

from __future__ import annotations

from pathlib import Path

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.layered_artifacts import LayeredArtifacts


def test_the_lower_store_is_read_and_never_written(tmp_path: Path) -> None:
    lower, upper = FileArtifacts(tmp_path / "lower"), FileArtifacts(tmp_path / "upper")
    [old] = lower.put_all([(b"old", ".txt")])
    both = LayeredArtifacts(upper, lower)
    [new] = both.put_all([(b"new", ".txt")])
    assert [both.get(name) for name in (old, new)] == [b"old", b"new"]
    assert [Path(both.uri(name)).read_bytes() for name in (old, new)] == [b"old", b"new"]
    with both.open(old) as file:
        assert file.read(0, 3) == b"old"
    assert sorted(both.names()) == sorted([old, new])
    assert {*both.versions([old, new])} == {old, new}
    assert dict(both.find_missing([old, new, "0" * 64])) == {"0" * 64: "missing"}
    # What is below stays, whoever removes it.
    assert both.remove([old, new]) == 3
    assert [*lower.names()] == [old]
    assert [*upper.names()] == []
