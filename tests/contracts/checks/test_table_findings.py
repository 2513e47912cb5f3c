"""What rules that look beyond the partition find, beside a look at every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.contracts.checks.table_findings import (
    drift_findings,
    is_partition_unique,
    median_findings,
    newest_time,
    reference_findings,
    unique_findings,
)
from tidemill.contracts.checks.value_index import ValueIndex
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftRule, ReferenceRule, Rows, UniqueRule


class Others(DeclaredContract):
    a = tm.Int64()


def spec_of(body: dict[str, Any]) -> ContractSpec:
    made: type[DeclaredContract] = type(
        "X", (DeclaredContract,), {"a": tm.Int64(), "b": tm.Int64(), **body}
    )
    return made.__tidemill_contract__


@pytest.mark.parametrize(
    ("size", "history", "says"),
    [
        (Rows(min=4), [], ""),
        (Rows(vs_last=3, within=0.5), [100, 6, 6, 6], ""),
        (
            Rows(vs_last=3, within=0.4),
            [3, 6, 6, 6],
            "not within 40% of 6, the median of the last 3",
        ),
        (Rows(vs_last=3, within=0.5), [1, 1], "not within 50% of 1, the median of the last 2"),
        (Rows(vs_last=3, within=0.5), [1], ""),  # one partition is no habit
        (Rows(vs_last=1, within=0.5), [1, 1], ""),
        (Rows(vs_last=2, within=0, on_fail="fail"), [1, 1], "not within 0% of 1"),
        (None, [1, 1], ""),
    ],
)
def test_sizes(size: Rows | None, history: Sequence[int], says: str) -> None:
    found = median_findings(spec_of({} if size is None else {"size": size}), 3, history)
    assert len(found) == bool(says)
    for finding in found:
        assert size is not None
        assert (finding.rule, finding.severity, finding.rows) == ("rows", size.on_fail, 3)
        assert says in finding.message


VALUES = st.lists(st.integers(0, 6), max_size=9)


@given(VALUES, st.dictionaries(st.integers(0, 8), st.sampled_from(["p", "q"])))
def test_rows_that_repeat_are_counted(values: list[int], others: dict[int, str]) -> None:
    others = {row: name for row, name in others.items() if row < len(values)}
    spec = spec_of({"once": tm.Unique("a", on_fail="warn")})
    [rule] = spec.table_rules
    assert isinstance(rule, UniqueRule)
    keys = pl.DataFrame({"a": values}, schema={"a": pl.Int64})
    found = unique_findings(spec, rule, keys, others)
    broken = {at for at, value in enumerate(values) if value in values[:at]} | set(others)
    assert [f.rows for f in found] == ([len(broken)] if broken else [])
    for finding in found:
        assert (finding.rule, finding.severity) == ("once", "warn")
        assert finding.message.startswith(
            f"once: {len(broken)} of {len(values)} rows repeat a, such as "
        )
        assert ("also in" in finding.message) == bool(others)


def test_rows_of_different_keys_are_only_held_against_other_partitions() -> None:
    made: type[DeclaredContract] = type(
        "X", (DeclaredContract,), {"a": tm.Int64(), "x": tm.Unique("a")}, key="a"
    )
    spec = made.__tidemill_contract__
    [rule] = spec.table_rules
    assert isinstance(rule, UniqueRule)
    keys = pl.DataFrame({"a": [1, 2, 3]})
    assert unique_findings(spec, rule, keys, {}) == []
    [finding] = unique_findings(spec, rule, keys, {1: "p"})
    assert "x: 1 of 3 rows repeat a, such as 2, also in p;" in finding.message


def test_personal_data_are_in_no_finding() -> None:
    made: type[DeclaredContract] = type(
        "X",
        (DeclaredContract,),
        {
            "a": tm.Int64(pii="phone"),
            "b": tm.Int64(),
            "x": tm.Unique("a", "b"),
            "y": tm.References("a", Others),
        },
    )
    spec = made.__tidemill_contract__
    unique, reference = spec.table_rules
    assert isinstance(unique, UniqueRule)
    assert isinstance(reference, ReferenceRule)
    keys = pl.DataFrame({"a": [777, 777], "b": [5, 5]})
    [repeated] = unique_findings(spec, unique, keys, {})
    assert "repeat a and b, such as 5;" in repeated.message
    index = ValueIndex({"a": pl.Int64()})
    [unknown] = reference_findings(spec, reference, keys.select("a"), index, "others")
    assert "not among a of others;" in unknown.message
    assert "777" not in repeated.message + unknown.message


@given(VALUES, VALUES)
def test_rows_whose_value_is_nowhere_are_counted(values: list[int], there: list[int]) -> None:
    spec = spec_of({"known": tm.References("a", Others)})
    [rule] = spec.table_rules
    assert isinstance(rule, ReferenceRule)
    known = ValueIndex({"a": pl.Int64()})
    known.add(pl.DataFrame({"a": there}, schema={"a": pl.Int64}), 0)
    keys = pl.DataFrame({"a": values}, schema={"a": pl.Int64})
    found = reference_findings(spec, rule, keys, known, "others")
    strange = [value for value in values if value not in there]
    assert [f.rows for f in found] == ([len(strange)] if strange else [])
    for finding in found:
        assert (finding.rule, finding.severity) == ("known", "fail")
        assert "a value of a that is not among a of others, such as " in finding.message


@pytest.mark.parametrize(
    ("partition", "columns", "expected"),
    [(None, ["a"], True), ("value", ["b"], False), ("value", ["a", "b"], True)],
)
def test_values_that_name_their_partition_are_apart(
    partition: str | None, columns: list[str], expected: bool
) -> None:
    column = tm.Int64(partition=partition) if partition else tm.Int64()
    spec = spec_of({"a": column, "once": tm.Unique(*columns)})
    [rule] = spec.table_rules
    assert isinstance(rule, UniqueRule)
    assert is_partition_unique(spec, rule) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([date(1970, 1, 2), None, date(1970, 1, 1)], 86400.0),
        ([datetime(1970, 1, 1, 0, 0, 1, 500_000)], 1.5),
        ([datetime(1970, 1, 1, 1, tzinfo=UTC)], 3600.0),
        ([date(1969, 12, 31)], -86400.0),
        ([None], None),
        ([], None),
    ],
)
def test_the_newest_moment(values: list[Any], expected: float | None) -> None:
    dtype = pl.Date() if not values or values[0] is None else None
    assert newest_time(pl.Series(values, dtype=dtype)) == expected


def test_zones_are_moments() -> None:
    moments = pl.Series([datetime(1970, 1, 1)]).dt.replace_time_zone("Europe/Amsterdam")
    assert newest_time(moments) == -3600.0
    assert newest_time(moments.cast(pl.Datetime("ns", "Europe/Amsterdam"))) == -3600.0


def drifting(**more: Any) -> tuple[ContractSpec, DriftRule]:
    body = {"day": tm.Date(partition="1d"), "steady": tm.Drift("a", **more)}
    spec = spec_of(body)
    [rule] = spec.table_rules
    assert isinstance(rule, DriftRule)
    return spec, rule


@pytest.mark.parametrize(
    ("by", "limit", "says"),
    [
        ("ks", 0.4, "ks of a to the 3 partitions before is 0.5, above 0.4"),
        ("ks", 0.5, ""),
        ("wasserstein", 4.0, "wasserstein of a to the 3 partitions before is 4.99"),
        ("wasserstein", 5.5, ""),
        ("psi", 0.2, "psi of a to the 3 partitions before is"),
        ("psi", 100, ""),
    ],
)
def test_distances(by: Any, limit: float, says: str) -> None:
    spec, rule = drifting(by=by, limit=limit, on_fail="fail")
    before = profile_frame(pl.DataFrame({"a": list(range(10))}))
    own = profile_frame(pl.DataFrame({"a": list(range(5, 15))}), before.grids)
    found = drift_findings(spec, rule, [before] * 3, own)
    assert len(found) == bool(says)
    for finding in found:
        assert finding.message.startswith(f"steady: {says}")
        assert (finding.rule, finding.severity, finding.rows) == ("steady", "fail", 10)


def test_what_has_no_distance_is_told_where_values_went() -> None:
    spec, rule = drifting()
    some = profile_frame(pl.DataFrame({"a": [1, 2]}))
    none = profile_frame(pl.DataFrame({"a": [None]}, schema={"a": pl.Int64}))
    empty = profile_frame(pl.DataFrame(schema={"a": pl.Int64}))
    [finding] = drift_findings(spec, rule, [some], none)
    assert "steady: a has no values, but had some in the partition before" in finding.message
    for before, own in ((none, some), (none, none), (empty, some), (some, empty), (some, some)):
        assert drift_findings(spec, rule, [before], own) == []
    assert drift_findings(spec, rule, [], some) == []
