"""Data of any size held against a contract: the same verdicts as in a run, without rewriting good rows."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from tests.decide.judging import cases
from tidemill.act.validating import validate
from tidemill.decide.check import Checker
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import ContractError


@given(cases())
@settings(max_examples=300, deadline=None)
def test_the_verdicts_are_those_of_a_run(
    case: tuple[ContractSpec, pl.DataFrame, str | None],
) -> None:
    spec, frame, partition = case
    try:
        judged = Checker(spec).judge(frame, partition=partition)
    except ContractError as error:
        with pytest.raises(ContractError) as caught:
            validate(spec, frame, partition=partition)
        assert str(caught.value) == str(error)
        return
    found = validate(spec, frame, partition=partition)
    assert found.findings == judged.findings
    failing = {f.rule for f in judged.findings if f.severity == "fail"} & found.counts.keys()
    if failing:
        return
    good, bad = found.good.collect(), found.bad
    assert good.height + bad.height == frame.height == found.rows
    by = spec.key or good.columns[:0]
    assert_frame_equal(good.sort(by, maintain_order=True) if by else good, judged.good)
    if judged.bad is None:
        assert bad.height == 0
    else:
        assert_frame_equal(bad, judged.bad)
