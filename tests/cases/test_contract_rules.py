"""The rules that people wrote into contracts."""

from __future__ import annotations

import polars as pl

import tidemill as tm
from tidemill.cases.contract_rules import row_rules_of, written_rules
from tidemill.contracts.spec import ContractSpec


class Shops(tm.Contract, key=("shop",)):
    shop = tm.String(isin=["a", "b"])


class Orders(tm.Contract, key=("id",)):
    id = tm.Int64(min=0, max=9, unique=True)
    shop = Shops.shop
    note = tm.String(nullable=True, regex="^x", min_length=1)
    even = tm.rule(pl.col("id") % 2 == 0)
    once = tm.Unique("note")
    known = tm.References("shop", Shops)
    few = tm.Rows(min=1)


def spec(contract: type[tm.Contract]) -> ContractSpec:
    return contract.__tidemill_contract__


def test_rules_about_rows_and_tables() -> None:
    names = [rule.name for rule in written_rules(spec(Orders))]
    assert names == [
        *("id.min", "id.max", "id.unique", "shop.isin", "note.min_length", "note.regex"),
        *("key", "even", "once", "known"),
    ]


def test_a_shared_column_has_one_rule() -> None:
    own = {rule.name: rule.meaning for rule in row_rules_of(spec(Shops))}
    other = {rule.name: rule.meaning for rule in row_rules_of(spec(Orders))}
    assert own["shop.isin"] == other["shop.isin"]
    assert own["key"] != other["key"]
