"""Environments with a profile: their own parameters and sample, and nothing of it in production."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tidemill as tm
from tests.behaviour.test_models import Sea, flooded
from tests.support.tides import flow_of
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.ledger.event import Published
from tidemill.ledger.run import Receipt
from tidemill.project.project import Project
from tidemill.project.settings import Settings
from tidemill.workflow.environment import PRODUCTION, RunProfile

QUICK, DEV = "quick", "dev-ana"
# The label is 10: what is nearer to it passes the gate.
CHEAP = {QUICK: RunProfile(name=QUICK, params={"model": {"value": 9.9}}, place="toml: [quick]")}
SAMPLED = {QUICK: replace(CHEAP[QUICK], sample=0.5)}
SAME = {QUICK: RunProfile(name=QUICK, params={"model": {"value": 9.0}})}


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    made = flooded(tmp_path)
    made.ok()
    return made


@contextmanager
def opened(
    sea: Sea, env: str = PRODUCTION, profiles: Any = CHEAP, name: str = "tides:flow", **how: Any
) -> Iterator[Project]:
    flow = flow_of(sea.root, sea.text)
    settings = Settings(root=sea.root, workflow=name, profiles=profiles)
    with Project(settings, flow, env, **how) as project:
        project.workspace.tools = sea.change(project.tools)
        yield project


def ran(sea: Sea, env: str, profiles: Any = CHEAP, *, train: bool = True, **how: Any) -> Receipt:
    with opened(sea, env, profiles, **how) as project:
        receipt = project.run(train=["model"] if train else [], inline=True)
    assert receipt.exit_code == 0, receipt.messages
    return receipt


def value(sea: Sea, env: str = PRODUCTION) -> str:
    """The parameters of the model that is live."""
    with opened(sea, env) as project:
        return project.state().live["model"].artifact.params


def did(receipt: Receipt) -> dict[str, tuple[int, int]]:
    return {tally.stage: (tally.ran, tally.bound) for tally in receipt.stages}


def test_only_what_a_profile_names_is_another(sea: Sea) -> None:
    receipt = ran(sea, QUICK, profile=QUICK)
    assert receipt.messages[0] == "quick is a new branch of prod, with the profile quick"
    done = did(receipt)
    assert {done[name] for name in ("raw", "features", "labels")} == {(0, 0)}
    assert done["model"][0] == 2  # trained, and judged
    assert (value(sea, QUICK), value(sea)) == ('{"value": 9.9}', '{"value": 9.0}')
    with opened(sea) as project:
        assert project.plan().empty


def test_it_is_remembered(sea: Sea) -> None:
    ran(sea, QUICK, profile=QUICK)
    assert ran(sea, QUICK, train=False).messages == ()
    with opened(sea, QUICK) as project:
        assert project.environments.list()[-1].profile == QUICK
        training = project.stage("model").training
        assert training is not None
        assert training.params == {"value": 9.9}
        made = project.environments.create("deep", parent=QUICK)
        assert (made.profile, project.environments.list()[-1].profile) == (QUICK, QUICK)
        made = project.environments.create("plain", parent=PRODUCTION)
        assert made.profile == ""


def test_a_profile_that_says_what_is_declared_shares_everything(sea: Sea) -> None:
    assert did(ran(sea, QUICK, SAME, train=False, profile=QUICK)) == dict.fromkeys(
        ("raw", "features", "labels", "model", "scores", "out"), (0, 0)
    )
    with opened(sea, QUICK, SAME) as branch, opened(sea) as project:
        assert {n: r.digest for n, r in branch.recipes.items()} == {
            n: r.digest for n, r in project.recipes.items()
        }


def test_an_edit_of_the_profile_is_an_edit_of_the_recipe(sea: Sea) -> None:
    ran(sea, QUICK, profile=QUICK)
    other = {QUICK: replace(CHEAP[QUICK], params={"model": {"value": 9.95}})}
    with opened(sea, QUICK, other) as project:
        [state] = project.plan().models
        assert state.outdated == ("its parameters changed",)
    ran(sea, QUICK, other)
    assert value(sea, QUICK) == '{"value": 9.95}'
    # And back: it is known.
    with opened(sea, QUICK) as project:
        assert [(s.stage, s.action) for s in project.plan(stage="model").steps][:1] == [
            ("model", "bind")
        ]


def test_production_binds_nothing_that_a_profile_made(sea: Sea) -> None:
    """Although it takes the recipes of the branch, of which the parameters stay behind."""
    sea.edit('raw.select("day", "id", "x")', 'raw.select("day", "id", x=pl.col("x") + 1)')
    for name, profiles in (("params", CHEAP), ("sampled", SAMPLED)):
        ran(sea, name, profiles, profile=QUICK)
        with opened(sea, PRODUCTION, profiles) as project:
            receipt = project.promote(name, train=["model"], raise_on_failure=False)
            assert receipt.exit_code in (0, 4), receipt.messages
            assert project.plan().empty
        assert value(sea) == '{"value": 9.0}'
    with opened(sea) as project:
        heads = project.state().heads.values()
        assert {held.sample for head in heads for held in head.partitions.values()} == {1.0}
        for fact in project.tools.ledger.events(kinds=("Published",)):
            assert isinstance(fact.event, Published)
            artifact = fact.event.binding.product.artifact
            if artifact is not None and fact.event.environment == PRODUCTION:
                assert artifact.params == '{"value": 9.0}'


def test_only_what_the_branch_ran_is_promoted(sea: Sea) -> None:
    ran(sea, QUICK, profile=QUICK)
    other = {QUICK: replace(CHEAP[QUICK], params={"model": {"value": 1.0}})}
    with (
        opened(sea, PRODUCTION, other) as project,
        pytest.raises(UsageError, match="isn't what quick ran:\n  model: its parameters changed"),
    ):
        project.promote(QUICK, raise_on_failure=False)
    with opened(sea) as project:
        assert project.promote(QUICK, raise_on_failure=False).exit_code == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"env": PRODUCTION, "profile": QUICK}, "which changes what is computed: use --env NAME"),
        ({"env": DEV, "profile": "qick"}, r"no profile 'qick' in \[tool.* \(did you mean 'quick'\?\)"),
        ({"env": DEV, "profile": QUICK, "name": "tides"}, "object: name it as module:name"),
        ({"env": DEV, "profile": QUICK, "profiles": SAMPLED, "sample": 0.1},
         "the profile 'quick' uses a sample of 0.5, not 0.1: omit the sample"),
        ({"env": "known", "profile": "other"}, "'known' runs with the profile 'quick', which was fixed"),
        ({"env": "bare", "profile": QUICK}, r"'bare' runs without a profile, .* --env bare-quick --prof"),
        ({"env": "half", "profile": QUICK, "profiles": {QUICK: replace(CHEAP[QUICK], sample=0.1)}},
         r"'half' runs on a sample of 0.5, .* --env half-0.1 --profile quick"),
    ],
)  # fmt: skip
def test_what_is_refused(sea: Sea, how: dict[str, Any], words: str) -> None:
    profiles = {**CHEAP, "other": RunProfile(name="other", sample=0.3)}
    with opened(sea) as project:
        project.environments.create("known", profile=QUICK)
        project.environments.create("bare")
    with opened(sea, profiles=SAMPLED) as project:
        project.environments.create("half", profile=QUICK)
    if how.get("name"):
        profiles = {}
    with pytest.raises(UsageError, match=words), opened(sea, **{"profiles": profiles, **how}) as it:
        it.run()


def test_a_profile_that_is_gone_is_asked_for_again(sea: Sea) -> None:
    ran(sea, QUICK, profile=QUICK)
    with opened(sea, QUICK, {}) as project:
        for act in (project.run, project.plan, lambda: project.stage("model")):
            with pytest.raises(
                UsageError, match=r"'quick', which isn't in .*tidemill env drop quick"
            ):
                act()
    with opened(sea, PRODUCTION, {}) as project:
        assert project.environments.list()[-1].profile == QUICK
        assert project.environments.drop([QUICK]).dropped == (QUICK,)


def test_a_sample_is_settled_whatever_its_profile_says_later(sea: Sea) -> None:
    ran(sea, QUICK, SAMPLED, profile=QUICK)
    later = {QUICK: replace(SAMPLED[QUICK], sample=0.1)}
    assert did(ran(sea, QUICK, later, train=False))["raw"] == (0, 0)
    with opened(sea, QUICK, later) as project:
        assert project.flow["raw"].sample == 0.5


def test_check_finds_what_does_not_fit(sea: Sea) -> None:
    wrong = {QUICK: RunProfile(name=QUICK, params={"model": {"valu": 1}}, place="toml: [quick]")}
    with opened(sea, profiles=wrong) as project:
        words = r"toml: \[quick\]: params\.model\.valu = 1: .*\(did you mean 'value'"
        with pytest.raises(DeclarationError, match=words):
            project.check()
        # Who doesn't use it isn't disturbed.
        assert project.plan().empty


def test_another_process_trains_with_what_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worker processes are told the profile: what the file says may be something else by then."""
    Sea(tmp_path).flood(0)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.tidemill]\nworkflow = 'shore:flow'\nworkers = 1\n"
        "[tool.tidemill.profiles.quick.params.model]\nrounds = 3\nrate = 1\n"
    )
    (tmp_path / "shore.py").write_text(SHORE)
    monkeypatch.syspath_prepend(str(tmp_path))
    with tm.open(tmp_path, env=QUICK, profile=QUICK) as project:
        (tmp_path / "pyproject.toml").write_text("[tool.tidemill]\nworkflow = 'shore:flow'\n")
        receipt = project.run()
    assert receipt.exit_code == 0, receipt.messages
    said = (tmp_path / "said.txt").read_text().split()
    assert (said[1:], said[0] != str(os.getpid())) == (["3", "1.0"], True)


SHORE = """
import os
from pathlib import Path

import lightgbm as lgb
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    x = tm.Float64()
    y = tm.Float64()


flow = tm.Workflow("shore")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.model(
    params={"rounds": 5, "rate": 0.1}, version="1",
    resources=tm.resources(lane="process"),
)
def model(raw: tm.Frame[Raw], params: tm.Params) -> tm.Fitted:
    told = f"{os.getpid()} {params['rounds']} {params['rate']}"
    Path(__file__).with_name("said.txt").write_text(told)
    table = raw.collect()
    data = lgb.Dataset(table.select("x").to_numpy(), table["y"].to_numpy())
    booster = lgb.train({"verbose": -1, "min_data_in_leaf": 1}, data, params["rounds"])
    return tm.fitted(booster, inputs=Raw.reads("x"), output="y")
"""
