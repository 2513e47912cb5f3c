from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as Exact
from typing import Any

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.declaration import Contract
from tidemill.contracts.digests import check_digest, value_digest
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import Budget, Rows
from tidemill.core.errors import ContractError
from tidemill.core.partition import Grain, Partitioning

DAY = date(2013, 3, 7)


def spec_of(contract: type[Contract]) -> ContractSpec:
    return contract.__tidemill_contract__


def declare(body: dict[str, Any], **arguments: Any) -> ContractSpec:
    return spec_of(type("X", (Contract,), body, **arguments))


class Flights(Contract, version="1.2.3", key=("date", "flight"), unknown_columns="drop"):
    """One row per departure."""

    date = tm.Date(partition="1d")
    flight = tm.Int64(min=1)
    delay = tm.Float64(nullable=True)

    agree = rule(pl.col("delay") < 300, on_fail="warn", description="five hours at most")
    volume = Rows(min=2, max=9)
    budget = Budget(max_bad=0.1)


def test_a_class_becomes_a_record() -> None:
    spec = spec_of(Flights)
    assert (spec.name, spec.version, spec.key) == ("Flights", "1.2.3", ("date", "flight"))
    assert spec.names == ("date", "flight", "delay")
    assert spec.partitioning == Partitioning(column="date", grain=Grain.DAY)
    assert (spec.rows, spec.budget) == (Rows(min=2, max=9), Budget(max_bad=0.1))
    assert spec.unknown_columns == "drop"
    assert spec.description == "One row per departure."
    assert spec.place.startswith("test_spec.py:")
    (declared,) = spec.rules
    assert (declared.name, declared.on_fail) == ("agree", "warn")
    assert Flights.flight.name == "flight"


def test_columns_are_reused_by_another_contract_without_its_key() -> None:
    class Labels(Contract):
        flight, delay = Flights.flight, Flights.delay

    spec = spec_of(Labels)
    assert spec.names == ("flight", "delay")
    assert spec.key == ()
    assert spec.column("flight") == Flights.flight
    assert spec.partitioning == Partitioning()


def test_a_subclass_has_what_its_base_has_and_its_own() -> None:
    class More(Flights, version="2.0.0"):
        delay = tm.Float64()
        carrier = tm.String()
        early = rule(pl.col("delay") > -60)
        volume = Rows(min=5)

    spec = spec_of(More)
    assert spec.names == ("date", "flight", "delay", "carrier")
    assert not spec.column("delay").nullable
    assert [item.name for item in spec.rules] == ["agree", "early"]
    assert (spec.rows, spec.budget) == (Rows(min=5), Budget(max_bad=0.1))
    assert (spec.key, spec.unknown_columns) == ((), "fail")


def test_a_key_may_be_one_name_and_a_partition_a_value() -> None:
    spec = declare({"tenant": tm.String(partition="value")}, key="tenant")
    assert spec.key == ("tenant",)
    assert spec.partitioning == Partitioning(column="tenant")


def test_constants_and_methods_are_no_columns() -> None:
    spec = declare({"a": tm.Int64(), "NAMES": ("x",), "helper": lambda self: 1})
    assert spec.names == ("a",)


def test_reads_names_the_nearest_column() -> None:
    reads = Flights.reads("flight", "delay")
    assert (reads.contract, reads.columns) == (spec_of(Flights), ("flight", "delay"))
    with pytest.raises(ContractError, match=r"Flights has no column 'dely' \(did you mean 'delay'"):
        Flights.reads("dely")


@pytest.mark.parametrize(
    ("body", "arguments", "says"),
    [
        ({}, {}, "it has no columns"),
        ({"a": tm.Int64()}, {"version": "1.0"}, "version '1.0' is not MAJOR.MINOR.PATCH"),
        ({"a": tm.Int64()}, {"unknown_columns": "no"}, "unknown_columns='no' is not one of keep"),
        ({"abc": tm.Int64()}, {"key": ("abd",)}, r"'abd' is not one of its columns .*'abc'"),
        ({"a": tm.Int64(nullable=True)}, {"key": ("a",)}, "key column 'a' is nullable"),
        ({"a": tm.List(tm.Int8())}, {"key": ("a",)}, "is a List.Int8., which has no order"),
        ({"a": tm.Int64()}, {"key": ("a", "a")}, "names a column twice"),
        (
            {"a": tm.Date(partition="1d"), "b": tm.Date(partition="1d")},
            {},
            "more than one column has partition=: a, b",
        ),
        ({"a": tm.Int64(on_fail="stop")}, {}, "a: on_fail='stop' is not one of"),  # type: ignore[arg-type]
        ({"a": tm.Int64(role="lable")}, {}, "role='lable' is not one of label"),  # type: ignore[arg-type]
        ({"a": tm.Int64(min=3, max=2)}, {}, "min=3 is above max=2"),
        ({"a": tm.Int64(min="3", max=2)}, {}, "min='3' can't be compared with a Int64"),  # type: ignore[arg-type]
        ({"a": tm.Float64(max=float("nan"))}, {}, "max=nan can't be compared"),
        ({"a": tm.Date(min=datetime(2013, 1, 1))}, {}, "can't be compared with a Date"),
        ({"a": tm.Datetime(min=datetime(2013, 1, 1, tzinfo=UTC))}, {}, "can't be compared"),
        ({"a": tm.Datetime("us", "UTC", min=datetime(2013, 1, 1))}, {}, "can't be compared"),
        ({"a": tm.Int64(isin=[])}, {}, "isin is empty"),
        ({"a": tm.Enum([])}, {}, "an Enum without categories"),
        ({"a": tm.Enum(["x", "x"])}, {}, "names a category twice: x, x"),
        ({"a": tm.String(regex="(")}, {}, r"regex '\(' is invalid"),
        ({"a": tm.Date(partition="1d", nullable=True)}, {}, "can't be nullable"),
        ({"a": tm.String(partition="1d")}, {}, "needs a Date or Datetime column, not String"),
        ({"a": tm.Date(partition="1h")}, {}, "a Date has no hours"),
        ({"a": tm.Float64(partition="value")}, {}, "can't be partitioned by value"),
        ({"a": tm.List(tm.Int8(), partition="value")}, {}, "can't be partitioned by value"),
        ({"a": tm.Int64()}, {"version": "01.0.0"}, "version '01.0.0' is not MAJOR.MINOR.PATCH"),
        ({"a": tm.Int64()}, {"version": "1.0.0-rc1"}, "version '1.0.0-rc1' is not"),
        ({"a": tm.Int64()}, {"version": 1}, "version 1 is not MAJOR.MINOR.PATCH"),
        (
            {"a": tm.Int64()},
            {"compatibility": "both"},
            "compatibility='both' is not one of none, b",
        ),
        ({"a": tm.Int64(nullable=True, optional=True)}, {"key": "a"}, "key column 'a' is nullable"),
        ({"a": tm.Int64(optional=True, default=1)}, {"key": "a"}, "key column 'a' is optional"),
        ({"a": tm.Int64(min=1, min_exclusive=1)}, {}, "min=1 and min_exclusive=1 are two bounds"),
        ({"a": tm.Int64(max=1, max_exclusive=1)}, {}, "max=1 and max_exclusive=1 are two bounds"),
        ({"a": tm.Int64(min_exclusive=3, max=3)}, {}, "min_exclusive=3 and max=3 leave no value"),
        ({"a": tm.Int64(min=3, max_exclusive=2)}, {}, "min=3 is above max_exclusive=2"),
        ({"a": tm.Int64(min_exclusive="x")}, {}, "min_exclusive='x' can't be compared"),  # type: ignore[arg-type]
        ({"a": tm.Decimal(5, 2, min=0.5)}, {}, r"min=0.5 can't be compared with a Decimal\(5, 2\)"),  # type: ignore[arg-type]
        ({"a": tm.Decimal(5, 2, max=Exact("NaN"))}, {}, "can't be compared"),
        ({"a": tm.Int64(max=2**127)}, {}, "can't be compared with a Int64"),
        ({"a": tm.Decimal(5, 2, max=True)}, {}, "max=True can't be compared"),
        ({"a": Column(dtype=DType("Int64"), min_length=1)}, {}, "min_length on a Int64: only Str"),
        ({"a": tm.String(min_length=-1)}, {}, "min_length=-1 is no length"),
        ({"a": tm.String(max_length=True)}, {}, "max_length=True is no length"),
        ({"a": tm.List(tm.Int8(), min_length=2, max_length=1)}, {}, "2 is above max_length=1"),
        ({"a": tm.List(tm.Int8(), unique=True)}, {}, r"unique=True on a List\(Int8\)"),
        ({"a": tm.Int64(unique=1)}, {}, "unique=1 is not True or False"),  # type: ignore[arg-type]
        ({"a": tm.String(pii=True)}, {}, "pii=True is not text"),  # type: ignore[arg-type]
        ({"a": tm.String(regex=3)}, {}, "regex 3 is invalid"),  # type: ignore[arg-type]
        ({"a": tm.Date(partition="1d", optional=True, default=DAY)}, {}, "can't be optional"),
        ({"a": tm.Int64(default=1)}, {}, "default=1 fills .* say optional=True"),
        ({"a": tm.Int64(optional=True)}, {}, "filled with null: say nullable=True"),
        ({"a": tm.Int64(optional=True, default=1, unique=True)}, {}, "default=1 would come twice"),
        ({"a": tm.Int64(optional=True, default=1.5)}, {}, "default=1.5 is no Int64"),
        (
            {"a": tm.Int64(optional=True, default=0, min=1)},
            {},
            "default=0 breaks its own rule: min=1",
        ),
        ({"reads": tm.Int64()}, {}, "'reads' is a method of contracts; rename it"),
        ({"a": tm.Int64(), "v": Rows(min=1), "w": Rows(min=2)}, {}, r"w is its second Rows\(\)"),
        (
            {"a": tm.Int64(), "v": Budget(max_bad=0), "w": Budget(max_bad=1)},
            {},
            r"w is its second Budget\(\)",
        ),
        ({"a": tm.Int64}, {}, "a is Int64 itself; call it"),
        ({"a": pl.Int64}, {}, "a is the Polars type Int64"),
        ({"a": pl.Int64()}, {}, "a is the Polars type Int64"),
        ({"a": tm.Int64(), "b": pl.col("a") > 1}, {}, r"b is an expression; wrap it in tm.rule"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(
    body: dict[str, Any], arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        declare(body, **arguments)
    assert "test_spec.py:" in str(caught.value)
    assert "contract X: " in str(caught.value)


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(ContractError, match=r"(?s)version.*a: min=3.*b: isin"):
        declare({"a": tm.Int64(min=3, max=2), "b": tm.Int64(isin=[])}, version="x")


@pytest.mark.parametrize(
    "column",
    [
        tm.String(regex=r"^\p{Lu}\pL+$"),  # Unicode classes, which only Polars knows
        tm.Date(min=date(2013, 1, 1), max=date(2013, 1, 1)),
        tm.Datetime("us", "UTC", min=datetime(2013, 1, 1, tzinfo=UTC)),
        tm.Float64(min=0, max=float("inf")),
        tm.Int64(partition="value"),
    ],
)
def test_what_makes_sense_is_accepted(column: Column) -> None:
    assert declare({"a": column}).names == ("a",)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"vs_last": 7}, "go together"),
        ({"within": 0.5}, "go together"),
        ({"min": 3, "max": 2}, "allows no partition"),
        ({"on_fail": "quarantine"}, "is not fail or warn"),
    ],
)
def test_rows_refuse_what_can_never_be(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Rows(**arguments)


@pytest.mark.parametrize("share", [-0.1, 1.1, 5])
def test_a_budget_is_a_share(share: float) -> None:
    with pytest.raises(ContractError, match="is a share of the rows"):
        Budget(max_bad=share)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"expr": pl.col("a") > 1, "on_fail": "stop"}, "on_fail='stop'"),
        ({"expr": True}, r"rule\(True\) is not a Polars expression"),
        ({"expr": "a > 1"}, "is not a Polars expression"),
    ],
)
def test_a_rule_is_an_expression(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        rule(**arguments)


def test_rules_are_equal_when_their_expressions_are() -> None:
    def within(limit: list[int]) -> Any:
        return rule(pl.col("a").is_in(limit))

    many = list(range(500))
    assert within(many) == within(many)
    assert hash(within(many)) == hash(within(many))
    assert within(many) != within([*many[:-1], -1])  # their text is the same
    assert within(many) != "a rule"
    assert spec_of(Flights) == spec_of(Flights)


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
    ("column", "fits"),
    [
        (tm.Int8(optional=True, default=127), True),
        (tm.Int8(optional=True, default=128), False),
        (tm.UInt8(optional=True, default=-1), False),
        (tm.UInt128(optional=True, default=2**128 - 1), True),
        (tm.Int64(optional=True, default=True), False),
        (tm.Float64(optional=True, default=1), True),
        (tm.Float64(optional=True, default=float("inf")), True),
        (tm.Float64(optional=True, default=float("nan")), False),
        (tm.Decimal(4, 2, optional=True, default=Exact("12.340")), True),
        (tm.Decimal(4, 2, optional=True, default=Exact("1.234")), False),
        (tm.Decimal(4, 2, optional=True, default=100), False),
        (tm.Decimal(2, 2, optional=True, default=0), True),
        (tm.Decimal(38, 8, optional=True, default=Exact("1" * 30 + ".12345678")), True),
        (tm.Decimal(4, 2, optional=True, default=Exact("Infinity")), False),
        (tm.Bool(optional=True, default=False), True),
        (tm.String(optional=True, default=b"x"), False),
        (tm.Enum(["a"], optional=True, default="a"), True),
        (tm.Enum(["a"], optional=True, default="b"), False),
        (tm.Date(optional=True, default=DAY), True),
        (tm.Date(optional=True, default=datetime(2013, 3, 7)), False),
        (tm.Datetime(optional=True, default=datetime(2013, 3, 7)), True),
        (tm.Datetime("us", "UTC", optional=True, default=datetime(2013, 3, 7)), False),
        (tm.List(tm.Int8(), optional=True, default=[]), False),
        (tm.Int64(optional=True, default=9, max=8), False),
        (tm.Int64(optional=True, default=8, max_exclusive=8), False),
        (tm.Int64(optional=True, default=1, min_exclusive=1), False),
        (tm.Int64(optional=True, default=1, isin=[2]), False),
        (tm.String(optional=True, default="", min_length=1), False),
        (tm.Binary(optional=True, default=b"xy", max_length=1), False),
        (tm.String(optional=True, default="x", min_length=1, max_length=1, isin=["x"]), True),
    ],
)  # fmt: skip
def test_a_default_is_a_value_that_the_column_allows(column: Column, fits: bool) -> None:
    if fits:
        assert declare({"a": column}).names == ("a",)
        return
    with pytest.raises(ContractError, match="a: default="):
        declare({"a": column})
