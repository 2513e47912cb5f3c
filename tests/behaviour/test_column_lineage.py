"""The lineage of columns is what queries do: exact where it is known, marked where it isn't."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.openlineage.projects import LineageSea, edges
from tests.support.openlineage.validation import faults
from tests.support.trained import wine as wines
from tidemill.project.project import Project

pytest.importorskip("sklearn")

D = "od280/od315.x"
FLOW = """
import polars as pl
import tidemill as tm

D = "od280/od315.x"


class Wine(tm.Contract, key=("id",)):
    id = tm.Int64()
    kind = tm.String()
    locals()[D] = tm.Float64()
    alcohol = tm.Float64(nullable=True)
    hue = tm.Float64()


class Region(tm.Contract, key=("kind",)):
    kind = tm.String()
    locals()["region.name"] = tm.String()
    alcohol = tm.Float64()


class Out(tm.Contract, unknown_columns="drop"):
{columns}


flow = tm.Workflow("wine.shop.eu")


@flow.ingest
def wine() -> tm.Source[Wine]:
    return tm.files("data/wine.parquet")


@flow.ingest
def region() -> tm.Source[Region]:
    return tm.files("data/region.parquet")


def double(x):
    return x * 2


@flow.transform{options}
def out(wine: tm.Frame[Wine], region: tm.Frame[Region]) -> tm.Frame[Out]:
    return {query}
"""
TYPES = {"id": "Int64", "n": "UInt32", "kind": "String", "name": "String", "v": "String"}
W, R = "wine.", "region."
KINDS = {W + "kind", R + "kind"}


def direct(*columns: str) -> dict[str, str]:
    return dict.fromkeys(columns, "DIRECT")


def same(column: str) -> dict[str, str]:
    return {column: "DIRECT/IDENTITY"}


ID = {"id": same(W + "id")}
# A query, the edges of its columns, and the columns that decide about its rows.
QUERIES: dict[str, tuple[str, dict[str, dict[str, str]], set[str]]] = {
    "left join": (
        'wine.join(region, on="kind", how="left", suffix=".r")'
        '.select("id", "kind", a=pl.col("alcohol.r"), b="alcohol", name="region.name")',
        {**ID, "kind": same(W + "kind"), "a": same(R + "alcohol"), "b": same(W + "alcohol"),
         "name": same(R + "region.name")},
        KINDS,
    ),
    "inner join": (
        'wine.join(region, on="kind").select("id", "kind", a=pl.col("alcohol_right") + pl.col("hue"))',
        {**ID, "kind": same(W + "kind"), "a": direct(R + "alcohol", W + "hue")},
        KINDS,
    ),
    "full join": (
        'wine.join(region, on="kind", how="full", coalesce=True).select("id", "kind")',
        {**ID, "kind": direct(*KINDS)},
        KINDS,
    ),
    "anti join": (
        'wine.join(region, on="kind", how="anti").select("id", a="alcohol")',
        {**ID, "a": same(W + "alcohol")},
        KINDS,
    ),
    "asof join": (
        'wine.sort("alcohol").join_asof(region.sort("alcohol"), on="alcohol")'
        '.select("id", name="region.name")',
        {**ID, "name": same(R + "region.name")},
        {W + "alcohol", R + "alcohol"},
    ),
    "cross join": (
        'wine.join(region, how="cross").select("id", name="region.name")',
        {**ID, "name": same(R + "region.name")},
        set(),
    ),
    "union": (
        'pl.concat([wine.select("id", a="alcohol"), region.select(id=pl.lit(9, pl.Int64), a="alcohol")])',
        {"id": direct(W + "id"), "a": direct(W + "alcohol", R + "alcohol")},
        set(),
    ),
    "diagonal union": (
        'pl.concat([wine.select("id", a="alcohol"), region.select(name="region.name")], how="diagonal")',
        {"id": direct(W + "id"), "a": direct(W + "alcohol"), "name": direct(R + "region.name")},
        set(),
    ),
    "group": (
        'wine.group_by("kind").agg(n=pl.len(), a=pl.col("alcohol").filter(pl.col("hue") > 1).mean(), '
        'b=pl.col(D).sort_by("hue").first())',
        {"kind": same(W + "kind"), "n": {}, "a": direct(W + "alcohol", W + "hue"),
         "b": direct(W + D, W + "hue")},
        {W + "kind"},
    ),
    "window": (
        'wine.select("id", a=pl.col("alcohol").rank().over("kind"), '
        'b=pl.col(D).shift(1).over("kind", order_by="hue"))',
        {**ID, "a": direct(W + "alcohol", W + "kind"), "b": direct(W + D, W + "kind", W + "hue")},
        set(),
    ),
    "condition": (
        'wine.select("id", a=pl.when(pl.col("hue") > 1).then("alcohol").otherwise(D))',
        {**ID, "a": direct(W + "alcohol", W + "hue", W + D)},
        set(),
    ),
    "exchanged names": (
        'wine.rename({"alcohol": "hue", "hue": "alcohol"}).select("id", a="hue", b="alcohol")',
        {**ID, "a": same(W + "alcohol"), "b": same(W + "hue")},
        set(),
    ),
    "constants": (
        'wine.select("id", a=pl.lit(1.0), n=pl.len())',
        {**ID, "a": {}, "n": {}},
        set(),
    ),
    "unpivot": (
        'wine.unpivot(on=["alcohol", "hue"], index="id").select("id", v="variable", a="value")',
        {"id": direct(W + "id"), "v": {}, "a": direct(W + "alcohol", W + "hue")},
        set(),
    ),
    "rows of few": (
        'wine.drop_nulls("alcohol").unique("kind", keep="first", maintain_order=True)'
        '.sort("hue", descending=True).head(2).select("id", b=D)',
        {**ID, "b": same(W + D)},
        {W + "alcohol", W + "kind", W + "hue"},
    ),
    "fold": (
        'wine.join(region, on="kind", how="left", maintain_order="left").rename({"region.name": "name"})',
        {"kind": same(W + "kind"), "n": {}, "a": direct(W + "alcohol"),
         "b": direct(W + D, W + "hue"), "name": same(R + "region.name")},
        KINDS,
    ),
}  # fmt: skip
FOLD = """(
    fold={
        "wine": tm.fold(
            "kind",
            n=tm.fold.count(),
            a=tm.fold.mean("alcohol"),
            b=tm.fold.sum(pl.col(D) * pl.col("hue")),
        )
    }
)"""


class Shop(LineageSea):
    """A workflow on scikit-learn's wines and a small table of regions, with one query."""

    def __init__(self, root: Path, query: str, columns: list[str], options: str = "") -> None:
        declared = [
            f"    {name} = tm.{TYPES.get(name, 'Float64')}(nullable=True)" for name in columns
        ]
        text = FLOW
        for old, new in (("columns", "\n".join(declared)), ("query", query), ("options", options)):
            text = text.replace(f"{{{old}}}", new)
        super().__init__(root, text)
        for name, frame in tables().items():
            self.put(f"{name}.parquet", frame)

    def end(self) -> Any:
        """The event that ends a run of the query; all events are valid."""
        receipt = self.run()
        assert receipt.exit_code == 0, receipt
        events = self.take()
        assert events == self.exported(receipt.run)
        [found] = [
            event
            for event in events
            if event["job"]["name"] == "wine.shop.eu.out" and event["eventType"] == "COMPLETE"
        ]
        return found


def tables() -> dict[str, pl.DataFrame]:
    found = wines().with_row_index("id").filter(pl.col("id") % 6 == 0)
    wine = found.select(
        pl.col("id").cast(pl.Int64),
        pl.col("y").cast(pl.String).alias("kind"),
        pl.col("od280_od315_of_diluted_wines").alias(D),
        pl.when(pl.col("id") % 18 > 0).then("alcohol"),
        "hue",
    )
    region = pl.DataFrame(
        {"kind": ["barolo", "barbera"], "region.name": ["Piemont", "Asti"], "alcohol": [13.1, 12.2]}
    )
    return {"wine": wine, "region": region}


def other_values(frame: pl.DataFrame, column: str) -> list[pl.DataFrame]:
    """The table with other values in one column, and with the same in another order."""
    values = frame[column]
    if values.dtype == pl.String:
        changed = values.str.replace("a", "e")
    else:
        changed = (values * 3 + 1).cast(values.dtype)
    moved = values.reverse()
    return [frame.with_columns(each.alias(column)) for each in (changed, moved)]


def result(project: Project, given: dict[str, pl.DataFrame]) -> dict[str, list[str]]:
    """The values of each column of the query, sorted, because rows may have no order."""
    function = project.workspace.flow["out"].function
    assert function is not None
    made = function(**{name: frame.lazy() for name, frame in given.items()}).collect()
    return {name: sorted(map(repr, made[name])) for name in made.columns}


def named(event: Any) -> tuple[dict[str, dict[str, str]], set[str]]:
    found = edges(event)
    assert {name for reads in found.values() for name, _, _ in reads} <= {
        "wine.shop.eu.wine",
        "wine.shop.eu.region",
    }
    plain = {
        column: {
            f"{name.removeprefix('wine.shop.eu.')}.{field}": kind for name, field, kind in reads
        }
        for column, reads in found.items()
    }
    rows = plain.pop("")
    assert {*rows.values()} <= {"INDIRECT"}
    return plain, {*rows}


@pytest.mark.parametrize("name", QUERIES)
def test_the_edges_are_those_of_the_query(tmp_path: Path, name: str) -> None:
    query, wanted, rows = QUERIES[name]
    shop = Shop(tmp_path, query, [*wanted], FOLD if name == "fold" else "")
    event = shop.end()
    assert faults(event) == []
    assert named(event) == (wanted, rows)
    # The client of OpenLineage reads it.
    client = import_module("tests.behaviour.test_openlineage_client")
    facet = event["outputs"][0]["facets"]["columnLineage"]
    made = client.built(client.facet_kinds()[facet["_schemaURL"]], facet)
    assert client.filled(client.serde.Serde.to_dict(made)) == client.filled(facet)


@pytest.mark.parametrize("name", [name for name in QUERIES if name != "fold"])
def test_what_changes_a_column_has_an_edge_to_it(tmp_path: Path, name: str) -> None:
    query, wanted, rows = QUERIES[name]
    with Shop(tmp_path, query, [*wanted]).open() as project:
        given = tables()
        before = result(project, given)
        for table, frame in given.items():
            for column in frame.columns:
                for changed in other_values(frame, column):
                    after = result(project, {**given, table: changed})
                    for output, reads in wanted.items():
                        if after[output] != before[output]:
                            assert f"{table}.{column}" in {*reads, *rows}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ('wine.select("id", a=pl.col("alcohol").map_batches(double))', "a Python function"),
        ('wine.collect().select("id", a="alcohol").lazy()', "it collects wine"),
        ('wine.sql("select id, alcohol * 2 as a from self where hue > 1")', "contains SQL"),
        ('pl.SQLContext(w=wine, r=region).execute("select w.id, r.alcohol as a from w join r using (kind)")',
         "contains SQL"),
    ],
)  # fmt: skip
def test_what_isnt_known_is_marked(tmp_path: Path, query: str, reason: str) -> None:
    event = Shop(tmp_path, query, ["id", "a"]).end()
    facets = event["outputs"][0]["facets"]
    assert "columnLineage" not in facets
    assert reason in facets["tidemill_unknownColumnLineage"]["reason"]
    # What was read is known all the same.
    assert [dataset["name"] for dataset in event["inputs"]] == [
        "wine.shop.eu.wine",
        "wine.shop.eu.region",
    ]
