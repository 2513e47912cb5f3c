"""Libraries that can't be imported: the message says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.adapters.model_formats.library import require_library
from tidemill.core.errors import TidemillError

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
