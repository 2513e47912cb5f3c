"""Trainings that continue an earlier version: which one, what they learn from, and what is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.constant import Constant, ConstantFormat
from tests.support.damage import flip, object_files
from tests.support.tides import day, flow_of
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE
from tidemill.project.project import open_project
from tidemill.workflow.model import Artifact

# A model is the number of days that it and its ancestors learned from, and predicts that.
WARM = (
    MODEL.replace("params={", "retrain=tm.new_data(), warm_start=2, params={")
    .replace("params: tm.Params, seed: int\n", "parent: tm.Parent | None\n")
    .replace(
        """    assert seed == 1
    assert features.join(labels, on=["day", "id"]).collect().height
    return tm.fitted(Constant(params["value"]), inputs""",
        """    before = 0.0 if parent is None else parent.model.value
    rows = features if parent is None else parent.unseen(features)
    others = labels if parent is None else parent.unseen(labels)
    table = rows.join(others, on=["day", "id"]).collect()
    batches = tm.batches(rows, others, on=["day", "id"])
    assert batches.height == table.height
    assert len(batches.partitions) == table["day"].n_unique()
    return tm.fitted(Constant(before + table["day"].n_unique()), inputs""",
    )
    .replace(', params={"value": 9.0}, seed=1)', ")")
)


def artifact_of(sea: Sea) -> Artifact:
    project = sea.open()
    found = project.models.current("model", candidate=True)
    project.close()
    return found


def value_of(sea: Sea) -> float:
    """What the newest version predicts."""
    project = sea.open()
    found = project.model("model", candidate=True).predict(pl.DataFrame({"x": [1.0]}))
    project.close()
    return float(found["prediction"][0])


def lineage_of(sea: Sea) -> str:
    [state] = sea.open().plan().models
    return state.lineage


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    sea = Sea(tmp_path, WARM)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok()
    return sea


def test_a_new_day_continues_the_live_version_with_that_day_only(sea: Sea) -> None:
    first = artifact_of(sea)
    assert (value_of(sea), first.parent, first.generation) == (4.0, None, 0)
    assert sea.ok() == {}
    sea.flood(WINDOW)
    assert lineage_of(sea) == f"continues {first.id}, generation 1 of 2"
    assert sea.ok()["ok train model"] == ["all"]
    second = artifact_of(sea)
    # Four days, then the fifth: the window has days 2 to 5.
    assert second.trained_on["features"] == tuple(day(n) for n in range(1, 5))
    assert value_of(sea) == 5.0
    assert second.parent is not None
    assert (second.parent.id, second.parent.key) == (first.id, first.key)
    assert second.generation == 1
    # It is live now, and would be its own parent, but nothing changed.
    assert sea.open().state().live["model"].artifact == second
    assert sea.ok() == {}


def test_generations_are_limited(sea: Sea) -> None:
    found = []
    for number in range(WINDOW, WINDOW + 4):
        sea.flood(number)
        sea.run()
        found.append((artifact_of(sea).generation, value_of(sea)))
    # Six days are nearer to ten than four, so the gates refuse the one from scratch; so is the next one.
    assert found == [(1, 5.0), (2, 6.0), (0, 4.0), (0, 4.0)]
    live = sea.open().state().live["model"].artifact
    assert live.generation == 2
    sea.flood(WINDOW + 4)
    assert lineage_of(sea) == f"trains from scratch: {live.id} is generation 2 of 2"


def test_another_limit_changes_no_recipe(sea: Sea) -> None:
    sea.edit("warm_start=2", "warm_start=7")
    assert sea.ok() == {}
    sea.edit("warm_start=7", "warm_start=0")
    assert sea.ok() == {}
    sea.flood(WINDOW)
    sea.ok()
    assert artifact_of(sea).parent is None
    assert value_of(sea) == 4.0


def test_changed_code_trains_from_scratch(sea: Sea) -> None:
    first = artifact_of(sea)
    sea.edit("before + table", "1 + before + table")
    sea.flood(WINDOW)
    assert lineage_of(sea) == f"trains from scratch: the recipe changed since {first.id}"
    sea.ok()
    assert (artifact_of(sea).parent, value_of(sea)) == (None, 5.0)


def test_a_changed_unit_trains_from_scratch(tmp_path: Path) -> None:
    sea = Sea(tmp_path, WARM.replace("    x = tm.Float64()", '    x = tm.Float64(unit="m")'))
    for number in range(WINDOW + 1):
        sea.flood(number)
        sea.run()
    first = artifact_of(sea)
    assert first.generation == 1
    sea.edit('unit="m"', 'unit="km"')
    sea.flood(WINDOW + 1)
    why = f"trains from scratch: the contract of its inputs changed since {first.id}"
    assert lineage_of(sea) == why
    sea.run()
    assert artifact_of(sea).parent is None


def test_a_corrected_day_is_learned_again(sea: Sea) -> None:
    sea.flood(2, 7.0)
    sea.ok()
    assert (artifact_of(sea).generation, value_of(sea)) == (1, 5.0)
    # Labels that change count for the features, too.
    frame = pl.read_parquet(sea.root / "data" / f"{day(3)}.parquet")
    sea.put(f"{day(3)}.parquet", frame.with_columns(y=pl.lit(10.5)))
    sea.ok()
    assert (artifact_of(sea).generation, value_of(sea)) == (2, 6.0)


def test_rows_of_a_day_that_is_removed_do_not_stay_in_the_model(sea: Sea) -> None:
    sea.flood(WINDOW)
    sea.ok()
    second = artifact_of(sea)
    sea.withdraw(WINDOW)
    sea.run("features")
    sea.run("labels")
    lost = f"features {day(4)}, which {second.id} was trained on, is gone"
    assert lineage_of(sea) == f"trains from scratch: {lost}"
    sea.run()
    assert artifact_of(sea).parent is None


def test_a_rolled_back_version_is_continued(sea: Sea) -> None:
    first = artifact_of(sea)
    sea.flood(WINDOW)
    sea.ok()
    project = sea.open()
    project.models["model"].rollback(reason="a test")
    project.close()
    # A rollback alone trains nothing.
    assert "ok train model" not in sea.ok()
    sea.flood(WINDOW + 1)
    assert lineage_of(sea) == f"continues {first.id}, generation 1 of 2"
    sea.ok()
    assert value_of(sea) == 6.0, "both days that the first version hasn't seen"


def test_requested_again_it_gives_the_same_version(sea: Sea) -> None:
    sea.flood(WINDOW)
    sea.ok()
    second = artifact_of(sea)
    assert sea.ok(train=["model"])["ok train model"] == ["all"]
    assert artifact_of(sea) == second
    assert sea.ok() == {}


def test_another_environment_binds_the_same_training(sea: Sea) -> None:
    sea.open().environments.create("dev", parent="prod")
    sea.flood(WINDOW)
    sea.ok()
    second = artifact_of(sea)
    assert second.generation == 1
    project = open_project(sea.root, workflow=flow_of(sea.root, sea.text), env="dev")
    project.workspace.tools = sea.change(project.tools)
    receipt = project.run()
    assert receipt.exit_code == 0
    assert sea.ran(receipt)["bound bind model"] == ["all"]
    assert project.models.current("model", candidate=True) == second
    project.close()


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_parent_that_cannot_be_used_is_not_continued(sea: Sea, how: str) -> None:
    first = artifact_of(sea)
    path = object_files(sea, "model", WHOLE)[0]
    sea.flood(WINDOW)
    if how == "missing":
        path.unlink()
        assert lineage_of(sea) == f"trains from scratch: the stored model {first.id} is missing"
    else:
        flip(path, 0)
        # Nobody has read it since, so that the run finds out, and plans again.
        assert lineage_of(sea) == f"continues {first.id}, generation 1 of 2"
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    assert sea.ran(receipt)["ok train model"] == ["all"]
    assert (artifact_of(sea).parent, value_of(sea)) == (None, 4.0)
    # It is the live one again, which can be scored now.
    assert sea.ok() == {"bound bind scores": ["live"]}
    assert sea.ok() == {}


def test_a_parent_that_does_not_load_is_refused(sea: Sea) -> None:
    class Outgrown(ConstantFormat):
        def restore(self, payload: bytes) -> Constant:
            raise UsageError("written by a later version")

    first = artifact_of(sea)
    sea.use(formats=(Outgrown(),))
    sea.flood(WINDOW)
    receipt = sea.run()
    assert receipt.exit_code == 1
    [message] = [m for m in receipt.messages if "can't be loaded" in m]
    assert message.startswith(f"model {first.id} can't be loaded: written by a later version; ")
    assert message.endswith("with warm_start=0 the training is from scratch")
    assert artifact_of(sea) == first
    sea.edit("warm_start=2", "warm_start=0")
    sea.ok()
    assert artifact_of(sea).parent is None


def test_what_a_parent_says_of_itself(sea: Sea) -> None:
    sea.edit(
        "    before = ",
        "    if parent is not None:\n"
        "        assert (len(parent.version), parent.generation, parent.encodings) == (12, 0, ())\n"
        f"        assert parent.trained_on['labels'] == {tuple(day(n) for n in range(1, 5))!r}\n"
        "        try:\n            parent.unseen(features.filter(tm.open is not None))\n"
        "        except tm.TidemillError as error:\n"
        "            assert 'as the training function gets it' in str(error)\n"
        "        else:\n            raise AssertionError\n"
        "    before = ",
    )
    sea.flood(WINDOW)
    sea.ok()
    sea.flood(WINDOW + 1)
    sea.ok()
    assert artifact_of(sea).generation == 1


def test_lineage_is_shown(sea: Sea) -> None:
    first = artifact_of(sea)
    sea.flood(WINDOW)
    sea.ok()
    second = artifact_of(sea)
    project = sea.open()
    registered = project.models["model"]
    assert f"| continues | version `{first.id}`, generation 1 |" in registered.card().markdown
    assert second.lineage == f"continues {first.id}, generation 1"
    manifest = json.loads(registered.export(sea.root / "exported").read_text())
    assert (manifest["parent"], manifest["generation"]) == (first.id, 1)
    project.close()
