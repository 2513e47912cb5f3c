"""Which columns a drift alarm watches, and which declarations contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.contracts.drift_columns import watched_columns
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError


def declared(**attributes: Any) -> ContractSpec:
    """A contract of daily partitions with these columns and rules."""
    body = {"day": tm.Date(partition="1d"), **attributes}
    cls = type("Table", (tm.Contract,), body, version="1.0.0", key=("day", "id"))
    found: ContractSpec = cls.__tidemill_contract__  # type: ignore[attr-defined]
    return found


def test_columns_that_stay_the_same_are_watched() -> None:
    spec = declared(
        id=tm.Int64(),
        value=tm.Float64(),
        word=tm.String(),
        kind=tm.Enum(["a", "b"]),
        flag=tm.Bool(),
        waited=tm.Duration("us"),
        items=tm.List(tm.Int64()),
        code=tm.String(unique=True),
        at=tm.Datetime("us"),
        both=tm.Struct({"a": tm.Int64()}),
        drift=tm.DriftAlarm(),
    )
    own = ("value", "word", "kind", "flag", "waited", "items")
    assert watched_columns(spec, spec.drift_alarms[0]) == own


def test_the_columns_of_a_longer_key_are_watched() -> None:
    spec = declared(id=tm.Int64(), drift=tm.DriftAlarm())
    assert watched_columns(spec, spec.drift_alarms[0]) == ()

    class Flights(tm.Contract, version="1.0.0", key=("day", "carrier", "number")):
        day = tm.Date(partition="1d")
        carrier = tm.String()
        number = tm.Int64()
        drift = tm.DriftAlarm()

    spec = Flights.__tidemill_contract__
    assert watched_columns(spec, spec.drift_alarms[0]) == ("carrier", "number")


def test_named_columns_are_watched() -> None:
    spec = declared(id=tm.Int64(), value=tm.Float64(), drift=tm.DriftAlarm("id"))
    assert watched_columns(spec, spec.drift_alarms[0]) == ("id",)


def test_an_alarm_is_no_rule_of_a_partition() -> None:
    spec = declared(id=tm.Int64(), value=tm.Float64(), drift=tm.DriftAlarm("value"))
    assert not spec.has_table_rules
    assert spec.partition_rules == ()
    assert [str(rule) for rule in spec.drift_alarms] == [
        "the shares of value stay within 0.03 of those in the 30d before"
    ]
    assert str(tm.DriftAlarm(reference=20)) == (
        "the shares of every column stay within 0.03 of those in the 20 partitions before"
    )


@pytest.mark.parametrize(
    ("columns", "options", "problem"),
    [
        (("valu",), {}, "column 'valu' is not one of its columns (did you mean 'value'?)"),
        (("value", "value"), {}, "it names a column twice: value, value"),
        (("day",), {}, "day moves on with the partitions, so it always drifts"),
        (("at",), {}, "at moves on with the partitions, so it always drifts"),
        (("both",), {}, "both is a Struct"),
        ((), {"tolerance": 0}, "tolerance=0 is not a change of a share"),
        ((), {"tolerance": 0.5}, "tolerance=0.5 is not a change of a share"),
        ((), {"tolerance": float("nan")}, "tolerance=nan is not a change of a share"),
        ((), {"reference": "30"}, "reference='30' is not a duration such as '30d', '8w' or '12mo'"),
        (
            (),
            {"reference": 1},
            "reference=1 is not a length of time, or a number of partitions >= 2",
        ),
        ((), {"reference": True}, "reference=True is not a length of time"),
    ],
)
def test_a_contradiction_is_refused(
    columns: tuple[str, ...], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ContractError) as raised:
        declared(
            id=tm.Int64(),
            value=tm.Float64(),
            at=tm.Datetime("us"),
            both=tm.Struct({"a": tm.Int64()}),
            drift=tm.DriftAlarm(*columns, **options),
        )
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (tm.Date(), "the contract has no partition column, so there are no earlier partitions"),
        (tm.Datetime("us", partition="1h"), "its partitions are hours"),
        (tm.Int64(partition="value"), "is a length of time, but partitions are values"),
    ],
)
def test_partitions_must_be_comparable(column: Any, problem: str) -> None:
    with pytest.raises(ContractError) as raised:
        declared(day=column, id=tm.Int64(), value=tm.Float64(), drift=tm.DriftAlarm())
    assert problem in str(raised.value)


def test_a_contract_without_a_distribution_is_refused() -> None:
    with pytest.raises(ContractError, match="no column with a distribution to watch"):
        type(
            "Table",
            (tm.Contract,),
            {"day": tm.Date(partition="1d"), "drift": tm.DriftAlarm()},
            version="1.0.0",
        )
