"""Which columns a step computes anew: only those that may change, and all of them where that isn't sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import Rows
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import Grain
from tidemill.ledger.binding import Binding, Product, content_of
from tidemill.reuse.input_contents import (
    Contents,
    ExpectedContent,
    abbreviate_shares,
    column_shares,
    input_digest,
)
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.stale_columns import StaleColumns, narrow_contract, replace_columns
from tidemill.reuse.step_key import key_for
from tidemill.workflow.impure import Impure
from tidemill.workflow.stage import Kind, Stage

NAMES = ("day", "id", "a", "b", "c", "d")
INT = DType("Int64")
SPEC = ContractSpec(
    name="Table",
    version="1",
    columns=(
        Column(name="day", dtype=DType("Date"), partition=Grain("day")),
        *(Column(name=name, dtype=INT) for name in NAMES[1:]),
    ),
    key=("id",),
    rules=(Rule(expr=pl.col("b") < pl.col("c"), name="order"),),
)
RAW = Product(content="raw", objects=("raw.parquet",), columns={"x": "11", "y": "22"}, rows=3)
KNOWN: dict[str, dict[str, Product | str]] = {"raw": {"1": RAW}}
INPUTS: dict[str, Contents] = {"raw": {"1": RAW}}
PARTS = {f"column {name}": f"how {name}" for name in NAMES} | {"contract": "same"}
HELD = Product(
    content="made",
    objects=("old.parquet",),
    columns={name: f"hash {name}" for name in NAMES},
    rowset="rows",
    rows=3,
    bytes=100,
)


def stage(spec: ContractSpec | None = SPEC, kind: Kind = Kind.TRANSFORM) -> Stage:
    return Stage(name="made", kind=kind, function=None, inputs=(), output=spec, place="here")


def recipe(parts: Mapping[str, str], **more: Any) -> Recipe:
    digest = fingerprint("recipe", dict(parts))
    lineage = {name: {"raw": ("x",)} for name in NAMES}
    usual: dict[str, Any] = {"reads": {"raw": ("x",)}, "lineage": lineage, "stable": True}
    return Recipe(digest=digest, parts=dict(parts), **usual | more)


def binding(
    parts: Mapping[str, str] = PARTS,
    inputs: Mapping[str, Mapping[str, Product | str]] = KNOWN,
    reads: tuple[str, ...] = ("x",),
    **more: Any,
) -> Binding:
    shares = {name: column_shares(contents, reads) for name, contents in inputs.items()}
    usual: dict[str, Any] = {
        "key": "key",
        "inputs": {name: input_digest(contents, reads) for name, contents in inputs.items()},
        "seen": {name: abbreviate_shares(share) for name, share in shares.items()},
        "recipe": recipe(parts).digest,
        "contract": "1", "check": "", "product": HELD, "run": "r", "at": 0.0,
    }  # fmt: skip
    return Binding(**usual | more)


def changed(*columns: str) -> dict[str, str]:
    return PARTS | {f"column {name}": f"otherwise {name}" for name in columns}


def anew(
    *columns: str,
    held: Binding | None = None,
    inputs: Mapping[str, Contents] = INPUTS,
    before: Mapping[str, str] = PARTS,
    of: Stage | None = None,
    found: Mapping[str, Contents] = INPUTS,
    **more: Any,
) -> tuple[str, ...]:
    now = recipe(changed(*columns), **more)
    finder, held = StaleColumns(of or stage(), now, before), held or binding()
    columns = finder.find(held, {}, inputs, found)
    # It is the same whether what its step reads is compared by its digest or by its contents.
    assert finder.find(held, key_for(now, "", inputs).inputs, inputs, found) == columns
    return columns


def test_only_what_is_computed_otherwise_is_computed() -> None:
    assert anew("a") == ("a",)
    assert anew("c", "a") == ("a", "c")
    # What a rule takes to judge it is computed with it: that is all that there is.
    assert anew("a", "c", "d") == ()
    assert anew() == ()


@pytest.mark.parametrize("name", ["id", "day"])
def test_another_key_or_partition_is_another_row(name: str) -> None:
    assert anew(name) == anew(name, "a") == ()


def test_only_where_rows_are_sure_to_be_the_same() -> None:
    assert anew("a", of=stage(replace(SPEC, key=()))) == ()
    assert anew("a", of=stage(replace(SPEC, unknown_columns="keep"))) == ()
    assert anew("a", of=stage(replace(SPEC, rows=Rows(vs_last=3, within=0.5)))) == ()
    assert anew("a", of=stage(None)) == ()
    assert anew("a", of=stage(kind=Kind.INGEST)) == ()
    assert anew("a", stable=False) == ()
    assert anew("a", unproven=("it reads the clock",)) == ()
    assert anew("a", lineage={}) == ()
    assert anew("a", held=binding(touched=("the clock",))) == ()


def test_not_where_its_author_says_that_it_comes_out_otherwise() -> None:
    assert anew("a", of=replace(stage(), impure=Impure())) == ()


def test_only_where_what_is_held_was_judged_by_the_same_contract() -> None:
    assert anew("a", held=binding(check="another")) == ()
    assert anew("a", held=binding(check="this"), check="this") == ("a",)


def test_only_where_all_rows_passed() -> None:
    finding = Finding(rule="a.min", severity="warn", rows=1)
    for product in (replace(HELD, quarantined=1), replace(HELD, findings=(finding,))):
        assert anew("a", held=binding(product=product)) == ()


def test_only_when_it_is_known_how_the_rest_was_made() -> None:
    assert anew("a", before={}) == ()
    assert anew("a", before=changed("b")) == ()
    assert anew("a", held=binding(recipe="another")) == ()
    # More than columns changed: the contract, or which columns there are.
    other = PARTS | {"contract": "another"}
    assert anew("a", before=other, held=binding(other)) == ()
    fewer = {name: part for name, part in PARTS.items() if name != "column b"}
    assert anew("a", before=fewer, held=binding(fewer)) == ()
    gone = replace(HELD, columns={n: h for n, h in HELD.columns.items() if n != "a"})
    assert anew("a", held=binding(product=gone)) == ()


def test_only_on_the_same_inputs() -> None:
    other = replace(RAW, columns={"x": "12", "y": "22"})
    assert anew("a", inputs={"raw": {"1": other}}) == ()
    assert anew("a", inputs={"raw": {"1": RAW, "2": RAW}}) == ()
    assert anew("a", inputs={"raw": {"2": RAW}}) == ()
    assert anew("a", inputs={**INPUTS, "more": {"1": RAW}}) == ()
    assert (
        anew("a", inputs={"raw": {"1": ExpectedContent(product=RAW, columns=frozenset("xy"))}})
        == ()
    )
    assert anew("a", inputs={"raw": {"1": None}}) == ()
    # What the columns that stay don't depend on may be another.
    unread = replace(RAW, columns={"x": "11", "y": "99"})
    assert anew("a", inputs={"raw": {"1": unread}}) == ("a",)


# The key is of x, and each other column of one more or of none.
LINEAGE = {
    name: {"raw": ("x", *more)}
    for name, more in {"day": (), "id": (), "a": ("y",), "b": (), "c": ("y", "z"), "d": ()}.items()
}
WIDER = Product(content="raw", objects=("r",), columns={"x": "1", "y": "2", "z": "3"}, rows=3)


def restated(product: Product = WIDER, **columns: str) -> Product:
    return replace(product, content="other", columns=product.columns | columns)


def on(
    *now: Product | str | None,
    then: tuple[Product | str, ...] = (WIDER,),
    found: tuple[Product | str | None, ...] | None = None,
    columns: tuple[str, ...] = (),
    reads: tuple[str, ...] = ("x", "y", "z"),
) -> tuple[str, ...]:
    """The columns that are computed anew where an input was `then` and is `now`, and was last `found`."""
    held = binding(inputs={"raw": {str(at): item for at, item in enumerate(then)}}, reads=reads)
    contents: Contents = {str(at): item for at, item in enumerate(now)}
    was: Contents = {str(at): item for at, item in enumerate(then if found is None else found)}
    return anew(*columns, held=held, inputs={"raw": contents}, found={"raw": was}, lineage=LINEAGE)


def test_what_depends_on_a_column_of_an_input_is_computed() -> None:
    assert on(restated(y="f")) == ("a", "c")
    assert on(restated(z="f")) == ("c",)
    # A rule takes b beside c: with a and d all would be computed.
    assert on(restated(y="f"), columns=("d",)) == ()
    assert on(restated(z="f"), columns=("a",)) == ("a", "c")
    assert on(restated(z="f"), columns=("b",)) == ("b", "c")


def test_what_decides_about_rows_is_of_all_columns() -> None:
    assert on(restated(x="f")) == ()
    assert on(restated(x="f", z="e"), columns=("c",)) == ()


def test_a_column_that_was_not_there_is_another_one() -> None:
    gone = replace(WIDER, columns={"x": "1", "y": "2"})
    assert on(gone) == on(WIDER, then=(gone,)) == ("c",)
    # Not even one that wasn't read then is taken for what it was.
    assert on(restated(y="1", z="1"), reads=("x", "y")) == ("a", "c")


def test_only_where_it_is_known_what_it_was() -> None:
    other = restated(y="f")
    # A run before this one had it otherwise already.
    assert on(other, found=(other,)) == on(other, found=(restated(z="9"),)) == ()
    assert on(other, found=(None,)) == on(other, found=()) == ()
    # What wasn't read then may have been anything.
    assert on(other, found=(restated(z="9"),), reads=("x", "y")) == ("a", "c")
    assert on("a file", then=("another",)) == on(other, then=("a file",)) == ()
    bare = Product(content="scores")
    assert on(bare, then=(WIDER,)) == on(WIDER, then=(bare,)) == ()


def test_only_in_the_same_rows() -> None:
    assert on(replace(restated(y="f"), rows=4)) == ()
    # Partitions that come and go bring and take rows.
    assert on(restated(y="f"), WIDER) == ()
    assert on(restated(y="f"), then=(WIDER, WIDER)) == ()
    assert on(restated(y="f"), WIDER, then=(WIDER, WIDER)) == ("a", "c")
    assert on(restated(y="f"), WIDER, restated(z="0"), then=(WIDER,) * 3) == ("a", "c")


def test_a_column_of_which_nothing_is_known_is_computed() -> None:
    fewer = {name: lineage for name, lineage in LINEAGE.items() if name != "d"}
    assert anew(lineage=fewer) == ("d",)


@given(
    lineage=st.fixed_dictionaries(
        {
            name: st.sets(st.sampled_from("xyz")) if name in "abcd" else st.just(set())
            for name in NAMES
        }
    ),
    others=st.sets(st.sampled_from("xyz"), min_size=1),
    written=st.sets(st.sampled_from("abcd")),
    partitions=st.integers(1, 3),
)
def test_what_is_left_depends_on_nothing_that_changed(
    lineage: dict[str, set[str]], others: set[str], written: set[str], partitions: int
) -> None:
    known: dict[str, Product | str] = {str(at): WIDER for at in range(partitions)}
    now = {**known, "0": restated(WIDER, **dict.fromkeys(others, "f"))}
    held = binding(inputs={"raw": known}, reads=("x", "y", "z"))
    drawn = {name: {"raw": tuple(sorted(reads))} for name, reads in lineage.items()}
    found = anew(*written, held=held, inputs={"raw": now}, found={"raw": known}, lineage=drawn)
    must = {name for name in "abcd" if name in written or lineage[name] & others}
    # All where a rule takes the others along.
    assert set(found) == (
        must if must != set("abcd") and not (must >= set("ad") and must & set("bc")) else set()
    )


@pytest.mark.parametrize("expr", [pl.all_horizontal(pl.all() > 0), pl.lit(True), pl.col("z") > 0])
def test_a_rule_over_whatever_there_is_takes_all_columns(expr: pl.Expr) -> None:
    loose = replace(SPEC, rules=(Rule(expr=expr, name="loose"),))
    assert narrow_contract(loose, ("a",)) is None
    assert anew("a", of=stage(loose)) == ()


def test_a_contract_of_some_columns() -> None:
    alone = narrow_contract(SPEC, ("a",))
    assert alone is not None
    assert (alone.names, alone.rules, alone.key) == (("day", "id", "a"), (), ("id",))
    # What is beside it must be what passed before.
    bound = replace(
        SPEC, columns=tuple(replace(c, max=5) if c.dtype == INT else c for c in SPEC.columns)
    )
    limited = narrow_contract(bound, ("c",))
    assert limited is not None
    assert {column.name: column.max for column in limited.columns} == {
        "day": None, "id": None, "b": None, "c": 5,
    }  # fmt: skip
    coupled = narrow_contract(SPEC, ("c",))
    assert coupled is not None
    assert (coupled.names, coupled.rules) == (("day", "id", "b", "c"), SPEC.rules)


def test_a_part_takes_the_place_of_the_columns_that_it_has() -> None:
    one = replace_columns(HELD, "new.parquet", 7, {"a": "other"})
    assert one is not None
    assert one.columns == HELD.columns | {"a": "other"}
    assert one.content == content_of(one.columns, "rows")
    assert [(part.object, part.columns) for part in one.parts] == [
        ("old.parquet", ("day", "id", "b", "c", "d")),
        ("new.parquet", ("a",)),
    ]
    assert [part.bytes for part in one.parts] == [100, 7]
    assert (one.objects, one.bytes, one.rows) == (("old.parquet", "new.parquet"), 107, 3)
    # An object of which nothing is left isn't needed any more.
    two = replace_columns(one, "newer.parquet", 5, {"a": "again", "c": "too"})
    assert two is not None
    assert (two.objects, two.bytes) == (("old.parquet", "newer.parquet"), 105)
    assert replace_columns(HELD, "old.parquet", 5, {"a": "other"}) is None


@given(edits=st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=1, max_size=12))
def test_however_often_columns_are_made_anew_each_is_in_one_place(edits: list[set[str]]) -> None:
    product = HELD
    for number, names in enumerate(edits):
        hashes = {name: f"hash {name} {number}" for name in sorted(names)}
        after = replace_columns(product, f"{number}.parquet", 1, hashes)
        assert after is not None
        # Parts that don't fit are refused by the product itself.
        for name in NAMES:
            [where] = [part.object for part in after.parts if name in part.columns]
            if name in names:
                assert where == f"{number}.parquet"
        assert after.columns == product.columns | hashes
        product = after


def test_in_too_many_objects_all_is_written_anew() -> None:
    names = tuple(f"c{number}" for number in range(12))
    product = replace(HELD, columns={name: "old" for name in names})
    for number, name in enumerate(names):
        after = replace_columns(product, f"{number}.parquet", 1, {name: "new"})
        assert (after is None) == (number == 7)
        if after is None:
            return
        product = after
