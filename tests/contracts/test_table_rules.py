"""Rules that look beyond the partition, as they are declared."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.contracts.declaration import Contract
from tidemill.contracts.digests import check_digest, value_digest, wider_digest
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    UniqueRule,
    WideRule,
)
from tidemill.core.errors import ContractError

# What no type checker lets through, and people write all the same.
loose: Any = tm
COLUMNS = {
    "day": tm.Date(partition="1d"),
    "at": tm.Datetime("us", "UTC"),
    "order": tm.Int64(),
    "carrier": tm.String(),
    "kind": tm.Enum(["a", "b"]),
    "tags": tm.List(tm.String()),
    "weight": tm.Float64(),
    "raw": tm.Binary(),
}


class Airlines(Contract, version="1.0.0"):
    carrier = tm.String()
    code = tm.Enum(["a"])
    number = tm.Int32()
    names = tm.List(tm.String())


def declare(body: dict[str, Any], columns: dict[str, Any] = COLUMNS) -> ContractSpec:
    made: type[Contract] = type("X", (Contract,), {**columns, **body})
    return made.__tidemill_contract__


def test_each_takes_the_name_of_its_attribute() -> None:
    spec = declare(
        {
            "fresh": tm.Freshness("at", within="26h"),
            "once": tm.Unique("order", "day", description="d"),
            "known": tm.References("carrier", Airlines, on_fail="warn"),
            "coded": tm.References(("kind", "carrier"), Airlines, ["code", "carrier"], stage="a"),
            "steady": tm.Drift("weight", "order", by="ks", limit=0.1, vs_last=7, on_fail="fail"),
        }
    )
    place = Airlines.__tidemill_contract__.place
    assert spec.wider == (
        FreshnessRule(name="fresh", column="at", within="26h", on_fail="warn"),
        UniqueRule(name="once", columns=("order", "day"), on_fail="fail", description="d"),
        ReferenceRule(
            name="known", columns=("carrier",), contract="Airlines", to=("carrier",), on_fail="warn"
        ),
        ReferenceRule(
            name="coded",
            columns=("kind", "carrier"),
            contract="Airlines",
            to=("code", "carrier"),
            stage="a",
        ),
        DriftRule(
            name="steady",
            columns=("weight", "order"),
            by="ks",
            limit=0.1,
            vs_last=7,
            on_fail="fail",
        ),
    )
    known = spec.wider[2]
    assert isinstance(known, ReferenceRule)
    assert known.place == place
    assert known.types is not None
    assert set(known.types) == {"carrier", "code", "number", "names"}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (tm.Freshness("at", within="26h"), "the newest at is at most 26h old"),
        (tm.Unique("order"), "order comes once in the whole table"),
        (tm.Unique("order", "day"), "(order, day) comes once in the whole table"),
        (tm.References("carrier", Airlines), "carrier is among carrier of Airlines"),
        (
            tm.References("kind", Airlines, "code", stage="lines"),
            "kind is among code of Airlines (lines)",
        ),
        (tm.Drift("weight"), "psi of weight to the partition before is at most 0.2"),
        (
            tm.Drift("weight", "order", by="wasserstein", limit=3, vs_last=7),
            "wasserstein of (weight, order) to the 7 partitions before is at most 3",
        ),
    ],
)
def test_they_say_what_must_hold(rule: WideRule, says: str) -> None:
    assert str(rule) == says


def test_they_are_inherited_by_name() -> None:
    class Base(Contract):
        order = tm.Int64()
        once = tm.Unique("order")

    class Child(Base):
        once = tm.Unique("order", on_fail="warn")
        more = tm.Freshness("day", within="1d")
        day = tm.Date()

    (once, more) = Child.__tidemill_contract__.wider
    assert (once.name, once.on_fail, more.name) == ("once", "warn", "more")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (loose.Unique("order", on_fail="quarantine"), "on_fail='quarantine' is not fail or warn"),
        (tm.Unique(), "x: it names no column"),
        (tm.Unique("ordr"), "column 'ordr' is not one of its columns (did you mean 'order'"),
        (loose.Unique(3), "column 3 is not one of its columns"),
        (tm.Unique("order", "order"), "it names a column twice: order, order"),
        (tm.Unique("tags"), "tags is a List(String), whose values aren't compared"),
        (tm.Freshness("aat", within="1d"), "column 'aat' is not one of its columns"),
        (tm.Freshness("order", within="1d"), "order is Int64: only a Date or Datetime column"),
        (tm.Freshness("at", within="soon"), "within='soon' is not a duration"),
        (loose.Freshness("at", within=3), "within=3 is not a duration"),
        (tm.References("carrier", Airlines, "carier"), "'carier' is not one of Airlines's columns"),
        (
            tm.References(("carrier", "kind"), Airlines, "carrier"),
            "it names 2 columns here and 1 of Airlines",
        ),
        (
            tm.References("carrier", Airlines, "number"),
            "carrier is String, Airlines.number is Int32: they share no values",
        ),
        (tm.References("order", Airlines), "'order' is not one of Airlines's columns"),
        (loose.Drift("weight", by="psy"), "by='psy' is not one of psi, ks, wasserstein"),
        (tm.Drift("weight", limit=-1), "limit=-1 is not a distance"),
        (tm.Drift("weight", limit=float("inf")), "limit=inf is not a distance"),
        (tm.Drift("weight", limit=True), "limit=True is not a distance"),
        (tm.Drift("weight", vs_last=0), "vs_last=0 is not a number of partitions"),
        (loose.Drift("weight", vs_last=1.5), "vs_last=1.5 is not a number of partitions"),
        (tm.Drift("carrier", by="ks"), "ks of carrier, a String: it needs numbers or times"),
        (tm.Drift("raw"), "raw is Binary, which has no distribution"),
        (tm.Drift("wait", by="ks"), "column 'wait' is not one of its columns"),
    ],
)
def test_contradictions_are_told(rule: WideRule, says: str) -> None:
    with pytest.raises(ContractError) as caught:
        declare({"x": rule})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "rule",
    [
        tm.References("kind", Airlines, "code"),  # texts of two kinds
        tm.References("carrier", Airlines, "code"),
        tm.References("order", Airlines, "number"),  # integers of two widths
        tm.Drift("carrier", "kind"),
        tm.Drift("day", "at", by="wasserstein"),
        tm.Freshness("day", within="3mo"),
    ],
)
def test_what_makes_sense_is_accepted(rule: WideRule) -> None:
    assert len(declare({"x": rule}).wider) == 1


def test_drift_needs_partitions() -> None:
    with pytest.raises(
        ContractError, match="no partition column, so there are no earlier partitions"
    ):
        declare({"x": tm.Drift("a")}, {"a": tm.Int64()})


def test_all_are_told_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        declare({"x": tm.Unique("a"), "y": tm.Freshness("order", within="b")})
    assert str(caught.value).count("; ") == 2


def test_what_is_no_contract_is_no_table() -> None:
    with pytest.raises(ContractError, match="is not a contract: pass the class"):
        tm.References("carrier", str)


def test_one_that_was_not_called_is_told() -> None:
    with pytest.raises(ContractError, match="x is the function Unique; call it to make a rule"):
        declare({"x": tm.Unique})


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
def test_the_check_digest_names_all_that_is_judged(one: WideRule, other: WideRule) -> None:
    before, after, none = declare({"x": one}), declare({"x": other}), declare({})
    assert len({check_digest(spec) for spec in (before, after, none)}) == 3
    assert value_digest(before) == value_digest(after) == value_digest(none)


def test_the_digest_of_the_partition_knows_nothing_of_wider_rules() -> None:
    none, some = declare({}), declare({"x": tm.Unique("order")})
    assert check_digest(some, wider=False) == check_digest(none)
    assert wider_digest(none) == ""
    assert check_digest(some) == "408a8ea9d8281cb2cc1cd974597a23b0"
    assert wider_digest(some) == "07fb6e37ef2e1806ac97d61dac1d9b74"


def test_words_and_ages_are_in_no_digest() -> None:
    def digest(*rules: WideRule) -> str:
        return check_digest(declare({f"x{n}": rule for n, rule in enumerate(rules)}))

    once, fresh = tm.Unique("order"), tm.Freshness("at", within="1d")
    assert digest(once) == digest(tm.Unique("order", description="once"))
    assert digest(fresh) == digest(tm.Freshness("at", within="2d", on_fail="fail"))
    # What is noted of each partition is.
    assert digest(fresh) != digest(tm.Freshness("day", within="1d"))


def test_what_looks_further() -> None:
    assert declare({"x": tm.Unique("order")}).looks_further
    assert declare({"x": tm.Rows(vs_last=2, within=0.5)}).looks_further
    assert not declare({"x": tm.Rows(min=1)}).looks_further
    assert not declare({}).looks_further


def test_a_rule_is_not_named_as_what_contracts_can_do() -> None:
    with pytest.raises(ContractError, match="'reads' is a method of contracts; rename the column"):
        declare({"reads": tm.Unique("order")})
