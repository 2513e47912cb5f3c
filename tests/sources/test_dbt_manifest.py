"""Models are found in what dbt wrote, and refused unless they were built of their code."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import Any

import pytest

from tidemill.core.errors import SourceError
from tidemill.sources.dbt_manifest import model_of, refuse_unbuilt, with_upstream

MADE = "2026-11-29T23:55:52.322967Z"
BEFORE, AFTER = 1795996550.0, 1795996553.0


def node(unique_id: str, **more: Any) -> dict[str, Any]:
    kind, package, name = unique_id.split(".", 2)
    return {
        "unique_id": unique_id,
        "resource_type": kind,
        "package_name": package,
        "name": name.removesuffix(".v1").removesuffix(".v2"),
        "relation_name": f'"shop"."main"."{name}"',
        "database": "shop",
        "schema": "main",
        "alias": name,
        "original_file_path": f"models/{name}.sql",
        "raw_code": "" if kind == "seed" else "select  1\nas a",
        "checksum": {"name": "sha256", "checksum": "ffdf"},
        "created_at": BEFORE,
        "config": {"materialized": "table"},
    } | more


def dbt_test(name: str, of: str) -> dict[str, Any]:
    return {"resource_type": "test", "name": name, "depends_on": {"nodes": [of]}}


INLINE = {"relation_name": None, "config": {"materialized": "ephemeral"}}
NODES = [
    node("model.shop.orders"),
    node("model.shop.inline", **INLINE),
    node("model.shop.sales.v1", version=1, latest_version=2),
    node("model.shop.sales.v2", version=2, latest_version=2),
    node("model.other.orders2"),
    node("model.shop.twice"),
    node("model.other.twice"),
    node("seed.shop.raw"),
    node("seed.shop.large", checksum={"name": "path", "checksum": "seeds/large.csv"}),
    node("snapshot.shop.history"),
]
TESTS = {
    "test.shop.unique": dbt_test("unique", "model.shop.orders"),
    "test.shop.raw": dbt_test("raw", "seed.shop.raw"),
}
MANIFEST: dict[str, Any] = {
    "metadata": {"project_name": "shop"},
    "nodes": {item["unique_id"]: item for item in NODES} | TESTS,
    "disabled": {"model.shop.old": [node("model.shop.old")]},
}
RESULTS: dict[str, Any] = {
    "metadata": {"generated_at": MADE},
    "args": {"which": "build"},
    "results": [
        {"unique_id": "model.shop.orders", "status": "success"},
        {"unique_id": "test.shop.unique", "status": "warn"},
        {"unique_id": "test.shop.raw", "status": "fail"},
    ],
}


@pytest.mark.parametrize(
    ("name", "unique_id"),
    [
        ("orders", "model.shop.orders"),
        ("model.shop.orders", "model.shop.orders"),
        ("raw", "seed.shop.raw"),
        ("sales", "model.shop.sales.v2"),
        ("sales.v1", "model.shop.sales.v1"),
        ("model.other.twice", "model.other.twice"),
    ],
)
def test_a_model_is_found_by_its_name_or_id(name: str, unique_id: str) -> None:
    assert model_of(MANIFEST, name).unique_id == unique_id


def test_what_is_known_of_a_model() -> None:
    model = model_of(MANIFEST, "orders")
    assert model.relation == '"shop"."main"."orders"'
    assert model.names == ("shop", "main", "orders")
    assert model.label == "dbt model.shop.orders"
    assert (model.path, model.parsed) == ("models/orders.sql", BEFORE)


def test_a_database_without_names_of_databases() -> None:
    manifest = deepcopy(MANIFEST)
    manifest["nodes"]["model.shop.orders"]["database"] = None
    assert model_of(manifest, "orders").names == ("main", "orders")


def test_files_of_packages_snapshots_and_large_seeds_are_not_known() -> None:
    assert model_of(MANIFEST, "orders2").path == ""
    assert model_of(MANIFEST, "history").path == ""
    assert model_of(MANIFEST, "large").is_of_file("anything")


def test_a_model_is_of_a_file_with_its_code() -> None:
    model = model_of(MANIFEST, "orders")
    assert model.is_of_file("\nselect 1\r\nas a\n")
    assert not model.is_of_file("select 2 as a")


# Versions of dbt differ in what they take the checksum of.
@pytest.mark.parametrize("read", ["a,b\r\n1, 2", "a,b\n1, 2", "a,b 1, 2"])
def test_a_seed_is_of_a_file_with_its_checksum(read: str) -> None:
    manifest = deepcopy(MANIFEST)
    digest = hashlib.sha256(read.encode()).hexdigest()
    manifest["nodes"]["seed.shop.raw"]["checksum"]["checksum"] = digest
    model = model_of(manifest, "raw")
    assert model.is_of_file("a,b\r\n1, 2\r\n")
    assert not model.is_of_file("a,b\r\n1, 3\r\n")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ordres", "dbt has no model 'ordres' (did you mean 'orders'?)"),
        ("twice", "several models 'twice': name model.other.twice or model.shop.twice"),
        ("inline", "'inline' is ephemeral: it has no table"),
        ("old", "'old' is disabled"),
        ("sales.v3", "dbt has no model 'sales.v3'"),
    ],
)
def test_what_is_no_table(name: str, says: str) -> None:
    with pytest.raises(SourceError) as found:
        model_of(MANIFEST, name)
    assert says in str(found.value)


def test_a_project_without_models_says_so() -> None:
    with pytest.raises(SourceError, match="the project has no models"):
        model_of({**MANIFEST, "nodes": {}}, "orders")


@pytest.mark.parametrize("broken", [{}, {"nodes": []}, {"nodes": {"a": {}}}])
def test_another_document_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="manifest isn't as expected"):
        model_of(broken, "orders")
    with pytest.raises(SourceError, match="run results aren't as expected"):
        refuse_unbuilt(broken, MANIFEST, model_of(MANIFEST, "orders"))


def refused(name: str = "orders", **change: Any) -> str:
    """What is said of a model with these changes of the results."""
    results = deepcopy(RESULTS) | change
    with pytest.raises(SourceError) as found:
        refuse_unbuilt(results, MANIFEST, model_of(MANIFEST, name))
    return str(found.value)


def test_a_model_that_was_built_is_read() -> None:
    refuse_unbuilt(RESULTS, MANIFEST, model_of(MANIFEST, "orders"))


@pytest.mark.parametrize("command", ["test", "compile", "ls", None])
def test_a_command_that_builds_nothing_shows_nothing(command: str | None) -> None:
    says = refused(args={"which": command})
    assert f"wasn't built by the last command of dbt (`dbt {command}`, {MADE})" in says
    # To build one model replaces the results of the others, which would be refused then.
    assert "`dbt build` builds it; built=False reads what is there" in says


def test_a_model_that_was_not_selected_is_refused() -> None:
    assert "wasn't built by the last command" in refused("sales")


@pytest.mark.parametrize("status", ["error", "skipped", "partial success"])
def test_a_model_that_failed_is_refused(status: str) -> None:
    results = [{"unique_id": "model.shop.orders", "status": status}]
    assert f"its status is {status!r}" in refused(results=results)


@pytest.mark.parametrize("flag", ["empty", "sample"])
def test_a_model_with_some_rows_is_refused(flag: str) -> None:
    assert f"was built with --{flag}" in refused(args={"which": "run", flag: True})


def test_a_model_that_was_parsed_after_it_was_built_is_refused() -> None:
    manifest = deepcopy(MANIFEST)
    manifest["nodes"]["model.shop.orders"]["created_at"] = AFTER
    with pytest.raises(SourceError, match="was parsed again after it was built"):
        refuse_unbuilt(RESULTS, manifest, model_of(manifest, "orders"))


def test_a_model_is_made_of_all_that_it_reads() -> None:
    manifest = deepcopy(MANIFEST)
    reads = {"model.shop.orders": "model.shop.inline", "model.shop.inline": "seed.shop.raw"}
    for key, read in reads.items():
        manifest["nodes"][key]["depends_on"] = {"nodes": [read, key, "source.shop.crm.orders"]}
    model = model_of(manifest, "orders")
    found = with_upstream(manifest, model)
    assert [each.unique_id for each in found] == [*reads, "seed.shop.raw"]
    manifest["nodes"]["seed.shop.raw"]["created_at"] = AFTER
    with pytest.raises(SourceError, match=r"reads seed.shop.raw, which was parsed again after"):
        refuse_unbuilt(RESULTS, manifest, model)


@pytest.mark.parametrize("status", ["fail", "error"])
def test_a_model_that_failed_its_tests_is_refused(status: str) -> None:
    results = [RESULTS["results"][0], {"unique_id": "test.shop.unique", "status": status}]
    assert "failed test.shop.unique" in refused(results=results)


def test_some_of_many_failed_tests_are_named() -> None:
    manifest, names = deepcopy(MANIFEST), [f"test.shop.t{number}" for number in range(7)]
    for name in names:
        manifest["nodes"][name] = dbt_test(name, "model.shop.orders")
    results = [RESULTS["results"][0], *({"unique_id": name, "status": "fail"} for name in names)]
    with pytest.raises(SourceError, match=r"failed test.shop.t0, .*t4 and 2 more \("):
        refuse_unbuilt({**RESULTS, "results": results}, manifest, model_of(manifest, "orders"))
