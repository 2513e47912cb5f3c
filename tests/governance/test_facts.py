"""Facts are declared, and known only with a value of their type."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import numpy as np
import pytest

from tidemill.governance.facts import FACTS, FactType, known_facts, specs_of
from tidemill.ledger.policy import SubjectKind


class Name(StrEnum):
    DELAY = "delay"


def test_every_kind_has_facts_that_all_have() -> None:
    shared = {"name", "workflow", "environment", "profile", "author", "owner", "sampled"}
    for kind in SubjectKind:
        assert shared < set(specs_of(kind))
    assert "prediction_shift" in specs_of(SubjectKind.DELIVERY)
    assert "prediction_shift" not in specs_of(SubjectKind.TABLE)


def test_facts_have_names_of_their_own() -> None:
    names = [spec.name for spec in FACTS]
    assert len(set(names)) == len(names)
    assert all(spec.description and spec.name.isidentifier() for spec in FACTS)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("sampled", True, True),
        ("sampled", 1, None),
        ("sampled", "yes", None),
        ("training_rows", 5, 5),
        ("training_rows", True, None),
        ("training_rows", 5.0, None),
        ("training_rows", 1 << 63, None),
        ("prediction_shift", 0.5, 0.5),
        ("prediction_shift", 1, 1.0),
        ("prediction_shift", np.float64(0.5), 0.5),
        ("prediction_shift", math.nan, None),
        ("prediction_shift", np.float64("nan"), None),
        ("prediction_shift", -math.inf, None),
        ("prediction_shift", 1 << 2000, None),
        ("prediction_shift", False, None),
        ("prediction_shift", "0.5", None),
        ("owner", "", ""),
        ("owner", "Zoë", "Zoë"),
        ("owner", Name.DELAY, "delay"),
        ("owner", "\ud800", None),
        ("owner", 5, None),
        ("worse_slices", ("a",), ("a",)),
        ("worse_slices", (), ()),
        ("worse_slices", ["a"], None),
        ("worse_slices", "a", None),
        ("worse_slices", ("a", 1), None),
        ("worse_slices", None, None),
    ],
)
def test_a_fact_is_known_with_a_value_of_its_type(name: str, value: Any, known: object) -> None:
    found = known_facts(SubjectKind.DELIVERY, {name: value, "undeclared": 1})
    assert set(found) == set(specs_of(SubjectKind.DELIVERY))
    assert found[name] == known
    assert type(found[name]) is type(known)
    assert [key for key, value in found.items() if value is not None] == (
        [name] if known is not None else []
    )


def test_every_type_is_used() -> None:
    assert {spec.type for spec in FACTS} == set(FactType)
