"""Digests are the same in every process, whatever the hashes of its strings."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import polars as pl
import pytest

from tests.behaviour.query.test_mutations import EXPRESSIONS, QUERIES, digests
from tests.support.query import drawn
from tests.support.query.judge import number
from tidemill.analysis.query.value_numbers import term

SEEDS = range(40)


def everything() -> dict[str, object]:
    found: dict[str, object] = {}
    for seed in SEEDS:
        numbers = number(drawn.stage(random.Random(seed)))
        found[str(seed)] = [
            numbers.rows,
            *((n, c.digest, dict(c.reads)) for n, c in numbers.columns.items()),
        ]
    for group in QUERIES.values():
        found.update({source: digests(source) for source in group})
    for expressions in EXPRESSIONS.values():
        found.update({text: digests(f"x.select(v=({text}))") for text in expressions})
    return found


def test_digests_are_the_same_in_another_process() -> None:
    code = (
        "import json, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from tests.behaviour.query.test_stable import everything\n"
        "print(json.dumps(everything()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "2024", "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(everything()))


def test_golden_terms() -> None:
    assert term("a", 1, [True, None], {"b": -0.0}) == "c4906e7558c2616cd545d62f177b474a"
    assert term("a") != term("a", None)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((1,), (1.0,)),
        ((1,), (True,)),
        ((0.0,), (-0.0,)),
        (("1",), (1,)),
        (("a", "b"), ("ab",)),
        ((["a"], "b"), (["a", "b"],)),
        ((None,), ("None",)),
        (({"a": 1, "b": 2},), ({"b": 2, "a": 1},)),
        (([],), ((),)),
        (("a'",), ('a"',)),
    ],
)
def test_terms_of_different_parts_differ(one: tuple[object, ...], two: tuple[object, ...]) -> None:
    assert term(*one) != term(*two)


def test_the_release_of_polars_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests("x.select('a')")
    monkeypatch.setattr(pl, "__version__", "2.1.99")
    assert digests("x.select('a')") != before
