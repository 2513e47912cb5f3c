import polars as pl
import pytest

import tidemill as tm
from tidemill.analysis.query.summary import QuerySummary
from tidemill.serving.io.feature_plan import query_tree
from tidemill.serving.served_features import NotServable, ServedFeatures, served_features
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Stage


class Orders(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    price = tm.Float64()


class Unkeyed(tm.Contract):
    id = tm.Int64()


flow = tm.Workflow("shop")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.parquet")


@flow.transform
def same(orders: tm.Frame[Orders]) -> tm.Frame[Orders]:
    return orders


@flow.transform(window=tm.last("7d"))
def week(orders: tm.Frame[Orders]) -> tm.Frame[Orders]:
    return orders


@flow.transform
def unkeyed(orders: tm.Frame[Orders]) -> tm.Frame[Unkeyed]:
    return orders.select("id")


@flow.transform(fold={"orders": tm.fold("day", "id", price=tm.fold.max("price"))})
def folded(orders: tm.Frame[Orders]) -> tm.Frame[Orders]:
    return orders


class Items(tm.Contract, key=("id",)):
    id = tm.Int64()
    price = tm.Float64()


@flow.ingest
def items() -> tm.Source[Items]:
    return tm.files("items.parquet")


@flow.transform
def priced(items: tm.Frame[Items]) -> tm.Frame[Items]:
    return items.select("id", pl.col("price") * 2)


@flow.transform
def moved(items: tm.Frame[Items]) -> tm.Frame[Items]:
    return items.select(pl.col("id") + 1, "price")


STAGES = {stage.name: stage for stage in seal(flow).stages}
QUERY = QuerySummary(reads={"orders": ("day", "id", "price")})


def refusal(stage: Stage, query: QuerySummary = QUERY) -> str:
    with pytest.raises(NotServable) as caught:
        served_features(stage, query, query_tree(stage))
    return str(caught.value)


def test_the_columns_that_the_query_reads_are_asked_for() -> None:
    found = served_features(
        STAGES["same"], QuerySummary(reads={"orders": ("price",)}), query_tree(STAGES["same"])
    )
    assert found == ServedFeatures(
        stage="same",
        rows="orders",
        columns=("day", "id", "price"),
        lookups=(),
        key=("day", "id"),
        repeat=False,
    )


def test_a_table_without_partitions_needs_no_partition_column() -> None:
    stage = STAGES["priced"]
    found = served_features(stage, QuerySummary(reads={"items": ("price",)}), query_tree(stage))
    assert found.columns == ("id", "price")


def test_a_key_that_is_computed_is_refused() -> None:
    query = QuerySummary(reads={"items": ("id",)})
    assert "the key column 'id' isn't taken from items as it is" in refusal(STAGES["moved"], query)


def test_a_window_is_refused() -> None:
    assert "it reads a window of orders" in refusal(STAGES["week"])


def test_a_fold_is_refused() -> None:
    assert "folded reads a fold of orders" in refusal(STAGES["folded"])


def test_a_stage_without_a_key_is_refused() -> None:
    assert "unkeyed has no key" in refusal(STAGES["unkeyed"])


def test_an_ingest_is_no_transform() -> None:
    with pytest.raises(NotServable, match="orders is no transform"):
        served_features(STAGES["orders"], QUERY, None)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (QuerySummary(opaque="a Python function"), "isn't judged by its query: a Python function"),
        (
            QuerySummary(touched=("it reads the clock",)),
            "other values each time: it reads the clock",
        ),
        (QuerySummary(unstable="shuffle"), "other values each time: shuffle"),
        (QuerySummary(memos=True), "calls memos"),
    ],
)
def test_what_a_query_does_not_say_is_refused(query: QuerySummary, reason: str) -> None:
    assert reason in refusal(STAGES["same"], query)
