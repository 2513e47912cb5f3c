"""What is published of a query equals what the query gives, whatever happened to its rows before."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.servers import (
    DuckShop,
    EngineShop,
    PostgresShop,
    Shop,
    SqliteShop,
    fill,
    postgres_server,
    put,
)
from tests.support.tables import bodies
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Before, Tides, day
from tidemill.core.errors import DeclarationError
from tidemill.ledger.event import SourceSeen
from tidemill.planning.plan import Step

ROWS = [(day(n), n * 10 + i, float(i), 1) for n in range(4) for i in range(3)]
QUERY = "SELECT day, id, value, version FROM raw"
Open = Callable[[], tuple[Shop, Tides]]


def asking(url: str, query: str = QUERY, cursor: str = "version", engine: str | None = None) -> str:
    source = (
        f"tm.sql({query!r}, {url!r}, cursor={cursor!r}, engine={engine!r}, on_missing='remove')"
    )
    return CHAIN.replace('tm.files("data/*.parquet")', source)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


KEEPING = ["sqlite", "postgres"]
ENGINES = {"duckdb": DuckShop, "connectorx": EngineShop}


@pytest.fixture(params=[*KEEPING, *ENGINES])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Shop, Tides]:
    """A shop with four days, and a project that reads it."""
    shop: Shop
    if request.param == "sqlite":
        shop = SqliteShop(tmp_path)
    elif request.param in ENGINES:
        shop = ENGINES[request.param](tmp_path)
    else:
        name = f"s{abs(hash(request.node.name))}"
        shop = PostgresShop(request.getfixturevalue("server"), name)
    fill(shop, ROWS)
    return shop, Tides(tmp_path, asking(shop.url, engine=shop.engine))


def given_now(shop: Shop) -> list[tuple[Any, ...]]:
    """What the contract keeps of a full read."""
    rows = shop.all("SELECT day, id, value FROM raw")
    return sorted((str(day), id_, value) for day, id_, value in rows)


def published(tides: Tides) -> list[tuple[Any, ...]]:
    rows = tides.read("raw").rows()
    return sorted((str(day), id_, value) for day, id_, value in rows)


def raw(done: dict[str, list[str]]) -> list[str]:
    return done.get("ok run raw", [])


class TestChanges:
    def test_nothing_changed(self, opened: tuple[Shop, Tides]) -> None:
        shop, tides = opened
        assert raw(tides.ok()) == [day(n) for n in range(4)]
        assert published(tides) == given_now(shop)
        assert tides.ok() == {}

    @pytest.mark.parametrize(
        ("change", "days"),
        [
            ("UPDATE raw SET value = 9, version = 2 WHERE id = 11", [1]),
            # Three days late, and with a version that others have had long since.
            ("INSERT INTO raw VALUES ('2024-03-01', 7, 1.5, 0)", [0]),
            ("DELETE FROM raw WHERE id = 20", [2]),
            # One goes and another one comes: neither the number of rows nor any version tells.
            ("UPDATE raw SET id = 8 WHERE id = 1", [0]),
            ("UPDATE raw SET day = '2024-03-02', version = 2 WHERE id = 1", [0, 1]),
            ("INSERT INTO raw VALUES ('2024-03-09', 99, 1.5, 1)", [8]),
        ],
    )
    def test_only_partitions_with_changes_run(
        self, opened: tuple[Shop, Tides], change: str, days: list[int]
    ) -> None:
        shop, tides = opened
        tides.ok()
        shop.do(change)
        assert raw(tides.ok()) == [day(n) for n in days]
        assert published(tides) == given_now(shop)

    def test_a_day_without_rows_is_removed(self, opened: tuple[Shop, Tides]) -> None:
        shop, tides = opened
        tides.ok()
        shop.do("DELETE FROM raw WHERE day = '2024-03-03'")
        assert tides.ok()["ok remove raw"] == [day(2)]
        assert published(tides) == given_now(shop)

    def test_a_table_without_rows_is_a_mistake(self, opened: tuple[Shop, Tides]) -> None:
        shop, tides = opened
        tides.ok()
        shop.do("DELETE FROM raw")
        receipt = tides.run()
        assert receipt.exit_code == 1
        assert "returns no rows" in receipt.messages[0]
        assert len(published(tides)) == len(ROWS)

    def test_without_a_cursor_every_column_tells(self, opened: tuple[Shop, Tides]) -> None:
        shop, tides = opened
        tides.edit("cursor='version'", "cursor=''")
        tides.edit('key=("day", "id")):', 'key=("day", "id"), unknown_columns="drop"):')
        tides.ok()
        shop.do("UPDATE raw SET value = 9 WHERE id = 11")
        assert raw(tides.ok()) == [day(1)]
        assert published(tides) == given_now(shop)

    def test_environments_remember_on_their_own(self, opened: tuple[Shop, Tides]) -> None:
        shop, tides = opened
        tides.ok()
        shop.do("UPDATE raw SET value = 9, version = 2 WHERE id = 11")
        seen = [e for e in tides.events("SourceSeen") if isinstance(e, SourceSeen)]
        assert [len(event.files) for event in seen] == [4]
        assert raw(tides.ok()) == [day(1)]
        seen = [e for e in tides.events("SourceSeen") if isinstance(e, SourceSeen)]
        assert [len(event.files) for event in seen] == [4, 1]


class TestMoment:
    @pytest.mark.parametrize("opened", KEEPING, indirect=True)
    def test_all_is_read_as_it_was_when_the_run_was_planned(
        self, opened: tuple[Shop, Tides]
    ) -> None:
        shop, tides = opened
        before = given_now(shop)

        def change(done: int, step: Step) -> None:
            if done == 0:
                shop.do("UPDATE raw SET value = 9, version = 2")
                shop.do("DELETE FROM raw WHERE id = 30")

        receipt = tides.run(progress=Before(change))
        assert (receipt.exit_code, receipt.messages) == (0, ())
        assert published(tides) == before
        tides.ok()
        assert published(tides) == given_now(shop)

    @pytest.mark.parametrize("opened", ENGINES, indirect=True)
    def test_what_changed_since_the_plan_is_refused(self, opened: tuple[Shop, Tides]) -> None:
        shop, tides = opened

        def change(done: int, step: Step) -> None:
            if done == 0:
                shop.do("UPDATE raw SET value = 9, version = 2 WHERE id = 30")

        (message,) = tides.run(progress=Before(change)).messages
        assert message.endswith(f" {day(3)} changed during this run; run again")
        tides.ok()
        assert published(tides) == given_now(shop)

    def test_a_file_that_would_hold_up_its_writers_is_read_as_it_comes(
        self, tmp_path: Path
    ) -> None:
        shop = SqliteShop(tmp_path, "delete")
        fill(shop, ROWS)
        tides = Tides(tmp_path, asking(shop.url))

        def change(done: int, step: Step) -> None:
            if done == 0:
                shop.do("UPDATE raw SET value = 9, version = 2 WHERE id = 30")

        receipt = tides.run(progress=Before(change))
        assert receipt.messages == (
            f"raw {day(3)}: sqlite:///shop.db {day(3)} changed during this run; run again",
        )
        tides.ok()
        assert published(tides) == given_now(shop)


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)),
        st.tuples(st.just("move"), st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)),
        st.tuples(st.just("drop"), st.just(0), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("read"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@thorough
@settings(max_examples=examples(12, 30))
@given(CHANGES, st.sampled_from(["", "version"]))
def test_whatever_happened_a_full_read_says_the_same(
    changes: list[tuple[str, int, int, int]], cursor: str
) -> None:
    with TemporaryDirectory() as folder:
        shop = SqliteShop(Path(folder))
        fill(shop, [(day(5), 99, 0.0, 0)])
        text = asking(shop.url, cursor=cursor).replace(
            'key=("day", "id")):', 'key=("day", "id"), unknown_columns="drop"):', 1
        )
        tides = Tides(Path(folder), text)
        before: dict[str, list[Any]] = {}
        for version, (what, number, id_, value) in enumerate([*changes, ("read", 0, 0, 0)], 1):
            match what:
                case "put":
                    # Also with versions smaller than those that were read, as late rows have them.
                    shop.do("DELETE FROM raw WHERE id = ?", id_)
                    put(shop, day(number), id_, float(value), 1000 - version)
                case "move":
                    shop.do(
                        "UPDATE raw SET day = ?, value = ?, version = ? WHERE id = ?",
                        *(day(number), float(value), version, id_),
                    )
                case "drop":
                    shop.do("DELETE FROM raw WHERE id = ?", id_)
                case _:
                    ran = raw(tides.ok("raw"))
                    assert published(tides) == given_now(shop)
                    now = _by_day(given_now(shop))
                    changed = [key for key in now if now[key] != before.get(key)]
                    # A row may have been written again as it was.
                    assert set(changed) <= set(ran)
                    before = now


def _by_day(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for key, *rest in rows:
        found.setdefault(key, []).append(rest)
    return found


class TestFaults:
    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("SELECT day, id, version FROM raw", "has no column 'value' of contract Raw"),
            ("SELECT day, id, value FROM raw", "has no column 'version', its cursor"),
            ("SELECT *, value AS id FROM raw", "has more than one column 'id'"),
            ("SELECT * FROM rav", "can't be read: no such table: rav"),
            (
                "SELECT day, id, value, nullif(version, 1) AS version FROM raw",
                "the cursor version is null in a row",
            ),
        ],
    )
    def test_a_query_that_doesnt_fit(self, tmp_path: Path, query: str, says: str) -> None:
        fill(SqliteShop(tmp_path), ROWS)
        tides = Tides(tmp_path, asking("sqlite:///shop.db", query))
        receipt = tides.run()
        assert receipt.exit_code == 1
        assert says in receipt.messages[0]

    @pytest.mark.parametrize(
        ("url", "engine", "module", "says"),
        [
            ("duckdb:///a.db", None, "adbc_driver_duckdb", "pip install 'tidemill[duckdb]'"),
            (
                "snowflake://me:sesame@host/shop",
                "adbc",
                "adbc_driver_snowflake",
                "pip install 'tidemill[adbc]' adbc-driver-snowflake",
            ),
            ("mysql://me:sesame@host/shop", None, "connectorx", "'tidemill[connectorx]'"),
        ],
    )
    def test_without_the_driver_of_an_engine(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        url: str,
        engine: str | None,
        module: str,
        says: str,
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        (message,) = Tides(tmp_path, asking(url, engine=engine)).run().messages
        assert f"needs {module}" in message
        assert message.endswith(says)
        assert "sesame" not in message

    @pytest.mark.parametrize(
        ("url", "engine"), [("duckdb:///none.db", None), ("sqlite:///none.db", "connectorx")]
    )
    def test_a_file_that_an_engine_would_make(
        self, tmp_path: Path, url: str, engine: str | None
    ) -> None:
        (message,) = Tides(tmp_path, asking(url, engine=engine)).run().messages
        assert f"{url}: there is no file" in message
        assert not (tmp_path / "none.db").exists()

    def test_a_query_that_an_engine_refuses(self, tmp_path: Path) -> None:
        fill(DuckShop(tmp_path), ROWS)
        text = asking("duckdb:///shop.duckdb", "SELECT * FROM rav")
        (message,) = Tides(tmp_path, text).run().messages
        assert "duckdb:///shop.duckdb can't be read" in message
        assert "rav" in message

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("sqlite:///none.db", "sqlite:///none.db: there is no file"),
            ("env:TIDEMILL_NO_SUCH", "the environment variable TIDEMILL_NO_SUCH isn't set"),
        ],
    )
    def test_a_database_that_isnt_there(self, tmp_path: Path, url: str, says: str) -> None:
        receipt = Tides(tmp_path, asking(url)).run()
        assert receipt.exit_code == 1
        assert says in receipt.messages[0]

    def test_a_malformed_url_is_refused_before_the_run(self, tmp_path: Path) -> None:
        with pytest.raises(DeclarationError, match="percent-encode") as refused:
            Tides(tmp_path, asking("postgresql://[me:sesame")).run()
        assert "sesame" not in str(refused.value)

    def test_an_address_from_the_environment_that_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_URL", "oracle://me:sesame@host/shop")
        (message,) = Tides(tmp_path, asking("env:SHOP_URL")).run().messages
        assert "begins with none of sqlite, postgresql" in message

    def test_a_server_that_isnt_there(self, tmp_path: Path) -> None:
        url = "postgresql://me:sesame@127.0.0.1:1/shop?sslpassword=opensesame"
        (message,) = Tides(tmp_path, asking(url)).run().messages
        assert "postgresql://127.0.0.1:1/shop can't be read: connection failed" in message
        assert "sesame" not in message

    def test_without_the_driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
        (message,) = Tides(tmp_path, asking("postgresql://host/shop")).run().messages
        assert message.endswith("pip install 'tidemill[postgres]'")

    def test_partitions_by_what_has_no_order(self, tmp_path: Path, server: str) -> None:
        query = "SELECT array[1] AS day, 1 AS id, 1.0 AS value, 1 AS version"
        (message,) = Tides(tmp_path, asking(server, query)).run().messages
        assert "day has lists or documents" in message


def test_no_password_is_kept_or_shown(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = PostgresShop(server, "secrets")
    fill(shop, ROWS)
    monkeypatch.setenv("SHOP_URL", shop.url.replace("tester@", "tester:sesame@"))
    tides = Tides(tmp_path, asking("env:SHOP_URL"))
    tides.ok()
    tides.edit("FROM raw", "FROM rav")
    receipt = tides.run()
    assert receipt.exit_code == 1
    assert "sesame" not in "".join(receipt.messages)
    kept = [path for path in (tmp_path / ".tidemill").rglob("*") if path.is_file()]
    assert [path for path in kept if b"sesame" in path.read_bytes()] == []
    assert [path for path in kept if b"tester" in path.read_bytes()] == []
    recorded = "".join(bodies(tmp_path / ".tidemill" / "ledger.db"))
    assert "sesame" not in recorded
    assert "tester" not in recorded


CUTS = """
import tidemill as tm


class Whole(tm.Contract, key=("id",)):
    id = tm.Int64()
    what = tm.String()


class Named(tm.Contract, key=("id",)):
    kind = tm.String(partition="value")
    id = tm.Int64()


class Timed(tm.Contract, key=("id",), unknown_columns="drop"):
    at = tm.Datetime(time_zone="UTC", partition="1h")
    id = tm.Int64(max=3)
    price = tm.Decimal(8, 2, nullable=True)
    code = tm.String(nullable=True)


flow = tm.Workflow("tides")
URL = "{url}"


@flow.ingest
def whole() -> tm.Source[Whole]:
    return tm.sql("SELECT id, kind AS what, at FROM things", URL, cursor="at", on_missing="remove")


@flow.ingest
def named() -> tm.Source[Named]:
    return tm.sql("SELECT id, kind FROM things", URL, on_missing="remove")


@flow.ingest
def timed() -> tm.Source[Timed]:
    return tm.sql("SELECT id, at, price, code, kind FROM things", URL, cursor="at", on_missing="remove")
"""


def test_every_cut_and_type_of_an_engine(tmp_path: Path) -> None:
    shop = DuckShop(tmp_path)
    shop.do(
        "CREATE TABLE things (id INT, kind TEXT, moment TIMESTAMPTZ, price DECIMAL(8, 2), code UUID)"
    )
    code = "00000000-0000-0000-0000-00000000000a"
    for id_, kind, at in [(1, "a", 1), (2, "b", 1), (3, "b", 2), (4, "Ä", 2)]:
        moment = datetime(2024, 3, 1, at, 30, tzinfo=UTC)
        shop.do("INSERT INTO things VALUES (?, ?, ?, 1.50, ?)", id_, kind, moment, code)
    tides = Tides(tmp_path, re.sub(r"\bat\b", "moment", CUTS).replace("{url}", shop.url))
    assert tides.run().messages == ()
    assert tides.published() == {
        "whole": ["all"],
        "named": ["a", "b", "Ä"],
        "timed": ["2024-03-01T01", "2024-03-01T02"],
    }
    assert tides.read("timed")["code"].to_list() == [code] * 3
    assert tides.read("timed")["price"].dtype == pl.Decimal(8, 2)
    shop.do("UPDATE things SET kind = 'c', moment = moment + INTERVAL 1 SECOND WHERE id = 2")
    assert tides.ok() == {
        "ok run whole": ["all"],
        "ok run named": ["b", "c"],
        "ok run timed": ["2024-03-01T01"],
    }


def test_every_cut_and_type(tmp_path: Path, server: str) -> None:
    shop = PostgresShop(server, "cuts")
    shop.do(
        "CREATE TABLE things (id INT, kind TEXT, at TIMESTAMPTZ, price NUMERIC(8, 2), code UUID)"
    )
    code = "00000000-0000-0000-0000-00000000000a"
    for id_, kind, at in [(1, "a", 1), (2, "b", 1), (3, "b", 2), (4, "Ä", 2)]:
        moment = datetime(2024, 3, 1, at, 30, tzinfo=UTC)
        shop.do("INSERT INTO things VALUES (%s, %s, %s, 1.50, %s)", id_, kind, moment, code)
    tides = Tides(tmp_path, CUTS.replace("{url}", shop.url))
    receipt = tides.run()
    assert (receipt.exit_code, receipt.messages) == (0, ())
    assert tides.published() == {
        "whole": ["all"],
        "named": ["a", "b", "Ä"],
        "timed": ["2024-03-01T01", "2024-03-01T02"],
    }
    timed = tides.read("timed").sort("id")
    assert timed["code"].to_list() == [code] * 3
    assert timed["price"].dtype == pl.Decimal(8, 2)
    # Rows that don't pass are kept as they came.
    assert tides.quarantined("timed")["kind"].to_list() == ["Ä"]
    shop.do("UPDATE things SET kind = 'c', at = at + interval '1 s' WHERE id = 2")
    assert tides.ok() == {
        "ok run whole": ["all"],
        "ok run named": ["b", "c"],
        "ok run timed": ["2024-03-01T01"],
    }


def test_values_of_several_types_and_rows_without_a_day(tmp_path: Path) -> None:
    # SQLite keeps what it is given, whatever the column says.
    shop = SqliteShop(tmp_path)
    fill(shop, [*ROWS, (None, 50, 1.0, 1), ("soon", 51, 1.0, 1), (day(0), "52", "1.5", 1)])
    tides = Tides(tmp_path, asking(shop.url))
    tides.ok()
    assert tides.published()["raw"] == ["(none)", *(day(n) for n in range(4))]
    assert sorted(tides.quarantined("raw")["id"]) == [50, 51]
    assert tides.read("raw", day(0)).filter(id=52)["value"].to_list() == [1.5]


def test_one_step_is_tried_alone(tmp_path: Path) -> None:
    fill(SqliteShop(tmp_path), ROWS)
    project = Tides(tmp_path, asking("sqlite:///shop.db")).open()
    try:
        trial = project.debug("raw", day(1))
    finally:
        project.close()
    assert trial.rows["day"].unique().to_list() == [date(2024, 3, 2)]


def test_check_tells_what_is_wrong_with_a_source(tmp_path: Path) -> None:
    text = asking("sqlite:///", "DROP TABLE raw")
    project = Tides(tmp_path, text).open()
    with pytest.raises(DeclarationError) as caught:
        project.check()
    first, second = caught.value.faults
    assert first.message == "the query begins with 'DROP'"
    assert "tides.py" in first.where
    assert second.message == "the URL sqlite: names no database"
