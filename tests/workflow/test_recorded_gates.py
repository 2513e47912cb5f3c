"""Gates on what is recorded of a candidate, as they are written and read."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tidemill.core.errors import DeclarationError
from tidemill.workflow.recorded_gates import (
    Calibrated,
    ContractOk,
    Fresh,
    NoPiiTo,
    RecordedGate,
    Size,
    calibrated,
    contract_ok,
    fresh,
    no_pii_to,
    size,
)


@pytest.mark.parametrize(
    ("gate", "same", "text"),
    [
        (calibrated(), Calibrated(), "calibrated"),
        (
            calibrated(0.1, metric="storms.ece", confidence=0.9),
            Calibrated(metric="storms.ece", max_error=0.1, confidence=0.9),
            "calibrated(storms.ece)",
        ),
        (size("50MB"), Size(most=50_000_000), "size"),
        (size(9), Size(most=9), "size"),
        (fresh("2d"), Fresh(within_s=172_800), "fresh"),
        (fresh(60, of="training"), Fresh(within_s=60, of="training"), "fresh(training)"),
        (contract_ok(), ContractOk(), "contract_ok"),
        (contract_ok(max_quarantined=0), ContractOk(max_quarantined=0), "contract_ok"),
        (no_pii_to("out", "postgres"), NoPiiTo(targets=("out", "postgres")),
         "no_pii_to(out, postgres)"),
    ],
)  # fmt: skip
def test_gates(gate: RecordedGate, same: RecordedGate, text: str) -> None:
    assert gate == same
    assert str(gate) == text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: calibrated(math.nan), r"max_error=nan is not between 0 and 1"),
        (lambda: calibrated(math.inf), r"max_error=inf is not between 0 and 1"),
        (lambda: calibrated(0), r"max_error=0 is not"),
        (lambda: calibrated(True), r"max_error=True is not"),
        (lambda: calibrated(confidence=math.nan), r"confidence=nan must be from 0.5"),
        (lambda: calibrated(confidence=95), r"confidence=95 must be from 0.5"),
        (lambda: calibrated(metric=" "), r"metric=' ' is not the name of a metric"),
        (lambda: size("50 apples"), r"'50 apples' is not an amount of memory"),
        (lambda: size(math.nan), r"nan is not an amount"),  # type: ignore[arg-type]
        (lambda: size(0), r"0 is not an amount"),
        (lambda: fresh("soon"), r"'soon' is not a duration"),
        (lambda: fresh(math.nan), r"nan is not a duration"),
        (lambda: fresh(math.inf), r"inf is not a duration"),
        (lambda: fresh("2d", of="labels"), r"of='labels' is not one of any, training, evaluation"),  # type: ignore[arg-type]
        (lambda: contract_ok(max_quarantined=math.nan), r"max_quarantined=nan is not a share"),
        (lambda: contract_ok(max_quarantined=1.1), r"max_quarantined=1.1 is not a share"),
        (no_pii_to, r"name at least one endpoint, table or sink"),
        (lambda: no_pii_to("out", ""), r"'' is not the name of an endpoint"),
        (lambda: no_pii_to(7), r"7 is not the name of an endpoint"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_nothing_is_declared_that_could_refuse_no_model(
    make: Callable[[], RecordedGate], says: str
) -> None:
    with pytest.raises(DeclarationError, match=says) as caught:
        make()
    assert "test_recorded_gates.py:" in str(caught.value)


def test_a_pattern_matches_names() -> None:
    gate = no_pii_to("out*", "parquet:pub/*")
    assert gate.matches(("outer",))
    assert gate.matches(("x", "parquet:pub/a/b"))
    assert not gate.matches(("Out", "parquet:private"))
