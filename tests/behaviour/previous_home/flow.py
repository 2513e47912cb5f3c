"""Sales of a shop: one stage that is judged by its query, two that are judged by their code."""

from __future__ import annotations

import polars as pl

import tidemill as tm


class Sales(tm.Contract, version="1.0.0", key=("day", "shop")):
    day = tm.Date(partition="1d")
    shop = tm.String()
    loaves = tm.Int64(min=0)


class Doubled(tm.Contract, version="1.0.0", key=("day", "shop")):
    day, shop = Sales.day, Sales.shop
    twice = tm.Int64()


def double(loaves: int) -> int:
    return 2 * loaves


flow = tm.Workflow("shop")


@flow.ingest
def sales() -> tm.Source[Sales]:
    return tm.files("sales.csv")


@flow.transform
def by_query(sales: tm.Frame[Sales]) -> tm.Frame[Doubled]:
    return sales.select("day", "shop", twice=pl.col("loaves") * 2)


@flow.transform
def by_code(sales: tm.Frame[Sales]) -> tm.Frame[Doubled]:
    doubled = pl.col("loaves").map_elements(double, return_dtype=pl.Int64)
    return sales.select("day", "shop", twice=doubled)


@flow.transform
def by_contract(sales: tm.Frame[Sales]) -> tm.Frame[Doubled]:
    columns = [column.name for column in Doubled.__tidemill_contract__.columns]
    table = sales.collect().with_columns(twice=pl.col("loaves") + pl.col("loaves"))
    return table.select(columns).lazy()
