"""What a training function returns."""

from __future__ import annotations

import pytest

from tidemill.contracts.column_types import Float64, Int64
from tidemill.contracts.declaration import DeclaredContract
from tidemill.core.errors import ContractError
from tidemill.workflow.model import Fitted, fitted


class Features(DeclaredContract):
    hour = Int64()
    wind = Float64()


def test_fitted() -> None:
    booster = object()
    found = fitted(booster, inputs=Features.reads("wind", "hour"), output="delay")
    assert found == Fitted(model=booster, inputs=Features.reads("wind", "hour"), output="delay")
    assert found.inputs.columns == ("wind", "hour")


def test_inputs_are_columns_of_the_contract() -> None:
    with pytest.raises(ContractError, match=r"no column 'winds' \(did you mean 'wind'\?\)"):
        fitted(object(), inputs=Features.reads("winds"), output="delay")
