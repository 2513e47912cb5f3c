"""The codes of a Categorical are found wherever they are taken; those of an Enum are fixed."""

from __future__ import annotations

import polars as pl
import polars.selectors as cs
import pytest

from tests.behaviour.query.test_mutations import quiet
from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

X = placeholder_frame(
    "x",
    {
        "c": pl.Categorical(),
        "e": pl.Enum(["a", "b"]),
        "s": pl.String(),
        "n": pl.Int64(),
        "lc": pl.List(pl.Categorical()),
        "le": pl.List(pl.Enum(["a"])),
    },
)
Y = placeholder_frame("y", {"c": pl.Enum(["a"]), "k": pl.Categorical()})
C, E, S = pl.col("c"), pl.col("e"), pl.col("s")
TEXTS = pl.LazyFrame({"c": ["Categorical ToPhysical Physical"]})


@pytest.mark.parametrize(
    ("frame", "columns"),
    [
        (X.select(C.to_physical()), ["c"]),
        (X.select(C.cat.physical()), ["c"]),
        (X.select(v=pl.when(E == "a").then(C).otherwise(None).to_physical() + 1), ["c, e"]),
        (X.filter(C.to_physical() > 1).select("n"), ["c"]),
        (X.with_columns(v=C.to_physical().sum().over("e")), ["c"]),
        (X.group_by("e").agg(C.to_physical().max()), ["c"]),
        (X.sort(C.to_physical()).select("n"), ["c"]),
        (X.select(cs.categorical().to_physical()), ["an expression"]),
        (X.select(S.cast(pl.Categorical).to_physical()), ["s"]),
        # Further down, under other columns of the name.
        (X.select("n", v=C.to_physical()).select(c="v").filter(C > 1), ["c"]),
        (X.rename({"c": "d"}).with_columns(c="s").select(pl.col("d").to_physical()), ["d"]),
        (X.join(Y, left_on=C.to_physical(), right_on=pl.col("k").to_physical()), ["c", "k"]),
        # Of two columns of the name, one is an Enum.
        (Y.join(X, left_on=C.to_physical(), right_on=C.to_physical()), ["c"]),
        # Elements are seen by nobody: a list of Categoricals may be what they are of.
        (X.select(pl.col("lc").list.eval(pl.element().to_physical())), ["an expression"]),
    ],
)
def test_codes_of_a_categorical_are_found(frame: pl.LazyFrame, columns: list[str]) -> None:
    with quiet():
        hits = query_digests(frame).opaque_parts
    assert [(hit.kind, hit.name) for hit in hits] == [("codes", name) for name in columns]


@pytest.mark.parametrize(
    "frame",
    [
        X.select(E.to_physical()),
        X.select(C.cast(pl.String).cast(pl.Enum(["a", "b"])).to_physical()),
        X.select(cs.enum().to_physical(), "c"),
        X.select(pl.col("n").to_physical(), C),
        Y.select(C.to_physical()),
        Y.select(C, pl.col("k").cast(pl.String)),
        TEXTS,
    ],
)
def test_other_codes_are_not(frame: pl.LazyFrame) -> None:
    with quiet():
        assert query_digests(frame).opaque_parts == ()
