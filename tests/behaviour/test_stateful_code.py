"""What code keeps from one call to the next is in no key: what such a stage gave is never reused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tides import CHAIN, Tides, day

TIMES = "def times(value: pl.Expr) -> pl.Expr:\n    return value * 2\n"
DOUBLED = 'return raw.select("day", "id", double=times(pl.col("value")))'

# How `times` is written, or what `doubled` does, and what is named as changed.
KEEPING = {
    "a counter in a dict": (
        'N = {"n": 1}\n\n\ndef times(value: pl.Expr) -> pl.Expr:\n'
        '    N["n"] += 1\n    return value * N["n"]\n',
        DOUBLED,
        "N",
    ),
    "a default": (
        "def times(value: pl.Expr, seen: list[int] = []) -> pl.Expr:\n"
        "    seen.append(1)\n    return value * len(seen)\n",
        DOUBLED,
        "times(seen=)",
    ),
    "an attribute of a function": (
        "def times(value: pl.Expr) -> pl.Expr:\n"
        "    times.n = times.n + 1\n    return value * times.n\n\n\ntimes.n = 0\n",
        DOUBLED,
        "times",
    ),
    "an attribute of a class": (
        "class Count:\n    n = 0\n\n\ndef times(value: pl.Expr) -> pl.Expr:\n"
        "    Count.n += 1\n    return value * Count.n\n",
        DOUBLED,
        "Count",
    ),
    "an object": (
        "from types import SimpleNamespace\n\n"
        "STATE = SimpleNamespace(n=0)\n\n\ndef times(value: pl.Expr) -> pl.Expr:\n"
        "    STATE.n += 1\n    return value * STATE.n\n",
        DOUBLED,
        "STATE",
    ),
    "a memo of another partition": (
        f"MEMO = {{}}\n\n\n{TIMES}",
        'if "top" not in MEMO:\n        MEMO["top"] = raw.collect()["value"].max()\n'
        '    return raw.select("day", "id", double=pl.col("value") / MEMO["top"])',
        "MEMO",
    ),
}


@pytest.mark.parametrize("name", KEEPING)
def test_what_is_kept_is_named_and_never_reused(tmp_path: Path, name: str) -> None:
    times, body, changed = KEEPING[name]
    tides = Tides(tmp_path, CHAIN.replace(TIMES, times).replace(DOUBLED, body))
    tides.send(0)
    tides.send(1)
    tides.ok()
    with tides.open() as project:
        (held, _) = project.state().heads["doubled"].partitions.values()
        steps = [step for step in project.plan().steps if step.stage == "doubled"]
    words = f"it changes {changed}, which its next call sees (tides.py:"
    assert any(word.startswith(words) for word in held.touched)
    assert {step.partition for step in steps} == {day(0), day(1)}
    assert all("can't be proven unchanged: it " in step.reasons[0] for step in steps)


def test_what_one_stage_keeps_for_another_is_found_in_both(tmp_path: Path) -> None:
    text = CHAIN.replace(TIMES, f"STATE = {{}}\n\n\n{TIMES}")
    text = text.replace(DOUBLED, f'STATE["k"] = raw.collect()["value"].max()\n    {DOUBLED}')
    text = text.replace(
        'total=pl.col("double").sum()', 'total=pl.col("double").sum() + STATE.get("k", 0)'
    )
    tides = Tides(tmp_path, text)
    tides.send(0)
    tides.ok()
    with tides.open() as project:
        heads = project.state().heads
    for stage in ("doubled", "daily"):
        (held,) = heads[stage].partitions.values()
        assert any("it changes STATE" in word for word in held.touched)


def test_whoever_vouches_answers_for_what_is_kept(tmp_path: Path) -> None:
    times, _, _ = KEEPING["a counter in a dict"]
    text = CHAIN.replace(TIMES, times).replace(
        "@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled'
    )
    tides = Tides(tmp_path, text)
    tides.send(0)
    tides.ok()
    assert tides.ok() == {}


def test_what_is_only_read_is_reused(tmp_path: Path) -> None:
    times = (
        "from dataclasses import dataclass\n\nimport numpy as np\n\n\n"
        "class Factors:\n    two = 2\n\n\n@dataclass\nclass Loose:\n    by: float = 1.0\n\n\n"
        'TABLE = {"a": [1.0, 2.0]}\nARRAY = np.ones(3)\nLOOSE = Loose()\n'
        "FRAME = pl.DataFrame({'a': [1]})\n\n\n"
        "def times(value: pl.Expr) -> pl.Expr:\n"
        '    by = TABLE["a"][1] * float(ARRAY[0]) * LOOSE.by * FRAME["a"][0]\n'
        "    return value * by * Factors.two / 2\n"
    )
    tides = Tides(tmp_path, CHAIN.replace(TIMES, times))
    tides.send(0)
    tides.ok()
    assert tides.ok() == {}
