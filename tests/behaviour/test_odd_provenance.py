"""Statements and bills of materials of other libraries, names and files are valid for other programs too."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.behaviour.test_attestations import parse_message
from tests.behaviour.test_model_formats import ENCODED, FOREST, ONNX, PIPELINE, XGBOOST
from tests.behaviour.test_text_partitions import BY_VALUE
from tests.governance.test_ml_bom import fault_of, references
from tests.support.attested import _Attesting
from tests.support.constant import ConstantFormat
from tests.support.trained import BRIER, CANCER, DIABETES, MAE, Trained, cancer, diabetes
from tidemill.governance.in_toto import Json


class _Trained(_Attesting, Trained):
    """A project with a key that trains."""


def check_statement(statement: Json) -> None:
    """The message classes of in-toto and SLSA read all of it."""
    parse = {
        name: import_module(f"in_toto_attestation.{name}_pb2")
        for name in (
            "predicates.provenance.v1.provenance",
            "v1.statement",
            "v1.resource_descriptor",
        )
    }
    classes: Any = import_module("in_toto_attestation.v1.resource_descriptor").ResourceDescriptor
    predicate = statement["predicate"]
    parse_message(predicate, parse["predicates.provenance.v1.provenance"].Provenance())
    renamed = {"type" if key == "_type" else key: value for key, value in statement.items()}
    message = parse["v1.statement"].Statement()
    parse_message(renamed, message)
    import_module("in_toto_attestation.v1.statement").Statement.copy_from_pb(message).validate()
    for each in (
        *statement["subject"],
        *predicate["buildDefinition"]["resolvedDependencies"],
        *predicate["runDetails"]["byproducts"],
    ):
        found = parse["v1.resource_descriptor"].ResourceDescriptor()
        parse_message(each, found)
        classes.copy_from_pb(found).validate()


def check_provenance(project: _Attesting) -> Json:
    """All that is written of the model and the table is valid; the bill of materials."""
    with project.open() as opened:
        document = opened.models["model"].bom().document
        assert fault_of(document) == ""
        refs = [*references(document)]
        assert len(refs) == len({*refs})
        for name in ("model", "out"):
            check_statement(opened.attestations.attest(name).statement)
            assert all(report.is_valid for report in opened.attestations.verify(name))
        assert opened.attestations.verify("out", against=project.root / "out")[0].is_valid
    return document


@pytest.mark.parametrize(
    ("train", "library"),
    [(PIPELINE, "scikit-learn"), (ENCODED, "lightgbm"), (XGBOOST, "xgboost"), (ONNX, "skl2onnx")],
)
def test_of_each_library(tmp_path: Path, train: str, library: str) -> None:
    project = _Trained(tmp_path / "tides", diabetes(), DIABETES, train, MAE)
    project.ok()
    document = check_provenance(project)
    names = {each["name"].removesuffix("-cpu") for each in document["components"]}
    assert {library, "python", "features", "labels", "source of rows"} <= names
    parameters = document["metadata"]["component"]["modelCard"]["modelParameters"]
    assert parameters["task"] == "tabular-regression"
    assert {"format": "age: Float64"} in parameters["inputs"]


def test_of_a_classifier(tmp_path: Path) -> None:
    project = _Trained(tmp_path / "tides", cancer(), CANCER, FOREST, BRIER)
    project.ok()
    card = check_provenance(project)["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["task"] == "tabular-classification"


NAME = 'x.ü "q" ☃\n/%, b'
ODD = {
    "class Raw(": f"NAME = {NAME!r}\n\n\nclass Raw(",
    "    double = tm.Int64()": '    locals()[NAME] = tm.Int64(description="übel\\n<b>")',
    'double=pl.col("id") * 2': '**{NAME: pl.col("id") * 2}',
    "    id, y = tm.Int64(), tm.Float64()": (
        "    id, y = tm.Int64(), tm.Float64()\n    locals()[NAME] = tm.Int64()"
    ),
    'inputs=Known.reads("id")': 'inputs=Known.reads(NAME, "id")',
    'tm.Workflow("tides")': 'tm.Workflow("Gezeiten / 潮.汐 #1?", owner="Ana & Böb")',
}


class _Odd(_Attesting):
    """A model that is a plain Python object, on columns, partitions, files and folders with odd names."""

    def __init__(self, root: Path) -> None:
        text = BY_VALUE
        for old, new in ODD.items():
            assert old in text
            text = text.replace(old, new)
        super().__init__(root, text)
        self.use(formats=(ConstantFormat(),))
        known = pl.DataFrame({"id": [1], "y": [1.0], NAME: [2]})
        known.write_parquet(root / "known.parquet")
        names = ["a/b", "%2F", " ", "ü", "DE", "de", ".x", "a+1"]
        self.put("a\nb \\c%.parquet", pl.DataFrame({"name": names, "id": [1] * len(names)}))


def test_of_names_that_others_wouldnt_choose(tmp_path: Path) -> None:
    project = _Odd(tmp_path / "ein Ördner\n #1?")
    project.ok()
    document = check_provenance(project)
    parameters = document["metadata"]["component"]["modelCard"]["modelParameters"]
    assert parameters["inputs"][0] == {"format": f"{NAME}: Int64"}
    assert parameters["architectureFamily"] == "constant"
    with project.open() as opened:
        statement = opened.attestations.attest("out").statement
    listed = {
        each["name"]: each["annotations"]["files"]
        for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        if "files" in each.get("annotations", {})
    }
    assert [*listed["source of raw"]] == ["data/a\nb \\c%.parquet"]
    assert "%2Ex.parquet" in listed["features"]
