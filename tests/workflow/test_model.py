"""What a training function returns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.contracts.column_types import Float64, Int64
from tidemill.contracts.declaration import DeclaredContract
from tidemill.core.errors import ContractError
from tidemill.testing.records import model_artifact
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


def test_the_content_of_a_version_is_its_id_unless_an_older_version_stored_it() -> None:
    plain = replace(model_artifact("a"), id=model_artifact("a").object[:12])
    assert plain.content == plain.object
    assert replace(plain, id="encoded12345").content == "encoded12345"
    assert plain.all_objects == (plain.object,)
    assert replace(plain, golden="rows").all_objects == (plain.object, "rows")
