"""`tidemill contract export` and `import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tidemill as tm
from tests.cli.contract.test_package import declared
from tests.support.commands import tidemill

SHOP = '''\
import polars as pl

import tidemill as tm


class Orders(tm.Contract, version="1.0.0", key=("id",)):
    """One row per order."""

    id = tm.Int64(min=1)
    weight = tm.Float64(nullable=True, unit="kg")

    light = tm.rule(pl.col("weight") < 30, on_fail="warn")


flow = tm.Workflow("shop")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("*.csv")


@flow.ingest
def other() -> tm.Source[Orders]:
    return tm.files("*.csv")
'''

WAREHOUSE = """\
apiVersion: v3.1.0
kind: DataContract
id: 4711
version: 1.0.0
status: draft
schema:
- name: parcels
  description: One row per parcel.
  properties:
  - {name: id, logicalType: integer, primaryKey: true, requird: true}
  - name: weight
    logicalType: number
    quality:
    - {type: sql, query: select 1, mustBe: 0}
- name: empty
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    name = f"shop_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(SHOP)
    (tmp_path / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "{name}:flow"\n')
    (tmp_path / "parcels.yaml").write_text(WAREHOUSE.replace("4711", '"4711"'))
    return tmp_path


def module(here: Path) -> str:
    [file] = here.glob("shop_*.py")
    return file.stem


def test_a_stage_and_a_class_are_exported_alike(here: Path) -> None:
    by_stage = tidemill("contract", "export", "orders", "--format", "odcs")
    by_class = tidemill("contract", "export", f"{module(here)}:Orders")
    assert (by_stage.code, by_stage.err) == (0, "")
    assert by_class.out == by_stage.out
    assert by_stage.out.startswith("apiVersion: v3.1.0\nkind: DataContract\nid: orders\n")


def test_what_is_exported_can_be_imported(here: Path) -> None:
    wrote = tidemill("contract", "export", "orders", "--to", "orders.odcs.yaml")
    assert (wrote.code, wrote.out) == (0, "orders.odcs.yaml\n")
    read = tidemill("contract", "import", "orders.odcs.yaml")
    assert (read.code, read.err) == (0, "")
    again = declared(read.out)
    [before] = tm.read_odcs("orders.odcs.yaml").contracts
    assert tm.diff(again, before).changes == ()
    assert tm.diff(again, before).old == "Orders"


def test_what_contracts_can_not_say_is_listed(here: Path) -> None:
    ended = tidemill("contract", "import", "parcels.yaml")
    assert ended.code == 0
    assert ended.err == "5 parts of parcels.yaml can't be expressed in a contract: see the list\n"
    listed = [
        "id: 4711",
        "status: draft",
        "schema[0].properties[1].quality[0]: type sql",
        "schema[1]: no columns that a contract can express",
        "schema[0].properties[0].requird: not a field of the standard",
    ]
    assert ended.out.endswith(
        "\n".join(["# Not expressed, of parcels.yaml:", *(f"# - {line}" for line in listed)]) + "\n"
    )
    contract = declared(ended.out)
    assert contract.__name__ == "parcels"
    assert contract.__tidemill_contract__.key == ("id",)


def test_as_json(here: Path) -> None:
    ended = tidemill("contract", "import", "parcels.yaml", "--json")
    told = json.loads(ended.out)
    assert (told["schema"], told["file"]) == ("tidemill.contract.import/1", "parcels.yaml")
    assert len(told["unrepresented"]) == 5
    assert declared(told["source"]).__name__ == "parcels"


def test_one_table(here: Path) -> None:
    assert tidemill("contract", "import", "parcels.yaml", "--schema", "parcels").code == 0
    ended = tidemill("contract", "import", "parcels.yaml", "--schema", "parcel")
    assert (ended.code, ended.err) == (
        2,
        "error: parcels.yaml has no schema 'parcel' (did you mean 'parcels'?)\n",
    )


def test_a_document_without_tables_says_so(here: Path) -> None:
    (here / "none.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\n"
    )
    ended = tidemill("contract", "import", "none.yaml")
    assert (ended.code, ended.out) == (0, "# none.yaml describes no table:\n# - id: x\n")
    assert ended.err == "1 part of none.yaml can't be expressed in a contract: see the list\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("order", "did you mean 'orders'"),
        ("nowhere:Orders", "there is no module 'nowhere' in "),
        ("MODULE:Order", "has no contract 'Order' (did you mean 'Orders'?)"),
        ("MODULE:flow", "has no contract 'flow'"),
    ],
)
def test_what_is_not_there_is_named(name: str, told: str, here: Path) -> None:
    ended = tidemill("contract", "export", name.replace("MODULE", module(here)))
    assert ended.code == 2
    assert told in ended.err


@pytest.mark.parametrize(
    ("text", "kind"),
    [("import nothing_like_that", "ModuleNotFoundError"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_module_that_can_not_be_imported(text: str, kind: str, here: Path) -> None:
    (here / "broken_here.py").write_text(f"{text}\n")
    ended = tidemill("contract", "export", "broken_here:Orders")
    assert ended.code == 1
    assert f"error: broken_here can't be imported: it raised {kind}" in ended.err
    assert f"line 1, in <module>\n    {text}\n" in ended.err


def test_a_stage_without_a_table_has_no_contract(fresh: Path) -> None:
    ended = tidemill("contract", "export", "demand")
    assert (ended.code, ended.err) == (2, "error: demand has no contract: it makes no table\n")


def test_files_that_can_not_be_written_or_read(here: Path) -> None:
    ended = tidemill("contract", "export", "orders", "--to", "missing/orders.yaml")
    assert (ended.code, "can't write missing/orders.yaml: No such file" in ended.err) == (1, True)
    ended = tidemill("contract", "import", "missing.yaml")
    assert (ended.code, "can't read missing.yaml" in ended.err) == (1, True)
