from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import Airlines, declare, declare_rules
from tidemill.contracts.column import Column
from tidemill.contracts.digests import check_digest, table_rules_digest, value_digest
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import (
    Budget,
    Rows,
    TableRule,
)

DAY = date(2013, 3, 7)


BASE: dict[str, Any] = {"a": tm.Int64(min=1), "b": tm.String(on_fail="warn")}


LARGE = rule(pl.col("a") > 1)


@pytest.mark.parametrize(
    ("body", "arguments", "value", "check"),
    [
        (BASE, {}, False, False),
        (BASE | {"a": tm.Int64(min=2)}, {}, True, True),
        (BASE | {"a": tm.Int64(min=1, description="why")}, {}, False, False),
        (BASE | {"a": tm.Int64(min=1, on_fail="warn")}, {}, True, True),
        (BASE | {"a": tm.Int64(min=1, isin=[1, 2])}, {}, True, True),
        (BASE | {"a": tm.Int32(min=1)}, {}, True, True),
        (BASE | {"b": tm.String(on_fail="warn", regex="x")}, {}, False, True),
        # Where it only warned, what couldn't be cast was published as null.
        (BASE | {"b": tm.String(on_fail="fail")}, {}, True, True),
        (BASE | {"r": LARGE}, {}, True, True),
        (BASE | {"r": rule(LARGE.expr, on_fail="warn")}, {}, False, True),
        (BASE | {"r": Rows(min=1)}, {}, False, True),
        (BASE | {"r": Budget(max_bad=0)}, {}, False, True),
        (BASE, {"key": ("a",)}, True, True),
        (BASE, {"unknown_columns": "drop"}, True, True),
        (BASE | {"a": tm.Int64(min=1, partition="value")}, {}, True, True),
        (BASE, {"version": "1.0.1"}, False, False),
        (BASE, {"compatibility": "full"}, False, False),
        (BASE | {"a": tm.Int64(min=1, pii="name")}, {}, False, False),
        (BASE | {"a": tm.Int64(min=1, max_exclusive=9)}, {}, True, True),
        (BASE | {"a": tm.Int64(min_exclusive=1)}, {}, True, True),
        (BASE | {"a": tm.Int64(min=1, unique=True)}, {}, True, True),
        (BASE | {"b": tm.String(on_fail="warn", min_length=0)}, {}, False, True),
        (BASE | {"b": tm.String(on_fail="warn", max_length=1)}, {}, False, True),
        (BASE | {"b": tm.String(on_fail="warn", unique=True)}, {}, False, True),
        # What a missing column is filled with is published, whatever follows from its rules.
        (BASE | {"b": tm.String(on_fail="warn", optional=True, default="x")}, {}, True, True),
        (BASE | {"a": tm.Int64(min=1, optional=True, default=1)}, {}, True, True),
    ],
)
def test_the_digests_follow_values_and_checks(
    body: dict[str, Any], arguments: dict[str, Any], value: bool, check: bool
) -> None:
    before, after = declare(BASE), declare(body, **arguments)
    assert (value_digest(before) != value_digest(after)) is value
    assert (check_digest(before) != check_digest(after)) is check


def test_the_digests_are_pinned() -> None:
    spec = ContractSpec(
        name="X",
        version="1.0.0",
        columns=(Column(name="a", dtype=DType("Int64"), min=1, isin=(2, 1)),),
        key=("a",),
        rows=Rows(min=1),
    )
    assert value_digest(spec) == "af232e66bdb554554000ccf6c14fea2f"
    assert check_digest(spec) == "f38dae4e9248c89ccba648e9079d1a0c"


def test_the_digests_of_what_was_published_before_stay() -> None:
    spec = declare(
        {
            "day": tm.Date(partition="1d", min=DAY),
            "id": tm.Int64(min=0, max=9, isin=[1, 2]),
            "size": tm.Float64(nullable=True, min=0.5, unit="kg", on_fail="warn"),
            "code": tm.String(regex="^a", on_fail="fail", role="id"),
            "kind": tm.Enum(["x", "y"], on_fail="warn"),
            "at": tm.Datetime("ms", "UTC", nullable=True),
            "parts": tm.List(tm.Decimal(9, 2)),
            "volume": Rows(min=1),
            "budget": Budget(max_bad=0.1),
        },
        key=("day", "id"),
        unknown_columns="keep",
    )
    assert value_digest(spec) == "46709f453af6f9813caf829e3b665aa1"
    assert check_digest(spec) == "82325eabb87ff54ea74bde1d408c76a8"


def test_the_digests_of_what_columns_learnt_to_say_are_pinned() -> None:
    number = tm.Int64(min_exclusive=0, max_exclusive=9, unique=True, pii="passport")
    text = tm.String(min_length=1, max_length=3, optional=True, default="x", on_fail="fail")
    spec = declare({"a": number, "b": text}, compatibility="backward")
    assert value_digest(spec) == "5f83aea615d5184817a004758d7c3dbc"
    assert check_digest(spec) == "db0bff520023ae1a864bb473c86c74ef"


def test_a_default_is_part_of_both_digests() -> None:
    specs = [declare({"a": tm.Int64(optional=True, default=n, on_fail="fail")}) for n in (1, 2)]
    assert len(set(map(value_digest, specs))) == len(set(map(check_digest, specs))) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tm.Unique("order"), tm.Unique("order", "day")),
        (tm.Unique("order"), tm.Unique("order", on_fail="warn")),
        (tm.References("carrier", Airlines), tm.References("kind", Airlines, "carrier")),
        (tm.References("carrier", Airlines), tm.References("carrier", Airlines, "code")),
        (tm.References("carrier", Airlines), tm.References("carrier", Airlines, stage="a")),
        (tm.Drift("weight"), tm.Drift("weight", by="ks")),
        (tm.Drift("weight"), tm.Drift("weight", limit=0.3)),
        (tm.Drift("weight"), tm.Drift("weight", vs_last=2)),
    ],
)
def test_the_check_digest_names_all_that_is_judged(one: TableRule, other: TableRule) -> None:
    before, after, none = declare_rules({"x": one}), declare_rules({"x": other}), declare_rules({})
    assert len({check_digest(spec) for spec in (before, after, none)}) == 3
    assert value_digest(before) == value_digest(after) == value_digest(none)


def test_the_digest_of_the_partition_knows_nothing_of_wider_rules() -> None:
    none, some = declare_rules({}), declare_rules({"x": tm.Unique("order")})
    assert check_digest(some, table_rules=False) == check_digest(none)
    assert table_rules_digest(none) == ""
    assert check_digest(some) == "408a8ea9d8281cb2cc1cd974597a23b0"
    assert table_rules_digest(some) == "07fb6e37ef2e1806ac97d61dac1d9b74"


def test_words_and_ages_are_in_no_digest() -> None:
    def digest(*rules: TableRule) -> str:
        return check_digest(declare_rules({f"x{n}": rule for n, rule in enumerate(rules)}))

    once, fresh = tm.Unique("order"), tm.Freshness("at", within="1d")
    assert digest(once) == digest(tm.Unique("order", description="once"))
    assert digest(fresh) == digest(tm.Freshness("at", within="2d", on_fail="fail"))
    # No partition is checked against an alarm.
    assert digest(tm.DriftAlarm("weight")) == digest()
    # What is noted of each partition is.
    assert digest(fresh) != digest(tm.Freshness("day", within="1d"))
