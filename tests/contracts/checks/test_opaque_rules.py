"""Rules that do what their expressions don't tell are faults of their contract."""

from __future__ import annotations

import json
import sys
from typing import Any

import polars as pl
import pytest

from tests.behaviour.query.test_mutations import quiet
from tidemill.contracts.checks.opaque_rules import opaque_rule_faults
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.core.errors import Fault

A = pl.col("a")


def low(value: Any) -> bool:
    return bool(value < 3)


def contract(expression: Any) -> ContractSpec:
    rules = (Rule(expr=A > 0, name="fine"), Rule(expr=expression, name="r"))
    return ContractSpec(name="C", version="1.0.0", columns=(), rules=rules, place="flow.py:7")


def found(expression: Any) -> str:
    """The message of a rule's fault; empty without one."""
    with quiet():
        faults = list(opaque_rule_faults(contract(expression)))
    return faults[0].message.removeprefix("rule r of contract C ") if faults else ""


@pytest.mark.parametrize(
    "expression",
    [
        A > 1,
        A.is_in(list(range(1_000))),
        pl.col("AnonymousFunction") == pl.lit("PLPY cloudpickle FfiPlugin"),
        # A column may be called like an operator.
        A.cast(pl.Struct({"Scan": pl.Int64})).is_null(),
        A.rank() > 1,
        A.rank("random", seed=1) > 1,
        A.shuffle(seed=1) > 1,
        pl.col("l").list.eval(pl.element() > 0).list.all(),
        pl.sql_expr("a > 1"),
    ],
)
def test_what_an_expression_tells_is_fine(expression: pl.Expr) -> None:
    assert found(expression) == ""


def deep() -> pl.Expr:
    expression = A.shuffle() > 0
    for number in range(3_000):
        expression = expression | (number == A)
    return expression


FUNCTIONS = [
    A.map_batches(low, return_dtype=pl.Boolean),
    A.map_elements(low, return_dtype=pl.Boolean),
    A.rolling_map(sum, 2) > 0,
    pl.fold(pl.lit(0), lambda one, other: one + other, [A]) > 0,
    (A > 0).name.map(str.upper),
    pl.col("l").list.eval(pl.element().map_batches(low)).list.all(),
]
PYTHON = "holds a Python function, whose edits can't be detected"


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("expression", FUNCTIONS)
def test_python_functions_are_refused(
    expression: pl.Expr, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With cloudpickle installed, Polars pickles functions, those of modules by name only."""
    import pickle

    # None stands for a module that isn't there.
    monkeypatch.setitem(sys.modules, "cloudpickle", pickle if installed else None)
    assert found(expression) == PYTHON


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (A.shuffle() > 0, "draws random numbers without a seed"),
        (A.sample(2, with_replacement=True) > 0, "draws random numbers without a seed"),
        (A.rank("random") > 0, "draws random numbers without a seed"),
        (pl.col("l").list.sample(1).list.first() > 0, "draws random numbers without a seed"),
        (
            pl.lit(object(), allow_object=True) == A,
            "can't be serialised: serializing data of type Object is not supported",
        ),
    ],
)
def test_other_strangers_are_refused(expression: pl.Expr, says: str) -> None:
    assert found(expression) == says


def test_what_is_nested_too_deep_to_be_searched_is_refused() -> None:
    assert found(deep()).startswith("can't be serialised: maximum recursion depth")


class Written:
    """An expression whose serialised form the test chooses."""

    def __init__(self, node: object) -> None:
        self.meta = self
        self._text = json.dumps(node)

    def serialize(self, *, format: str) -> str:
        return self._text


def test_a_plugin_and_a_file_are_refused() -> None:
    plugin = Written({"FfiPlugin": {"flags": {}, "lib": "nowhere/lib.so", "symbol": "work"}})
    assert found(plugin) == "calls a plugin, whose new builds can't be detected"
    scan = Written({"SubPlan": {"Scan": {"sources": {"Paths": [{"inner": "more.csv"}]}}}})
    assert found(scan) == "reads something other than the row (more.csv)"


def test_a_fault_says_which_rule_where_and_what_to_do() -> None:
    (fault,) = opaque_rule_faults(contract(A.map_batches(low, return_dtype=pl.Boolean)))
    assert fault == Fault(
        message=f"rule r of contract C {PYTHON}",
        where="flow.py:7",
        hint="write it as an expression, or compute a column in the stage and put a rule on that",
    )
    (fault,) = opaque_rule_faults(contract(A.shuffle() > 0))
    assert fault.hint.startswith("give it a seed, or compute a column")
