"""`tm.read_odcs` and `tm.write_odcs`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import tidemill as tm


class Orders(tm.Contract, version="1.0.0", key=("id",)):
    """One row per order."""

    id = tm.Int64(min=1)
    size = tm.Rows(min=100, max=120)


def test_a_contract_goes_into_a_file_and_comes_out(tmp_path: Path) -> None:
    file = tmp_path / "orders.odcs.yaml"
    text = tm.write_odcs(Orders, file)
    assert file.read_text(encoding="utf-8") == text
    assert "mustBeBetween:\n    - 100\n    - 120\n" in text
    found = tm.read_odcs(file)
    assert found.unrepresented == ()
    [spec] = found.contracts
    assert spec.place == f"{file}: schema[0]"
    assert replace(spec, place=Orders.__tidemill_contract__.place) == Orders.__tidemill_contract__
    # What was read can be written, too.
    assert tm.write_odcs(spec) == text


def test_what_can_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(tm.TidemillError, match=r"can't write .*none/orders\.yaml: No such file"):
        tm.write_odcs(Orders, tmp_path / "none" / "orders.yaml")


def test_fields_that_the_standard_does_not_have_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "orders.odcs.yaml"
    file.write_text(tm.write_odcs(Orders).replace("required:", "requird:"), encoding="utf-8")
    assert tm.read_odcs(str(file)).unrepresented == (
        "schema[0].properties[0].requird: not a field of the standard",
    )
