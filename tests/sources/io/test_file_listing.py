"""What is found where a source has its files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.tides import Tides, day


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
