"""Reader options count by their content; golden, for files that were read must not be read again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from tests.behaviour.query.test_mutations import quiet
from tests.support.planning import ingest
from tidemill.core.errors import DeclarationError
from tidemill.sources.reader_digest import reader_digest
from tidemill.workflow.loaders import dbt, dlt
from tidemill.workflow.mlflow_source import mlflow_model
from tidemill.workflow.source import Source, delta, files, iceberg, output, pull, sql

RAW = replace(ingest("raw"), place="flow.py:7")
TYPES = {"a": pl.Int64, "b": pl.Datetime("us", "UTC"), "c": pl.List(pl.Struct({"d": pl.Int8}))}


def digest(**options: Any) -> str:
    return reader_digest(files("a/*.csv", **options), RAW)


def test_golden_digests() -> None:
    assert digest() == "a1a400ea081201b9bd9aec3ce57e549b"
    assert digest(separator=";", null_values=["-"], n_rows=3) == "a23c06862230579779864cd718d135cd"
    assert digest(schema_overrides=TYPES) == "dca4815dd802b97ff1e9c36d5188252d"
    assert digest(schema=pl.Schema({"a": pl.Int64})) == "f83417d5d923fde9b37bf2e8ae2d88e9"


def test_the_digest_is_about_reading() -> None:
    base: Source[Any] = files("a/*.csv", separator=";", null_values="-")
    turned: Source[Any] = files("b/*.csv", null_values="-", separator=";")
    assert reader_digest(base, RAW) == reader_digest(turned, RAW)
    others = {
        digest(separator=";", null_values="-"),
        digest(separator=",", null_values="-"),
        digest(separator=";"),
        digest(format="csv", separator=";", null_values="-"),
        digest(separator=";", null_values={"a": "-"}),
        digest(separator=";", null_values="-", date_format="%Y"),
        digest(separator=";", null_values="-", time_zone="UTC"),
    }
    assert len(others) == 7


def casts(integers: str) -> Any:
    with quiet():
        return pl.ScanCastOptions(integer_cast=integers)  # type: ignore[arg-type]


def shout(columns: list[str]) -> list[str]:
    return [name.upper() for name in columns]


MANY = list(range(500))
# Each differs from every other; a function makes it, so that equal ones are other objects.
OPTIONS: list[Callable[[], Any]] = [
    lambda: "Int64",
    lambda: pl.Int64,
    lambda: ["a"],
    lambda: ("a",),
    lambda: {"a": pl.Int64},
    lambda: {"a": pl.Int32},
    lambda: {"a": "Int64"},
    lambda: OrderedDict({"a": "Int64"}),
    lambda: pl.Schema({"a": pl.Int64}),
    lambda: {"a": pl.Enum(map(str, MANY))},
    lambda: {"a": pl.Enum(map(str, [*MANY[:-1], -1]))},
    lambda: pl.Series("a", MANY),
    lambda: pl.Series("a", [*MANY[:250], -1, *MANY[251:]]),
    lambda: [pl.Series("a", MANY)],
    lambda: casts("upcast"),
    lambda: casts("forbid"),
    lambda: lambda columns: [name.lower() for name in columns],
    lambda: lambda columns: [name.upper() for name in columns],
    lambda: shout,
]


def test_options_that_differ_count_as_other_ones() -> None:
    digests = [digest(option=option()) for option in OPTIONS]
    assert len(set(digests)) == len(OPTIONS)
    assert digests == [digest(option=option()) for option in OPTIONS]


def stamp(columns: list[str]) -> list[str]:
    return [f"{name} {time.time()}" for name in columns]


@pytest.mark.parametrize(
    ("option", "kind", "reason"),
    [
        (threading.Event(), "threading.Event", "option: a value of type threading.Event can't be"),
        (pl.LazyFrame(), "polars.lazyframe.frame.LazyFrame", "a LazyFrame is read when it runs"),
        (stamp, "builtins.function", "it depends on time.time (test_reader_digest.py:"),
        ({"a": (x for x in "ab")}, "builtins.dict", "a value of type builtins.generator can't be"),
    ],
)
def test_an_option_that_can_not_be_told_is_refused(option: Any, kind: str, reason: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        digest(option=option)
    (fault,) = caught.value.faults
    start = f"ingest 'raw': its option option (of type {kind}) can't be fingerprinted: "
    assert fault.message.startswith(start)
    assert reason in fault.message
    assert fault.where == "flow.py:7"
    assert fault.hint.startswith("pass numbers, text, lists, dicts, Polars types, or functions")


def test_what_is_read_of_a_database_and_of_a_project() -> None:
    query = reader_digest(sql("SELECT 1", "sqlite:///a.db", cursor="at"), RAW)
    assert query == "3fc3834a783eafa8c8a38a9a5aee7eb0"
    # Where it is counts by what is read there, so that no password is part of a recipe.
    assert query == reader_digest(sql("SELECT 1", "env:SHOP", cursor="at"), RAW)
    others: list[Source[Any]] = [
        sql("SELECT 1", "sqlite:///a.db"),
        sql("SELECT 2", "sqlite:///a.db", cursor="at"),
        sql("SELECT 1", "sqlite:///a.db", cursor="at", engine="adbc"),
    ]
    others += [output("../a", "b"), output("../a", "c"), output("../b", "b")]
    others += [output("../a", "b", env="dev")]
    others += [pull(lambda state: ([], state))]
    others += [delta("lake"), iceberg("lake")]
    assert len({query, *(reader_digest(other, RAW) for other in others)}) == 11


@pytest.mark.parametrize(
    ("source", "known"),
    [
        (sql("select 1", "sqlite:///a.db"), "b7730e261077464e5f56e890462cca39"),
        (
            sql("select 1", "postgresql://h/d", cursor="at", engine="adbc"),
            "a6f3fc4b9cf92ca88e1e914d32c40f18",
        ),
        (output("../shop", "orders"), "ae38f0b71545b8946d44d030f333bb28"),
        (
            output("../shop", "orders", env="dev", workflow="w"),
            "af04fdf8c0457c6c1b6a20bd3f624786",
        ),
        (delta("a", version=3), "855ea2f98ee6ffaf371cd8c045aff975"),
        (iceberg("a.b", catalog="c"), "7fcd683b270dff06980c2e4c701b87da"),
        (pull(lambda state: ([], state)), "f3ea219035558f0c900745a077783b48"),
        (dlt(len, name="orders"), "4d83d998791b605e98f71f1f23c009c3"),
        (dbt("dbt", "orders", "sqlite:///a.db"), "3699b92c2b10dd7c1ee12e33f098d554"),
        (
            dbt("dbt", "orders", "postgresql://h/d", cursor="at", engine="adbc"),
            "01233a2149120520666f8a921638aae4",
        ),
        (mlflow_model("models:/m@live", files="*.txt"), "064a93810da98e23b9e3981960033bdc"),
    ],
)
def test_golden_digests_of_other_sources(source: Source[Any], known: str) -> None:
    assert reader_digest(source, RAW) == known
    assert source.is_pulled == (type(source).__name__ in ("Pull", "Dlt"))


def test_what_is_read_of_loaders() -> None:
    def of_model(model: str = "orders", url: str = "duckdb:///a.db", **more: Any) -> str:
        return reader_digest(dbt("shop", model, url, **more), RAW)

    # The rows of another place are compared; how a function loads only affects what it loads next.
    assert of_model() == of_model(url="duckdb:///b.db", built=False, max_missing=1.0)
    assert len({of_model(), of_model("sales"), of_model(cursor="at"), of_model(engine="adbc")}) == 4
    assert reader_digest(dlt(print), RAW) == reader_digest(dlt(repr, max_missing=1.0), RAW)
    assert reader_digest(dlt(print), RAW) != reader_digest(dlt(print, name="orders"), RAW)
