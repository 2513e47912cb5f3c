"""The mirror makes nothing twice and loses nothing, wherever it is interrupted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.mirrored_models import mirrored_model, model_version
from tests.support.tracking_servers import DyingServer, MemoryServer
from tidemill.core.errors import SendError, StorageError
from tidemill.ledger.model_version import VersionState
from tidemill.models.io.mlflow_mirror import Load, MirrorReport, MlflowMirror
from tidemill.models.mlflow.mirrored_version import MirroredModel
from tidemill.ports.tracking import TrackingServer
from tidemill.workflow.model import Artifact

FIRST, SECOND = model_version("v1"), model_version("v2", at=1_700_000_100.0)
# Three moments of one model: trained, replaced, rolled back.
HISTORY = (
    mirrored_model(FIRST, live="v1"),
    mirrored_model(replace(FIRST, state=VersionState.APPROVED), SECOND, live="v2"),
    mirrored_model(FIRST, replace(SECOND, state=VersionState.WITHDRAWN), live="v1"),
)


def mirror(server: TrackingServer, model: MirroredModel, load: Load | None = None) -> MirrorReport:
    found = MlflowMirror(server, "shop", load)
    found.mirror([model])
    return found.report


def tags(found: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in found["tags"]}


def shown(server: MemoryServer) -> dict[str, object]:
    """What people see of a server, apart from its ids."""
    return {
        "runs": [
            (
                run["info"]["status"],
                tags(run["data"]),
                run["data"]["params"],
                server.metrics[name],
            )
            for name, run in server.runs.items()
        ],
        "versions": [(one["name"], one["version"], tags(one)) for one in server.versions],
        "models": [(m["name"], tags(m), m["aliases"]) for m in server.models.values()],
        "experiments": [*server.experiments],
        "files": sorted(path.rpartition("/")[2] for path in server.files),
    }


def payload(artifact: Artifact) -> bytes:
    return artifact.id.encode()


def test_versions_runs_and_the_alias_follow_the_ledger() -> None:
    server = MemoryServer()
    reports = [mirror(server, model) for model in HISTORY]
    assert reports == [
        MirrorReport(made=1, moved=1),
        MirrorReport(made=1, changed=1, moved=1),
        MirrorReport(changed=2, moved=1),
    ]
    assert [one["version"] for one in server.versions] == ["1", "2"]
    assert server.models["shop.delay"]["aliases"] == [{"alias": "prod", "version": "1"}]
    assert tags(server.versions[1])["tidemill.prod.state"] == "withdrawn"
    before = shown(server)
    asked = len(server.calls)
    assert mirror(server, HISTORY[-1]) == MirrorReport()
    assert shown(server) == before
    assert not [name for name in server.calls[asked:] if name.endswith(("create", "batch"))]


@pytest.mark.parametrize("load", [None, payload])
@pytest.mark.parametrize("after", [False, True])
def test_wherever_it_is_killed_nothing_is_lost_or_doubled(load: Load | None, after: bool) -> None:
    whole = MemoryServer()
    for model in HISTORY:
        mirror(whole, model, load)
    requests = 1
    for last in range(len(HISTORY)):
        while True:
            server = MemoryServer()
            for model in HISTORY[:last]:
                mirror(server, model, load)
            try:
                mirror(DyingServer(server, requests, after=after), HISTORY[last], load)
            except SendError:
                for model in HISTORY[last:]:
                    mirror(server, model, load)
                assert shown(server) == shown(whole), (last, requests)
                requests += 1
            else:
                break
        assert requests > 5
        requests = 1


def test_environments_share_versions_and_have_aliases_of_their_own() -> None:
    server = MemoryServer()
    mirror(server, mirrored_model(FIRST, aliases=["dev"]))
    mirror(server, mirrored_model(FIRST, SECOND, live="v2", environment="dev", aliases=["prod"]))
    aliases = {each["alias"]: each["version"] for each in server.models["shop.delay"]["aliases"]}
    assert aliases == {"prod": "1", "dev": "2"}
    assert len(server.runs) == 2
    # An alias that people gave is theirs; that of an environment that was dropped goes.
    server.models["shop.delay"]["aliases"].append({"alias": "mine", "version": "1"})
    mirror(server, mirrored_model(FIRST))
    aliases = {each["alias"]: each["version"] for each in server.models["shop.delay"]["aliases"]}
    assert aliases == {"prod": "1", "mine": "1"}


def test_what_people_deleted_stays_deleted() -> None:
    server = MemoryServer()
    mirror(server, HISTORY[1])
    first, second = server.runs.values()
    first["info"]["lifecycle_stage"] = "deleted"
    del server.versions[1]
    assert mirror(server, HISTORY[2]) == MirrorReport(changed=1, moved=1)
    assert len(server.runs) == 2
    assert [one["version"] for one in server.versions] == ["1"]
    del second["info"]["lifecycle_stage"]
    server.models.clear()
    server.versions.clear()
    mirror(server, HISTORY[1])
    assert not server.models


def test_a_model_that_people_renamed_is_known_by_its_owner() -> None:
    server = MemoryServer()
    mirror(server, HISTORY[0])
    model = server.models.pop("shop.delay")
    model["name"] = server.versions[0]["name"] = "renamed"
    server.models["renamed"] = model
    mirror(server, HISTORY[1])
    assert [(one["name"], one["version"]) for one in server.versions] == [
        ("renamed", "1"),
        ("renamed", "2"),
    ]
    assert [*server.models] == ["renamed"]


def test_a_model_of_somebody_else_isnt_touched() -> None:
    server = MemoryServer()
    server.models["shop.delay"] = {"name": "shop.delay", "tags": [], "aliases": []}
    [fault] = mirror(server, HISTORY[0]).faults
    assert "has a model 'shop.delay' that isn't this one" in fault
    assert not server.versions


def test_a_deleted_experiment_is_named() -> None:
    server = MemoryServer()
    mirror(server, HISTORY[0])
    server.experiments["shop"]["lifecycle_stage"] = "deleted"
    with pytest.raises(SendError, match=r"'shop' was deleted: restore it .*-x 1"):
        mirror(server, HISTORY[1])
    server.experiments["shop"]["lifecycle_stage"] = "active"
    assert mirror(server, HISTORY[1]).made == 1


def test_what_is_refused_of_a_version_keeps_no_other_back() -> None:
    server = MemoryServer()
    server.refused = {"'v1'"}
    report = mirror(server, HISTORY[1])
    assert report.made == 1
    assert report.moved == 1
    [fault] = report.faults
    assert fault == "delay_model v1: 'v1' is refused"
    server.refused = set()
    assert mirror(server, HISTORY[1]).made == 1


def test_an_alias_is_on_no_wrong_version() -> None:
    server = MemoryServer()
    mirror(server, HISTORY[0])
    server.refused = {"'v2'"}
    mirror(server, HISTORY[1])
    assert server.models["shop.delay"]["aliases"] == []
    server.refused = set()
    mirror(server, HISTORY[1])
    assert server.models["shop.delay"]["aliases"] == [{"alias": "prod", "version": "2"}]


def test_files_are_uploaded_once() -> None:
    server = MemoryServer()
    mirror(server, HISTORY[0], payload)
    [model, text] = [server.files[path] for path in sorted(server.files, reverse=True)]
    assert (model, b"lightgbm" in text) == (b"v1", True)
    assert server.versions[0]["source"].endswith("/artifacts/model")
    mirror(server, HISTORY[2], payload)
    assert server.calls.count("write") == 4


def test_a_version_whose_object_is_gone_is_registered_without_it() -> None:
    def gone(_: Artifact) -> bytes:
        raise StorageError("the object isn't stored")

    server = MemoryServer()
    [fault] = mirror(server, HISTORY[0], gone).faults
    assert fault.endswith("is registered without its files: the object isn't stored")
    assert server.versions[0]["source"] == "tidemill://shop/delay_model/v1"
    assert mirror(server, HISTORY[0], gone) == MirrorReport()


def test_long_lists_are_sent_in_portions() -> None:
    many = {f"m{number}": float(number) for number in range(1_200)}
    version = model_version(
        metrics=many, params={f"p{number}": "x" * 7_000 for number in range(60)}
    )
    server = MemoryServer()
    mirror(server, mirrored_model(version))
    [run] = server.runs.values()
    assert len(run["data"]["metrics"]) == 1_202
    assert max(len(param["value"]) for param in run["data"]["params"]) == 6_000


def test_figures_of_all_evaluations_are_kept_once_each() -> None:
    [first] = FIRST.evaluations
    times = {"prod": (5, 7), "dev": (5, 6), "more": (5, 6, 7, 8)}
    server = MemoryServer()
    for environment, seconds in times.items():
        some = tuple(replace(first, at=first.at + second) for second in seconds)
        version = replace(FIRST, evaluations=some)
        mirror(server, mirrored_model(version, environment=environment, aliases=[*times]))
    [run] = server.metrics.values()
    at = [one["timestamp"] for one in run if one["key"] == "mae"]
    assert [time - round(first.at * 1_000) for time in at] == [5_000, 7_000, 6_000, 8_000]


def test_models_without_a_version_have_nothing_to_show() -> None:
    server = MemoryServer()
    assert mirror(server, mirrored_model(live="")) == MirrorReport()
    assert not server.calls
