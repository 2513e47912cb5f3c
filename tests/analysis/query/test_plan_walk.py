"""What isn't understood is taken as a whole: with all its text, over all that it could use."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest

from tests.behaviour.query.test_mutations import quiet
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query
from tidemill.analysis.query.value_numbers import Relation

X = placeholder_frame(
    "x", {"a": pl.Int64(), "b": pl.Float64(), "s": pl.String(), "l": pl.List(pl.Int64)}
)
Y = placeholder_frame("y", {"a": pl.Int64(), "k": pl.Float64()})
A = pl.col("a")


def relation(tree: Any) -> tuple[Relation, PlanWalk]:
    plan = PlanWalk(keys={})
    return plan.relation(tree), plan


def is_whole(found: Relation, plan: PlanWalk, *sources: str) -> bool:
    """Whether every column depends on every column of the inputs."""
    everything = {
        "x": {"a", "b", "s", "l"},
        "y": {"a", "k"},
    }
    expected = {source: everything[source] for source in sources}
    return all(
        {name: set(columns) for name, columns in plan.sources.columns_of(value.reads).items()}
        == expected
        for value in found.columns.values()
    )


@pytest.mark.parametrize(
    ("frame", "sources"),
    [
        (X.pivot("s", on_columns=["p"], index="a", values="b"), ["x"]),
        (X.sql("select a from self"), ["x"]),
        (X.join_where(Y, pl.col("a_right") < A), ["x", "y"]),
        (
            X.select("a", "b", "s", "l").match_to_schema({"a": pl.Int64}, extra_columns="ignore"),
            ["x"],
        ),
        (X.merge_sorted(X, "a"), ["x"]),
        (X.gather(Y.select("a", "k").select("a")), ["x", "y"]),
        (X.select(pl.struct("a").alias("o"), "b", "s", "l").unnest("o", separator="_"), ["x"]),
        (X.select(A.value_counts(), pl.all().exclude("a").value_counts()), ["x"]),
        (X.group_by_dynamic("a", every="1i").agg(cs.float().sum()), ["x"]),
    ],
)
def test_operators_that_are_taken_as_a_whole(frame: pl.LazyFrame, sources: list[str]) -> None:
    with quiet():
        found, plan = relation(parse_query(serialize_query(frame)))
        assert list(found.columns) == list(frame.collect_schema())
    if "y" in sources and "Gather" in serialize_query(frame):
        assert set(plan.sources.columns_of(found.reads)) == set(sources)
    else:
        assert is_whole(found, plan, *sources)


def edited(frame: pl.LazyFrame, edit: Callable[[Any], None]) -> Any:
    tree = copy.deepcopy(parse_query(serialize_query(frame)))
    edit(tree)
    return tree


def rule(tree: Any) -> None:
    tree["Select"]["options"]["should_broadcast"] = False


def fill(tree: Any) -> None:
    tree["MapFunction"]["function"]["FillNan"] = {"Literal": {"Series": []}}


def total(tree: Any) -> None:
    stats = tree["Select"]["input"]["MapFunction"]
    stats["function"]["Stats"] = {"Quantile": {"quantile": {"Column": "a"}, "method": "Nearest"}}


def conditions(tree: Any) -> None:
    tree["Filter"]["predicate"] = {"Selector": {"ByName": {"names": ["a", "b"], "strict": True}}}


def windows(tree: Any) -> None:
    tree["GroupBy"]["options"]["rolling"] = tree["GroupBy"]["options"]["dynamic"]


@pytest.mark.parametrize(
    ("frame", "edit"),
    [
        (X.select("a", "b"), rule),
        (X.fill_nan(0), fill),
        (X.quantile(0.5), total),
        (X.filter(A > 1), conditions),
        (X.group_by_dynamic("a", every="1i").agg("b"), windows),
    ],
)
def test_forms_that_are_not_known_are_not_guessed_at(
    frame: pl.LazyFrame, edit: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = dict(frame.collect_schema())
    monkeypatch.setattr("tidemill.analysis.query.operator.node_schema", lambda node: names)
    found, plan = relation(edited(frame, edit))
    below = [value for name, value in found.columns.items() if not name.startswith("__")]
    assert all(
        set(plan.sources.columns_of(value.reads | found.reads)["x"]) >= {"a", "b"}
        for value in below
    )


def test_operators_nobody_has_heard_of_keep_all_of_their_text() -> None:
    frame = X.select("a", "b")
    inner = parse_query(serialize_query(frame))

    def node(**content: Any) -> Any:
        return {"Novelty": {"input": inner, **content}}

    def number(tree: Any) -> str:
        return relation(tree)[0].rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidemill.analysis.query.operator.node_schema", lambda _: {"a": pl.Int64()})
        assert number(node(n=1)) == number(node(n=1))
        assert number(node(n=1)) != number(node(n=2))
        assert number(node(n=1)) != number(node(m=1))
        assert number({"Novelty": {"input": inner}}) != number({"Other": {"input": inner}})
        found, plan = relation(node(deep=[{"plan": parse_query(serialize_query(Y))}, [1, 2, 3]]))
        assert plan.sources.columns_of(found.reads) == {"x": ("a", "b"), "y": ("a", "k")}


@pytest.mark.parametrize(
    "inner",
    [
        {"Column": "a"},
        {"Agg": {"Sum": {"Column": "a"}}},
        {"Selector": {"ByName": {"names": ["a"], "strict": True}}},
        {"Novelty": {}},
        "Novelty",
        {"Novelty": {"DataFrameScan": {}}},
        {"two": 1, "names": 2},
        {"Cast": {"expr": "Element", "dtype": {"OfExpr": {"Column": "a"}}, "options": "Strict"}},
    ],
)
def test_expressions_that_are_not_understood_depend_on_all_columns(
    inner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan_of(part: Any) -> Any:
        tree = parse_query(serialize_query(X.select(v=pl.col("l").list.eval(pl.element() + 1))))
        tree["Select"]["expr"][0]["Alias"][0]["Eval"]["evaluation"] = part
        return tree

    # A selector, or a frame, inside of what isn't understood makes the operator one that isn't either.
    monkeypatch.setattr("tidemill.analysis.query.operator.node_schema", lambda _: {"v": pl.Int64()})
    found, plan = relation(plan_of(inner))
    assert is_whole(found, plan, "x")
    other, _ = relation(plan_of({"Column": "b"}))
    assert found.columns["v"].term != other.columns["v"].term


def test_names_that_polars_does_not_give_either_are_not_guessed() -> None:
    frame = X.select(
        pl.lit(pl.Series("w", [1, 2])), A.unique_counts(), pl.corr("a", "b").alias("c")
    )
    found, _ = relation(parse_query(serialize_query(frame)))
    assert list(found.columns) == ["w", "a", "c"]
    tree = parse_query(serialize_query(X.select(A)))
    tree["Select"]["expr"] = [{"Novelty": {}}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidemill.analysis.query.operator.node_schema", lambda _: {"v": pl.Int64()})
        found, plan = relation(tree)
    assert found.open == "the order of select isn't known"
    assert is_whole(found, plan, "x")


@pytest.mark.parametrize(
    "frame",
    [
        X.join(Y, on="a"),
        X.unpivot(["a", "b"], index="s"),
        pl.concat([X, Y], how="diagonal"),
        X.unnest("s"),
        X.select(pl.col("a", "b") + pl.all()),
    ],
)
def test_names_that_polars_would_give_otherwise(
    frame: pl.LazyFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"p": pl.Int64(), "s": pl.String(), "a": pl.Int64(), "b": pl.Int64(), "l": pl.Int64()}
    monkeypatch.setattr("tidemill.analysis.query.operator.node_schema", lambda _: schema)
    found, _ = relation(parse_query(serialize_query(frame)))
    assert list(found.columns) == list(schema)
    assert len({value.reads for value in found.columns.values()}) == 1


def test_an_unpivot_of_no_columns_is_taken_as_a_whole() -> None:
    found, plan = relation(parse_query(serialize_query(X.unpivot(cs.date(), index="a"))))
    assert is_whole(found, plan, "x")
