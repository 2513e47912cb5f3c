"""LightGBM boosters round-trip through text with the same predictions."""

from __future__ import annotations

import sys

import lightgbm
import numpy as np
import pytest

from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.core.errors import TidemillError
from tidemill.core.fingerprint import object_name
from tidemill.ports.formats import ModelFormat

RNG = np.random.default_rng(3)
TABLE = RNG.random((200, 3))
LABEL = TABLE @ np.array([1.0, -2.0, 0.5])
PARAMS = {"objective": "l2", "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    return lightgbm.train(dict(PARAMS), lightgbm.Dataset(TABLE, LABEL), 5)


def test_a_booster_round_trips(booster: lightgbm.Booster) -> None:
    form: ModelFormat = LightGBMText()
    assert form.name == "lightgbm"
    assert form.accepts(booster)
    payload = bytes(form.dump(booster))
    assert payload.startswith(b"tree\n")
    again = form.load(payload)
    with_gaps = np.where(TABLE > 0.9, np.nan, TABLE)
    for table in (TABLE, with_gaps, TABLE[:1]):
        assert np.array_equal(again(table), booster.predict(table))


def test_equal_trainings_give_equal_bytes(booster: lightgbm.Booster) -> None:
    twin = lightgbm.train(dict(PARAMS), lightgbm.Dataset(TABLE, LABEL), 5)
    other = lightgbm.train(dict(PARAMS), lightgbm.Dataset(TABLE, LABEL), 6)
    names = [
        object_name(LightGBMText().dump(model), ".lightgbm") for model in (booster, twin, other)
    ]
    assert names[0] == names[1] != names[2]


class _Wrapped:
    """A wrapper that holds its booster as scikit-learn's does."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        self.booster_ = booster


_Wrapped.__module__ = "lightgbm.sklearn"


def test_the_booster_of_a_wrapper_is_stored(booster: lightgbm.Booster) -> None:
    form = LightGBMText()
    wrapped = _Wrapped(booster)
    assert form.accepts(wrapped)
    assert form.dump(wrapped) == form.dump(booster)


class _Fake:
    """Has the method but isn't a booster."""

    def model_to_string(self) -> str:
        return "tree"


@pytest.mark.parametrize("model", [None, 5, {"model_to_string": 1}, _Fake(), lightgbm])
def test_other_models_are_not_accepted(model: object) -> None:
    assert not LightGBMText().accepts(model)


def test_a_dataset_is_no_model() -> None:
    assert not LightGBMText().accepts(lightgbm.Dataset(TABLE, LABEL))


@pytest.mark.parametrize("linear", [False, True])
def test_a_row_is_predicted_the_same_in_any_company(linear: bool) -> None:
    params = {**PARAMS, "linear_tree": linear, "num_threads": 2}
    booster = lightgbm.train(
        params, lightgbm.Dataset(TABLE, LABEL, params={"linear_tree": linear}), 5
    )
    form = LightGBMText()
    assert form.is_rowwise
    predict = form.load(form.dump(booster))
    table = TABLE.copy()
    table[::7, 1] = np.nan
    together = predict(table)
    for size in (1, 3, 64):
        cut = [predict(table[first : first + size]) for first in range(0, len(table), size)]
        assert np.concatenate(cut).tobytes() == together.tobytes()


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    booster: lightgbm.Booster, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = LightGBMText().dump(booster)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(TidemillError, match=r"needs lightgbm .*pip install 'tidemill\[lightgbm\]'"):
        LightGBMText().load(payload)
