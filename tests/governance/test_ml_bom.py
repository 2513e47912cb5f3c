"""Bills of materials: valid for the strict validator of CycloneDX whatever is recorded."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from tests.governance.test_provenance import record
from tests.models.test_card import evaluated, scored, whole
from tests.models.test_card_front_matter import HOSTILE, version
from tidemill.governance.ml_bom import PackageFacts, model_bom
from tidemill.governance.provenance import AttestedRun, BuildInput
from tidemill.ledger.model_version import ModelVersion
from tidemill.workflow.gate import Scores, Slice
from tidemill.workflow.model import ColumnEncoding, ParentVersion


@cache
def validator() -> Any:
    form = import_module("cyclonedx.schema").SchemaVersion.V1_6
    return import_module("cyclonedx.validation.json").JsonStrictValidator(form)


def fault_of(document: object) -> str:
    """What the strict validator finds, in its first lines; empty if nothing."""
    found = validator().validate_str(json.dumps(document))
    return "" if found is None else str(found)[:1_000]


def written(found: ModelVersion, **facts: Any) -> dict[str, Any]:
    packages = facts.pop("packages", {})
    made = model_bom(found, record(**facts), packages, owner="ops", tidemill="0.1.0", at=1.0)
    assert fault_of(made) == ""
    refs = [*references(made)]
    assert len(refs) == len({*refs})
    assert {each["ref"] for each in made["dependencies"]} <= {*refs}
    assert {other for each in made["dependencies"] for other in each["dependsOn"]} <= {*refs}
    return made


def references(document: dict[str, Any]) -> Any:
    """The references of all components, at any depth."""
    for component in [
        *document.get("components", []),
        document.get("metadata", {}).get("component"),
    ]:
        if component is not None:
            yield component["bom-ref"]
            yield from references(component)


def test_the_validator_finds_faults() -> None:
    made = written(version())
    assert "'speed' was unexpected" in fault_of({**made, "speed": 1})
    made["metadata"]["component"]["modelCard"]["modelParameters"]["approach"]["type"] = "guessed"
    assert "'guessed' is not one of" in fault_of(made)


def test_of_a_version_without_records_little_is_said() -> None:
    made = written(replace(version(), evaluations=(), decisions=()))
    model = made["metadata"]["component"]
    assert (model["name"], model["version"]) == ("delay_model", "abc")
    assert made["components"] == []
    card = model["modelCard"]
    assert "quantitativeAnalysis" not in card
    assert "task" not in card["modelParameters"]
    assert card["considerations"]["technicalLimitations"][-1] == "It wasn't evaluated."


INPUTS = (
    BuildInput(name="features", files={"a.parquet": "1" * 64, "b.parquet": "2" * 64}, contract="1.0.0"),
    BuildInput(name="source of rows", files={"data/a.csv": "3" * 64}, kind="source"),
    BuildInput(name="source of table", files={"all": "4" * 32}, kind="source"),
    BuildInput(name="lost", content="digest"),
)  # fmt: skip
PACKAGES = {
    "lightgbm": PackageFacts(expression="MIT", requires=("NumPy", "scipy", "lightgbm", "unknown")),
    "numpy": PackageFacts(licenses=("BSD License", "own"), hashes={"SHA-256": "5" * 64}),
}


def test_of_a_whole_version_everything_is_said() -> None:
    found = whole()
    parent = ParentVersion(id="before", key="k", digest="d")
    packages = {"python": "3.11.7", "lightgbm": "4.7.0", "numpy": "2.4.6"}
    limits = (*found.artifact.encodings, ColumnEncoding(name="n", kind="number"),
              ColumnEncoding(name="x", kind="category", unseen="fail"))  # fmt: skip
    artifact = replace(
        found.artifact,
        inputs=("hour", "carrier"),
        parent=parent,
        packages=packages,
        params='{"rounds": 60}',
        encodings=limits,
    )
    run = AttestedRun(id="run-1", commit="c" * 40)
    made = written(replace(found, artifact=artifact), inputs=INPUTS, packages=PACKAGES, run=run)
    model, card = made["metadata"]["component"], made["metadata"]["component"]["modelCard"]
    shown = {each["name"]: each["value"] for each in model["properties"]}
    assert shown["tidemill:parameter: rounds"] == "60"
    assert (shown["tidemill:parent"], shown["tidemill:commit"]) == ("before", "c" * 40)
    assert shown["tidemill:gate: beats_live(mae)"] == "passed: 1 against 2 of live"
    parameters = card["modelParameters"]
    assert parameters["task"] == "tabular-classification"
    assert parameters["inputs"] == [{"format": "hour: Int64 (h)"}, {"format": "carrier: String"}]
    assert parameters["datasets"] == [{"ref": "table:features"}, {"ref": "table:lost"}]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0]["type"] == "mae"
    assert metrics[0]["confidenceInterval"].keys() == {"lowerBound", "upperBound"}
    assert [each.get("slice") for each in metrics] == [None, "carrier=c00", "carrier=c01"]
    # The first slice has no figures by day.
    assert ["confidenceInterval" in each for each in metrics] == [True, False, True]
    limitations = card["considerations"]["technicalLimitations"]
    assert any("other than the 2 known ones are treated as missing" in text for text in limitations)
    assert any("are refused" in text for text in limitations)
    features, rows, table, lost, lightgbm, numpy, python = made["components"]
    assert [each["hashes"][0]["content"] for each in features["components"]] == ["1" * 64, "2" * 64]
    assert features["data"][0]["governance"]["owners"][0]["organization"]["name"] == "ops"
    assert "governance" not in rows["data"][0]
    assert "components" not in table
    assert "components" not in lost
    assert (lightgbm["purl"], lightgbm["licenses"]) == (
        *("pkg:pypi/lightgbm@4.7.0", [{"expression": "MIT"}]),
    )
    assert [each["license"]["name"] for each in numpy["licenses"]] == ["BSD License", "own"]
    assert numpy["hashes"] == [{"alg": "SHA-256", "content": "5" * 64}]
    assert python["type"] == "platform"
    needs = {each["ref"]: each["dependsOn"] for each in made["dependencies"]}
    assert needs["pkg:pypi/lightgbm@4.7.0"] == ["pkg:pypi/numpy@2.4.6"]
    assert "table:features" in needs[model["bom-ref"]]
    assert needs["table:features"] == ["source:source of rows", "source:source of table"]
    assert needs["source:source of rows"] == []


def test_odd_packages_and_columns() -> None:
    packages = {
        "torch": "2.9.0+cpu",
        "My_Lib": "0.1.dev3+g12ab.d20260101",
        "my-lib": "0.1.dev3+g12ab.d20260101",
        "zope.interface": "1!2.0rc1",
    }
    facts = {"My_Lib": PackageFacts(origin="an editable folder")}
    inputs = (BuildInput(name="rows", columns=("a, b", 'x.ü "q"\n☃'), files={"a\nb": "1" * 64}),)
    made = written(version(packages=packages), packages=facts, inputs=inputs)
    rows, own, torch, zope = made["components"]
    columns = [each["value"] for each in rows["properties"] if each["name"] == "tidemill:column"]
    assert columns == ["a, b", 'x.ü "q"\n☃']
    assert own["properties"] == [{"name": "tidemill:installed from", "value": "an editable folder"}]
    purls = [PackageURL.from_string(each["purl"]) for each in (own, torch, zope)]
    assert [(purl.name, purl.version) for purl in purls] == [
        ("my-lib", "0.1.dev3+g12ab.d20260101"),
        ("torch", "2.9.0+cpu"),
        ("zope.interface", "1!2.0rc1"),
    ]


def test_many_files_have_one_digest() -> None:
    files = {f"{number}.parquet": f"{number:064}" for number in range(1_001)}
    [data] = written(version(), inputs=(BuildInput(name="features", files=files),))["components"]
    assert "components" not in data
    shown = {each["name"]: each["value"] for each in data["properties"]}
    assert shown["tidemill:files"] == "1001"
    assert len(shown["tidemill:dirHash1"]) == 64


def test_figures_that_are_no_numbers_are_left_out_and_stages_are_told_apart() -> None:
    slices = (Slice(value=HOSTILE, rows=1, metrics={"mae": math.inf, HOSTILE: 1.0}),)
    odd = Scores(rows=1, metrics={"mae": math.nan}, by=HOSTILE, slices=slices)
    two = (evaluated(odd), evaluated(scored(2), HOSTILE))
    made = written(replace(version(), evaluations=two))
    metrics = made["metadata"]["component"]["modelCard"]["quantitativeAnalysis"][
        "performanceMetrics"
    ]
    assert metrics[0] == {
        "type": f"delay_scores.{HOSTILE}",
        "value": "1.0",
        "slice": f"{HOSTILE}={HOSTILE}",
    }
    assert metrics[1]["type"] == f"{HOSTILE}.mae"


def test_the_serial_number_follows_from_the_content() -> None:
    one, same, other = (written(version(seed=seed))["serialNumber"] for seed in (7, 7, 8))
    assert one == same
    assert one != other


def test_secrets_are_masked() -> None:
    found = version(params='{"url": "pw"}', hardware={"cpu": "pw"})
    made = written(found, redact=lambda text: text.replace("pw", "***"))
    assert "pw" not in json.dumps(made)


NAMES = st.text(min_size=1, max_size=8)


@settings(max_examples=20)
@given(
    stage=NAMES, columns=st.lists(NAMES, max_size=3), packages=st.dictionaries(NAMES, NAMES, max_size=3),
    files=st.dictionaries(NAMES, st.just("1" * 64), max_size=3), figure=st.floats(), machine=NAMES,
)  # fmt: skip
def test_any_names_make_a_valid_document(
    stage: str,
    columns: list[str],
    packages: dict[str, str],
    files: dict[str, str],
    figure: float,
    machine: str,
) -> None:
    scores = Scores(rows=1, metrics={stage: figure})
    found = version(
        stage=stage,
        inputs=tuple(columns),
        packages={
            "python": "3.11",
            **{f"{name}{n}": v for n, (name, v) in enumerate(packages.items())},
        },
        hardware={machine: stage},
        output=stage,
    )
    found = replace(found, evaluations=(evaluated(scores, stage),))
    made = model_bom(
        found,
        record(inputs=(BuildInput(name=stage, files=files, columns=tuple(columns)),)),
        {},
        at=1e9,
    )
    assert fault_of(made) == ""


@pytest.mark.parametrize("at", [0.0, 1_764_000_000.5])
def test_the_time_is_that_of_writing(at: float) -> None:
    made = model_bom(version(), record(), {}, at=at)
    assert made["metadata"]["timestamp"].endswith("Z")
    assert made["metadata"]["tools"]["components"] == [{"type": "application", "name": "tidemill"}]
    assert fault_of(made) == ""
