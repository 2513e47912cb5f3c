"""Asks a memo in a process of its own: `asker.py FOLDER FIRST LAST`; `asked.txt` there has what was asked."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import polars as pl

import tidemill as tm
from tidemill.adapters.files.memos import FileMemos
from tidemill.memos.io.lookup import MemoSession

BATCH, AT_ONCE = 5, 2
FOLDER = Path(sys.argv[1]) if __name__ == "__main__" else Path()


@tm.memo(gives=pl.Int64, version="1", batch=BATCH, concurrency=AT_ONCE)
def tens(number: list[int]) -> list[int]:
    time.sleep(0.01)
    line = "".join(f"{n}\n" for n in number).encode()
    descriptor = os.open(FOLDER / "asked.txt", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, line)  # all or nothing, whoever else writes
    os.close(descriptor)
    return [n * 10 for n in number]


def ask(folder: Path, numbers: range) -> list[int]:
    with MemoSession(FileMemos(folder / "memo")).activate():
        query = pl.LazyFrame({"number": numbers}).select(tens=tens("number"))
    return query.collect(engine="in-memory")["tens"].to_list()


if __name__ == "__main__":
    numbers = range(*map(int, sys.argv[2:]))
    assert ask(FOLDER, numbers) == [n * 10 for n in numbers]
