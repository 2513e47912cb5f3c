"""`tidemill contract diff`: contracts of stages, of then, of classes and of files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill

TWO = """\
apiVersion: v3.1.0
kind: DataContract
id: x
version: 1.0.0
schema:
- {name: one, properties: [{name: a, logicalType: integer}]}
- {name: two, properties: [{name: a, logicalType: number}]}
"""


def test_a_stage_and_what_it_was(committed: Path) -> None:
    edit(committed / "bakery.py", "sold = tm.Int64(min=0,", "sold = tm.Int64(nullable=True, min=0,")
    ended = tidemill("contract", "diff", "sales@HEAD", "sales")
    assert (ended.code, ended.err) == (0, "")
    head, change, note = ended.out.splitlines()
    assert head.split("  ")[0] == "sales: Sales 1.0.0 -> 1.0.0"
    assert change.split("  ")[1].strip() == "sold: nullable no -> yes"
    assert change.endswith("loosens    labels: may break (reads sold)")
    assert note == "- Sales changed but is still 1.0.0: make it 1.1.0"
    # The other way round it is what an edit would undo.
    back = tidemill("contract", "diff", "sales", "sales@HEAD").out
    assert "sold: nullable yes -> no" in back


def test_a_version_that_fell_fails(committed: Path) -> None:
    edit(
        committed / "bakery.py",
        'Sales(tm.Contract, version="1.0.0"',
        'Sales(tm.Contract, version="0.9.0"',
    )
    ended = tidemill("contract", "diff", "sales@HEAD", "sales")
    assert ended.code == 3
    assert "- Sales 1.0.0 -> 0.9.0: the version decreased; raise it" in ended.out


def test_what_did_not_change(committed: Path) -> None:
    ended = tidemill("contract", "diff", "sales@HEAD", "bakery:Sales")
    assert (ended.code, ended.out) == (0, "Sales 1.0.0 -> 1.0.0: no changes\n")


def test_a_stage_that_is_no_more_has_no_readers(committed: Path) -> None:
    file = committed / "bakery.py"
    text = file.read_text(encoding="utf-8")
    # The stage and the parameter that reads it, not the folder of its files.
    file.write_text(re.sub(r"\bweather\b(?=[(:,])", "skies", text), encoding="utf-8")
    ended = tidemill("contract", "diff", "weather@HEAD", "bakery:Sales")
    assert "column removed" in ended.out, ended.err
    assert "broken" not in ended.out


def test_a_file_and_a_class(fresh: Path) -> None:
    assert tidemill("contract", "export", "sales", "--to", "sales.odcs.yaml").code == 0
    same = tidemill("contract", "diff", "sales.odcs.yaml", "bakery:Sales")
    assert (same.code, same.out, same.err) == (0, "Sales 1.0.0 -> 1.0.0: no changes\n", "")
    file = fresh / "sales.odcs.yaml"
    told = (
        file.read_text()
        .replace("version: 1.0.0", "version: 0.9.0")
        .replace("minimum: 0", "minimum: 1")
    )
    file.write_text(told)
    ended = tidemill("contract", "diff", "bakery:Sales", "sales.odcs.yaml")
    assert ended.code == 3
    assert "sold: min 0 -> 1" in ended.out
    assert "- Sales 1.0.0 -> 0.9.0: the version decreased; raise it" in ended.out


def test_as_a_document(fresh: Path) -> None:
    (fresh / "two.yaml").write_text(TWO)
    found = tidemill("contract", "diff", "two.yaml#one", "two.yaml#two", "--json").document
    [change] = [c for c in found["review"]["diff"]["changes"] if c["about"] == "a"]
    assert (found["schema"], change["words"]) == (
        "tidemill.contract.diff/1",
        "type Int64 -> Float64",
    )


def test_parts_that_are_not_compared_are_told(fresh: Path) -> None:
    (fresh / "two.yaml").write_text(TWO + "tenant: t\n")
    ended = tidemill("contract", "diff", "two.yaml#one", "two.yaml#one")
    parts = "2 parts of two.yaml can't be expressed in a contract, and aren't compared: "
    assert ended.err == f"{parts}tidemill contract import two.yaml\n" * 2
    (fresh / "two.yaml").write_text(TWO)
    assert tidemill("contract", "diff", "two.yaml#one", "sales").err.startswith(
        "1 part of two.yaml can't"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("two.yaml", "two.yaml has 2 tables: say two.yaml#NAME (one, two)"),
        ("none.yaml", "none.yaml has 0 tables: say none.yaml#NAME (none)"),
        ("two.yaml#tow", "two.yaml has no schema 'tow' (did you mean 'two'?)"),
        ("sale", "did you mean 'sales'"),
        ("sale@HEAD", "at HEAD no stage 'sale' has a contract (did you mean 'sales'?)"),
        ("sales@nowhere", "there is no commit 'nowhere'"),
        ("bakery:Sale", "bakery has no contract 'Sale' (did you mean 'Sales'?)"),
    ],
)
def test_what_is_not_there_is_named(name: str, told: str, committed: Path) -> None:
    (committed / "two.yaml").write_text(TWO)
    (committed / "none.yaml").write_text(TWO.partition("schema:")[0])
    ended = tidemill("contract", "diff", name, "sales")
    assert ended.code == 2
    assert told in ended.err
