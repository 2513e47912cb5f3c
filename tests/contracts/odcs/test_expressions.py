from __future__ import annotations

import json

import polars as pl
import pytest

from tidemill.contracts.odcs.expressions import deserialize, serialize


@pytest.mark.parametrize(
    "expr",
    [
        pl.col("a") > 1,
        pl.col("a").is_in(list(range(100))),
        pl.col("a").mean().over("b") < pl.col("a"),
        pl.col("at").dt.year() == 2026,
        pl.col("s").str.contains("^x") | pl.col("s").is_null(),
    ],
)
def test_an_expression_comes_back(expr: pl.Expr) -> None:
    document = json.loads(json.dumps(serialize(expr)))
    assert deserialize(document).meta.eq(expr)
    assert (document["text"], document["polars"]) == (str(expr), pl.__version__)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_json_cant_represent_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON can't represent all of it"):
        serialize(pl.col("a") < value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "is not JSON from Polars"),
        ("[" * 100_000, "is not JSON from Polars"),
        ('{"Column": "PLPYx"}', "holds code or draws random numbers"),
        (
            pl.col("a").shuffle().meta.serialize(format="json"),
            "holds code or draws random numbers",
        ),
        ('{"Column": 1}', r"was written by Polars 0\.1, and Polars .* can't read it"),
    ],
)
def test_an_expression_that_cant_be_read_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        deserialize({"expression": text, "polars": "0.1"})
