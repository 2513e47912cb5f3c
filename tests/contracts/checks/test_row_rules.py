from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import Checker
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.core.errors import ContractError


def contract(body: dict[str, Any], **arguments: Any) -> ContractSpec:
    declared: type[DeclaredContract] = type("C", (DeclaredContract,), body, **arguments)
    return declared.__tidemill_contract__


PAIR = {"a": tm.Int64(nullable=True), "b": tm.Int64(nullable=True)}


CODED = {
    "c": tm.Categorical(nullable=True),
    "e": tm.Enum(["x", "y"]),
    "s": tm.String(nullable=True),
}


@pytest.mark.parametrize(
    ("expression", "of"),
    [
        (pl.col("c").to_physical() > 0, "c"),
        (pl.col("s").cast(pl.Categorical).to_physical() > 0, "s"),
        (pl.col("e").to_physical() < 2, ""),
        (pl.col("s") != "Physical", ""),
    ],
)
def test_a_rule_on_the_codes_of_a_categorical_is_refused(expression: pl.Expr, of: str) -> None:
    spec = contract({**CODED, "r": rule(expression)})
    if not of:
        assert not Checker(spec).check(pl.DataFrame({"c": ["a"], "e": ["x"], "s": ["b"]})).findings
        return
    with pytest.raises(
        ContractError, match=rf"rule r .* codes of a Categorical \({of}\), .*tm.Enum"
    ):
        Checker(spec)


def test_a_rule_on_codes_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.analysis.query.serialized.SUPPORTED", ())
    with pytest.raises(ContractError, match=r"rule r .* can't be evaluated: Unreadable"):
        Checker(contract({**CODED, "r": rule(pl.col("c").to_physical() > 0)}))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"r": rule(pl.col("aa") > 1)}, r"rule r of contract C reads column 'aa', .*mean 'a'"),
        ({"r": rule(pl.col("a") + 1)}, "rule r of contract C gives Int64, not Boolean"),
        ({"r": rule(pl.col("a").str.len_chars() > 1)}, "rule r of contract C can't be evaluated"),
        ({"r": rule(pl.col("a").shuffle() > 1)}, "rule r of contract C draws random numbers"),
        ({"r": rule(pl.col("a") > "x")}, "rule r of contract C can't be evaluated: Comp"),
        ({"s": tm.String(regex="(?=x)")}, r"rule s.regex of contract C .*look-around"),
        ({"s": tm.String(regex="^x", optional=True, default="y")}, "default='y' breaks .* s.regex"),
        ({"s": tm.Int64(isin=["x"])}, r"rule s.isin of contract C can't be evaluated: TypeError"),
        ({"s": tm.Enum(["x"], isin=["y"])}, r"rule s.isin of contract C can't be evaluated"),
        ({"s": tm.Datetime("us", "Nowhere/Land")}, r"rule s.type of contract C .*time zone"),
    ],
)
def test_a_contract_that_can_not_be_checked_is_refused_without_data(
    body: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        Checker(contract({**PAIR, **body}))
    assert str(caught.value).startswith("test_row_rules.py:")
