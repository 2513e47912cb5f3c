"""Both formats of Arrow are read, whichever the suffix says."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from tidemill.project.arrow_files import arrow_stream, read_arrow

ROWS = pl.DataFrame({"kind": ["rye", None], "price": [2.5, 1.0]})


@pytest.mark.parametrize("write", [pl.DataFrame.write_ipc, pl.DataFrame.write_ipc_stream])
def test_files_and_streams_are_read(tmp_path: Path, write: object) -> None:
    path = tmp_path / "rows.arrow"
    write(ROWS, path)  # type: ignore[operator]
    assert read_arrow(path).equals(ROWS)
    assert pl.read_ipc_stream(BytesIO(arrow_stream(path))).equals(ROWS)
