"""Libraries that can't be imported or can't write a model: the message says what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tidemill.adapters.model_formats.library import map_written, require_library
from tidemill.core.errors import TidemillError, UsageError

LINKER = "cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            f"OSError('libgomp.so.1: {LINKER}')",
            "install GNU OpenMP, such as `apt install libgomp1`",
        ),
        (f"ImportError('libgomp.so.1: {LINKER}')", "install GNU OpenMP"),
        ("OSError('Library not loaded: @rpath/libomp.dylib')", "such as `brew install libomp`"),
        ("OSError('libother.so: invalid ELF header')", "pip install broken_library"),
        ("ModuleNotFoundError('No module named broken_library')", "pip install broken_library"),
    ],
)
def test_a_library_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, advice: str
) -> None:
    (tmp_path / "broken_library.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TidemillError) as raised:
        require_library("broken_library")
    assert str(raised.value).startswith("the model needs broken_library (")
    assert advice in str(raised.value)


def test_a_written_model_is_mapped_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def write(path: str) -> None:
        Path(path).write_bytes(b"model")

    found = map_written(write)
    assert (bytes(found), found.readonly) == (b"model", True)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_written_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UsageError) as raised:
        map_written(full)
    assert f"No space left on device: '{tmp_path}" in str(raised.value)
    assert "let TMPDIR name another folder" in str(raised.value)
    assert list(tmp_path.iterdir()) == []
