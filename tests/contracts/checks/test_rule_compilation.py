"""Find all rules that can't be evaluated, without data."""

from __future__ import annotations

import polars as pl
import pytest
from polars.exceptions import ComputeError

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks import row_rules as rules
from tidemill.contracts.checks.rule_compilation import compile_faults
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import rule


class Sound(DeclaredContract, key=("id",)):
    id = tm.Int64(min=1, partition="value")
    text = tm.String(regex="^a")
    longer = rule(pl.col("text").str.len_chars() > 1)


class Broken(DeclaredContract, key=("id",)):
    id = tm.Int64(isin=["one"], partition="value")
    text = tm.String(regex="(?=a)b")
    fine = tm.String()
    missing = rule(pl.col("txt") != "")
    typed = rule(pl.col("id").str.len_chars() > 1)
    fits = rule(pl.col("fine") != "")
    other = rule(pl.col("fine").str.len_chars())


def test_a_sound_contract_has_no_faults() -> None:
    assert compile_faults(Sound.__tidemill_contract__) == []


def test_every_fault_is_told_with_its_place() -> None:
    spec = Broken.__tidemill_contract__
    faults = compile_faults(spec)
    assert [fault.message.partition(" of contract")[0] for fault in faults] == [
        "rule id.isin",
        "rule text.regex",
        "rule missing",
        "rule typed",
        "rule other",
    ]
    assert {fault.where for fault in faults} == {spec.place}
    assert "did you mean 'text'?" in str(faults[2])
    assert all(str(fault).count(spec.place) == 1 for fault in faults)


def test_what_fails_only_together_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pl.DataFrame.select

    def together(self: pl.DataFrame, *queries: object) -> pl.DataFrame:
        if not isinstance(queries[0], pl.Expr):
            raise ComputeError("only together")
        return real(self, *queries)  # type: ignore[arg-type]

    monkeypatch.setattr(pl.DataFrame, "select", together)
    with pytest.raises(ComputeError, match="only together"):
        compile_faults(Sound.__tidemill_contract__)


def test_types_that_fail_only_together_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ComputeError("only together")

    monkeypatch.setattr(pl, "DataFrame", fails)
    with pytest.raises(ComputeError, match="only together"):
        rules._schema(Sound.__tidemill_contract__)
