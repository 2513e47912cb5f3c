"""Which rows a trained model may be fed, by the contract that it was trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.planning import model, reads
from tidemill.contracts import column_types as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.models.input_compatibility import (
    incompatibility,
    input_contract,
    inputs_as_json,
    trained_inputs,
    unchecked_note,
)
from tidemill.testing.records import model_artifact
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Input, Stage

BODY: dict[str, Any] = {
    "day": tm.Date(partition="1d"),
    "x": tm.Float64(min=0, max=9, unit="deg C", description="at the door"),
    "n": tm.Int32(min=0),
    "s": tm.String(),
}


def contract(
    name: str = "Features", version: str = "1.0.0", **changes: Any
) -> type[DeclaredContract]:
    body = {key: value for key, value in (BODY | changes).items() if value is not None}
    return type(name, (DeclaredContract,), body, version=version)


def trained(said: Reads) -> Artifact:
    return replace(model_artifact(), reads=inputs_as_json(said))


def spec(made: type[DeclaredContract]) -> ContractSpec:
    return made.__tidemill_contract__


PLAIN = contract().reads("x", "n")
X = BODY["x"]
Changes = dict[str, Any]
# What becomes of the contract, and why the model isn't fed then.
CHANGES: list[tuple[Changes, str]] = [
    ({}, ""),
    # Other columns, words, another minor version: nothing that it learned from.
    ({"s": None}, ""),
    ({"s": tm.Int64(nullable=True), "more": tm.Int64()}, ""),
    ({"x": replace(X, description="indoors"), "version": "1.9.0"}, ""),
    # What is promised besides, and a wider number of the kind, is survived.
    ({"x": replace(X, min=1, max=8)}, ""),
    ({"n": tm.Int64(min=0)}, ""),
    ({"n": tm.Int16(min=0)}, ""),
    ({"x": replace(X, on_fail="fail")}, ""),
    ({"x": None}, "x: a column, now none"),
    ({"x": tm.String(unit="deg C")}, "x.type: Float64, now String"),
    ({"n": tm.Float64(min=0)}, "n.type: Int32, now Float64"),
    ({"x": replace(X, unit="F")}, "x: unit deg C, now F"),
    ({"x": replace(X, unit="")}, "x: unit deg C, now none"),
    ({"x": replace(X, nullable=True)}, "x.null: never null, now it may be null"),
    ({"x": replace(X, max=40)}, "x.max: max 9, now max 40"),
    ({"n": tm.Int64(min=-1)}, "n.min: min 0, now min -1"),
    (
        {"n": tm.Int32(min=0, on_fail="warn")},
        "n.null: never null, now it may be null, but violations only warn; "
        "n.min: min 0, now min 0, but violations only warn",
    ),
    ({"version": "2.0.0"}, "version 1.0.0, now 2.0.0, so the meaning of its columns changed"),
    ({"version": "0.9.0"}, "version 1.0.0, now 0.9.0, so the meaning of its columns changed"),
]


@pytest.mark.parametrize(("changes", "expected"), CHANGES)
def test_what_changed_since_training(changes: Changes, expected: str) -> None:
    words = incompatibility(trained(PLAIN), STAGE, [spec(contract(**changes))])
    if not expected:
        assert words == ""
        return
    version = changes.get("version", "1.0.0")
    assert words == (
        f"delay_model artifact was trained on Features 1.0.0 and can't be fed Features {version}: "
        f"{expected}; retrain it (`tidemill run --train delay_model`), or, if the change doesn't "
        "affect it, declare what its stage relies on: "
        "reads=[Features.reads('x', 'n', guarantees=[...])]"
    )


STAGE = model("mod", reads(model("none")))


def declaring(said: Reads) -> Stage:
    """The model's stage as it is today, with what it declares."""
    return model("mod", Input(name="features", contract=said.contract, reads=said))


# What is relied on is said in training, or later; the rest may change then, but for type and unit.
RELIED = [
    ((), {"x": replace(X, max=40, nullable=True), "version": "2.0.0"}, True),
    (("x.max",), {"x": replace(X, max=40)}, False),
    (("x.max",), {"x": replace(X, min=-5)}, True),
    ((), {"x": replace(X, unit="F")}, False),
    ((), {"x": tm.String(unit="deg C")}, False),
    ((), {"x": None}, False),
]


@pytest.mark.parametrize(("guarantees", "changes", "fed"), RELIED)
def test_a_model_that_says_what_it_relies_on(
    guarantees: tuple[str, ...], changes: Changes, fed: bool
) -> None:
    said = replace(PLAIN, guarantees=guarantees)
    given = [spec(contract(**changes))]
    assert (incompatibility(trained(said), STAGE, given) == "") is fed
    # Said in its stage afterwards it counts as well, and more.
    assert (incompatibility(trained(PLAIN), declaring(said), given) == "") is fed
    strict = replace(PLAIN, guarantees=("x.max", "x.min", "x.null"))
    assert (incompatibility(trained(strict), declaring(said), given) == "") is fed


def test_reads_that_say_nothing_or_are_of_another_contract() -> None:
    given = [spec(contract(x=replace(X, max=40)))]
    assert incompatibility(trained(PLAIN), declaring(PLAIN), given)
    other = contract("Other").reads("x", guarantees=[])
    assert incompatibility(trained(PLAIN), declaring(other), given)


def test_only_what_it_reads_is_held_against_it() -> None:
    labels = spec(type("Labels", (DeclaredContract,), {"y": tm.Float64()}))
    assert incompatibility(trained(PLAIN), STAGE, [None, labels]) == ""
    # Another contract that has all of its columns is what it would be fed.
    renamed = spec(contract("Renamed", "2.0.0"))
    assert incompatibility(trained(PLAIN), STAGE, [renamed]) == ""
    assert "can't be fed Renamed" in incompatibility(
        trained(PLAIN), STAGE, [replace(renamed, columns=spec(contract(x=tm.Float64())).columns)]
    )


def test_many_columns_are_told_by_the_first() -> None:
    said = contract().reads("x", "n", "s", "day")
    words = incompatibility(trained(said), STAGE, [spec(contract(version="2.0.0"))])
    assert words.endswith("reads=[Features.reads('x', 'n', 's', ..., guarantees=[...])]")


def test_what_an_artifact_keeps() -> None:
    found = trained_inputs(trained(replace(PLAIN, guarantees=("x.max",))))
    assert found is not None
    assert found.contract.columns == (
        replace(X, name="x", description=""),
        spec(contract()).column("n"),
    )
    assert (found.contract.name, found.contract.version) == ("Features", "1.0.0")
    assert found.guarantees is not None
    assert [(c.name, c.max, c.min) for c in found.guarantees.columns] == [("x", 9, None)]
    # It is short: what a contract doesn't say isn't kept.
    assert len(inputs_as_json(PLAIN)) < 700
    assert json.loads(inputs_as_json(PLAIN))["relies"] is None


def test_an_older_artifact_is_fed_with_a_note() -> None:
    assert trained_inputs(model_artifact()) is None
    assert incompatibility(model_artifact(), STAGE, [spec(contract(version="9.0.0"))]) == ""
    assert unchecked_note(model_artifact()).startswith(
        "delay_model artifact has no record of the contract"
    )
    assert unchecked_note(trained(PLAIN)) == ""


def test_the_contract_that_a_model_reads() -> None:
    artifact = replace(trained(PLAIN), inputs=("x", "n"))
    now, other = spec(contract(version="1.4.0")), spec(contract("Other", n=None))
    lookalike = spec(contract("Other", day=None, s=None))

    assert input_contract(artifact, [None, other, now]) is now
    # One of another name has the rows when it has all columns of the contract in training.
    assert input_contract(artifact, [lookalike]) is lookalike
    assert input_contract(artifact, [None, other]) is None
    # Older models didn't record their contract: the names of their inputs tell.
    assert input_contract(replace(artifact, reads=""), [other, lookalike]) is lookalike
