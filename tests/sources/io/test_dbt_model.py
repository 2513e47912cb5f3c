"""A model of dbt is read from its table if that was built of its code; its rows say what changed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.tides import CHAIN, Tides, day
from tidemill.ledger.event import SourceSeen

READS = CHAIN.replace(
    'tm.files("data/*.parquet")', 'tm.dbt("dbt", "raw", "sqlite:///shop.db", max_missing=1.0)'
)
CODE = "select * from orders\n"
UNIQUE_ID = "model.shop.raw"


class DbtShop:
    """A database with the table of a model, and the files that dbt writes when it builds it."""

    def __init__(self, root: Path) -> None:
        self.tides = Tides(root, READS)
        self.file, self.project = root / "shop.db", root / "dbt"
        self.model = self.project / "models" / "raw.sql"
        self.model.parent.mkdir(parents=True)
        self.model.write_text(CODE)
        (self.project / "dbt_project.yml").write_text("name: shop\n")
        self.seed = self.project / "seeds" / "orders.csv"
        self.seed.parent.mkdir()
        self.seed.write_text("day,id\n")
        self.sql("CREATE TABLE raw (day TEXT, id INTEGER, value REAL)")
        self.build([(0, 1, 1.0), (1, 2, 2.0)])

    def sql(self, statement: str, *rows: tuple[Any, ...]) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.executemany(statement, rows or [()])

    def build(self, rows: list[tuple[int, int, float]], made: str = "2026-03-01T10:00:00Z") -> None:
        """Let the table have these rows, as `dbt build` would."""
        self.sql("DELETE FROM raw")
        self.sql("INSERT INTO raw VALUES (?, ?, ?)", *((day(n), i, v) for n, i, v in rows))
        node: dict[str, Any] = {
            "unique_id": UNIQUE_ID,
            "resource_type": "model",
            "package_name": "shop",
            "name": "raw",
            "relation_name": '"main"."raw"',
            "original_file_path": "models/raw.sql",
            "raw_code": self.model.read_text().strip(),
            "checksum": {"name": "sha256", "checksum": ""},
            "created_at": 0.0,
            "config": {},
        }
        seed = node | {
            "unique_id": "seed.shop.orders",
            "name": "orders",
            "resource_type": "seed",
            "original_file_path": "seeds/orders.csv",
            "raw_code": "",
            "checksum": {"name": "sha256", "checksum": sha256(b"day,id").hexdigest()},
        }
        node["depends_on"] = {"nodes": [seed["unique_id"]]}
        nodes = {UNIQUE_ID: node, seed["unique_id"]: seed}
        self.write("manifest", {"metadata": {"project_name": "shop"}, "nodes": nodes})
        result = {"unique_id": UNIQUE_ID, "status": "success"}
        args = {"which": "build"}
        self.write(
            "run_results",
            {"metadata": {"generated_at": made}, "args": args, "results": [result]},
        )

    def write(self, name: str, content: object) -> None:
        target = self.project / "target"
        target.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (target / f"{name}.json").write_text(text)

    def says(self) -> str:
        """The message of a run that reads nothing, and changes nothing."""
        before = self.tides.published()
        receipt = self.tides.run("raw")
        assert receipt.exit_code == 1
        assert self.tides.published() == before
        return receipt.messages[0]


@pytest.fixture
def shop(tmp_path: Path) -> DbtShop:
    return DbtShop(tmp_path)


def test_only_partitions_with_other_rows_are_read(shop: DbtShop) -> None:
    assert shop.tides.ok("raw")["ok run raw"] == [day(0), day(1)]
    # Built again with the same rows: a later time changes nothing.
    shop.build([(0, 1, 1.0), (1, 2, 2.0)], made="2026-03-02T10:00:00Z")
    assert shop.tides.ok("raw") == {}
    shop.build([(0, 1, 1.0), (1, 2, 2.5), (2, 3, 3.0)])
    assert shop.tides.ok("raw")["ok run raw"] == [day(1), day(2)]
    rows = shop.tides.read("raw").sort("id")["value"].to_list()
    assert rows == [1.0, 2.5, 3.0]


def test_the_ledger_names_the_model(shop: DbtShop) -> None:
    shop.tides.ok("raw")
    (event,) = shop.tides.events("SourceSeen")
    assert isinstance(event, SourceSeen)
    assert [file.path for file in event.files] == [
        f"dbt {UNIQUE_ID} in sqlite:///shop.db {day(n)}" for n in range(2)
    ]


def test_an_edited_model_is_refused_until_it_is_built(shop: DbtShop) -> None:
    shop.tides.ok("raw")
    shop.model.write_text(CODE.replace("orders", "all_orders"))
    assert f"was edited after dbt {UNIQUE_ID} was built" in shop.says()
    # White space around it isn't code.
    shop.model.write_text(f"\n{CODE}\n")
    assert shop.tides.ok("raw") == {}
    shop.model.unlink()
    assert "the file of dbt model.shop.raw, can't be read" in shop.says()


def test_an_edit_of_what_the_model_reads_is_refused(shop: DbtShop) -> None:
    shop.seed.write_text("day,id\n2026-03-01,1\n")
    assert f"orders.csv was edited after dbt {UNIQUE_ID} was built" in shop.says()


def test_without_the_project_only_what_dbt_wrote_counts(shop: DbtShop) -> None:
    (shop.project / "dbt_project.yml").unlink()
    shop.model.unlink()
    shop.tides.ok("raw")


def test_a_model_that_is_not_built_can_be_read_nevertheless(shop: DbtShop) -> None:
    (shop.project / "target" / "run_results.json").unlink()
    assert "run_results.json can't be read" in shop.says()
    shop.tides.edit("max_missing=1.0", "max_missing=1.0, built=False")
    shop.tides.ok("raw")


@pytest.mark.parametrize(
    ("content", "says"),
    [('{"metadata": {', "isn't JSON"), ("[]", "holds no JSON object")],
)
def test_a_file_that_dbt_did_not_finish_is_named(shop: DbtShop, content: str, says: str) -> None:
    shop.write("manifest", content)
    message = shop.says()
    assert says in message
    assert "manifest.json" in message


def test_a_failed_build_is_refused(shop: DbtShop) -> None:
    path = shop.project / "target" / "run_results.json"
    shop.write("run_results", path.read_text().replace('"success"', '"error"'))
    assert "its status is 'error'" in shop.says()
