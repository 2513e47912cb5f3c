"""What a gate of the user returned: only a clear yes passes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.models.own_gate_result import refused, result_of
from tidemill.workflow.gate import GateOutcome, GateResult, Interval

PASSED, FAILED, UNKNOWN = GateOutcome


def sane(candidate: Any) -> Any:
    return candidate


GATE = tm.gate(sane)


def made(passed: Any, evidence: Any = "as it should be", **rest: Any) -> GateResult:
    return GateResult(passed=passed, evidence=evidence, **rest)


def interval(value: float) -> Interval:
    return Interval(value=value, low=0.1, high=0.3, confidence=0.95, days=20)


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Ending:
    def __repr__(self) -> str:
        raise SystemExit("no")


@pytest.mark.parametrize(
    ("answer", "outcome", "evidence"),
    [
        (True, PASSED, "it found nothing"),
        (np.True_, PASSED, "it found nothing"),
        ([], PASSED, "no findings"),
        ((), PASSED, "no findings"),
        (made(True), PASSED, "as it should be"),
        (made(True, ""), PASSED, "it gave no evidence"),
        (made(True, difference=interval(0.2)), PASSED, "as it should be"),
        (False, FAILED, "it returned False"),
        (np.False_, FAILED, "it returned False"),
        ("too slow", FAILED, "too slow"),
        (["slow", "odd"], FAILED, "slow; odd"),
        (["x"] * 25, FAILED, "x; and 5 more findings"),
        (made(False, "odd"), FAILED, "odd"),
        (made(False, "3 days", unknown=True), UNKNOWN, "3 days"),
        # Nonsense.
        (None, FAILED, "it returned None: return True or False, findings as text, or a tm.GateResult"),
        ("", FAILED, "it returned '': return"),
        ("  ", FAILED, "it returned '  ': return"),
        (1, FAILED, "it returned 1: return"),
        (0, FAILED, "it returned 0: return"),
        (math.nan, FAILED, "it returned nan: return"),
        ({}, FAILED, "it returned {}: return"),
        (set(), FAILED, "it returned set(): return"),
        (b"", FAILED, "it returned b'': return"),
        (bytearray(), FAILED, "it returned bytearray(b''): return"),
        (range(0), FAILED, "it returned range(0, 0): return"),
        (np.array([]), FAILED, "it returned array([]"),
        (pl.Series([True]), FAILED, "it returned shape: (1,)"),
        (Rude(), FAILED, "it returned ?: return"),
        (Ending(), FAILED, "it returned ?: return"),
        ([None], FAILED, "a finding that it returned is None: return"),
        (["odd", ""], FAILED, "a finding that it returned is '': return"),
        ([True], FAILED, "a finding that it returned is True: return"),
        (made(1), FAILED, "the passed, unknown and evidence that it returned are 1, False, 'as"),
        (made(np.True_), FAILED, "the passed, unknown and evidence that it returned are"),
        (made(True, unknown=3), FAILED, "that it returned are True, 3,"),
        (made(True, 3), FAILED, "that it returned are True, False, 3"),
        (made(True, unknown=True), FAILED, "it passed, and doesn't know: as it should be"),
        (made(True, difference=interval(math.nan)), FAILED, "its difference isn't finite"),
        (made(True, difference=3), FAILED, "its difference isn't finite"),
    ],
)  # fmt: skip
def test_answers(answer: Any, outcome: GateOutcome, evidence: str) -> None:
    result = result_of(GATE, answer)
    assert evidence in result.evidence
    assert (result.outcome, result.gate) == (outcome, "sane")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=1)
    ),
    max_leaves=4,
)


@given(anything)
def test_nothing_else_passes(answer: Any) -> None:
    passed = result_of(GATE, answer).passed
    assert passed == (answer is True or (isinstance(answer, list) and not answer))


def test_evidence_is_one_harmless_line() -> None:
    text = refused(GATE, "\x1b[31mred\nline " + "x" * 5_000).evidence
    assert text.startswith("\\x1b[31mred\\nline ")
    assert text.endswith("x ...")
    assert len(text) < 2_100
    assert result_of(GATE, made(True, "a\nb")).evidence == "a\\nb"
