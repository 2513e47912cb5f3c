"""Random edits of code, data and profiles, run in production and in branches with profiles and without.

What an environment holds is made of the rows of its own sample, by the parameters of its own profile;
production holds nothing of either; and what was computed anywhere so is never computed again.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

import polars as pl
import pytest

from tests.behaviour.test_models import MODEL
from tests.support.constant import ConstantFormat
from tests.support.thoroughness import examples, thorough
from tests.support.tides import FIRST, Tides, day, flow_of
from tidemill.analysis.hashing.row_sample import sample_rows
from tidemill.core.errors import UsageError
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Outcome, Receipt
from tidemill.project.project import Project
from tidemill.project.settings import Settings
from tidemill.testing.doubles import MemoryArtifacts, MemoryLedger
from tidemill.workflow.environment import PRODUCTION, RunProfile

STEPS = 24
SEEDS = range(int(os.environ.get("PROFILE_SEEDS", examples(1, 4))))
VALUES, SHARES = (9.0, 9.5, 9.9), (None, 0.5, 0.7)
# The profiles, and the environments that are made with them (or with none).
PROFILES = ("a", "b")
BRANCHES = {"plain": None, "quick": "a", "other": "b", "twin": "a"}
TEXT = MODEL[: MODEL.index("@flow.evaluate")].replace(
    'window=tm.last("4d", before=tm.last("2d")), params={"value": 9.0}, seed=1',
    'params={"value": VALUE}, seed=1, retrain=tm.new_data()',
)
# What a model is made of: its parameter, its sample, its rows.
Made: TypeAlias = tuple[float, float, tuple[object, ...]]


@dataclass(kw_only=True)
class Branch:
    """What a run in an environment left there; `value` is the parameter that its model had."""

    profile: str | None = None
    sample: float = 1.0
    value: float | None = None


class Sandbox:
    """One project, its profiles, and what must be in its environments."""

    def __init__(self, root: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.tides = Tides(root, TEXT)
        self.tides.use(
            ledger=MemoryLedger(), artifacts=MemoryArtifacts(), formats=(ConstantFormat(),)
        )
        self.declared = VALUES[0]
        self.profiles = {name: RunProfile(name=name) for name in PROFILES}
        self.branches = {PRODUCTION: Branch()}
        self.rows: dict[int, pl.DataFrame] = {}
        self.trained: set[Made] = set()
        self.did: Counter[str] = Counter()
        for number in range(3):
            self.send(number)
        self.run(PRODUCTION)

    def send(self, number: int) -> None:
        x = [float(self.rng.randrange(3)) for _ in range(6)]
        days = pl.Series("day", [FIRST] * 6).dt.offset_by(f"{number}d")
        self.rows[number] = pl.DataFrame({"day": days, "id": range(6), "x": x, "y": [10.0] * 6})
        self.tides.put(f"{day(number)}.parquet", self.rows[number])

    def open(self, env: str, profile: str | None = None) -> Project:
        self.tides.text = TEXT.replace("VALUE", str(self.declared))
        settings = Settings(root=self.tides.root, workflow="tides:flow", profiles=self.profiles)
        project = Project(settings, flow_of(self.tides.root, self.tides.text), env, None, profile)
        project.workspace.tools = self.tides.change(project.tools)
        return project

    def value(self, profile: str | None) -> float:
        said = {} if profile is None else self.profiles[profile].params.get("model", {})
        return float(said.get("value", self.declared))

    def step(self) -> None:
        name = self.rng.choice(
            ("run", "run", "branch", "branch", "edit", "profile", "data", "promote")
        )
        self.did[name] += 1
        if name == "edit":
            self.declared = self.rng.choice(VALUES)
        elif name == "data":
            self.send(self.rng.randrange(4))
        elif name == "profile":
            value = self.rng.choice((None, *VALUES))
            self.profiles[name := self.rng.choice(PROFILES)] = RunProfile(
                name=name,
                sample=self.rng.choice(SHARES),
                params={} if value is None else {"model": {"value": value}},
            )
        elif name == "promote":
            self.promote(self.rng.choice(sorted(self.branches)))
        else:
            env = PRODUCTION if name == "run" else self.rng.choice(sorted(BRANCHES))
            if env in self.branches and env != PRODUCTION and self.rng.random() < 0.2:
                with self.open(PRODUCTION) as project:
                    project.environments.drop([env])
                del self.branches[env]
            self.run(env)

    def run(self, env: str) -> None:
        profile = None
        if env not in self.branches:
            profile = BRANCHES[env]
            share = self.profiles[profile].sample if profile else None
            self.branches[env] = Branch(profile=profile, sample=share or 1.0)
        with self.open(env, profile) as project:
            receipt = project.run(inline=True, raise_on_failure=False)
        assert receipt.exit_code == 0, receipt.messages
        self.judge(env, receipt)

    def promote(self, source: str) -> None:
        if source == PRODUCTION:
            return
        branch = self.branches[source]
        ran = branch.value == self.value(branch.profile)
        with self.open(PRODUCTION) as project:
            if not ran:
                self.did["refused"] += 1
                with pytest.raises(UsageError, match="model: its parameters changed"):
                    project.promote(source, raise_on_failure=False)
                return
            receipt = project.promote(source, raise_on_failure=False)
        assert receipt.exit_code == 0, receipt.messages
        self.did["promoted"] += 1
        self.judge(PRODUCTION, receipt)

    def judge(self, env: str, receipt: Receipt) -> None:
        """What is published in an environment, and what the run did for its model."""
        branch = self.branches[env]
        branch.value = self.value(branch.profile)
        rows = [
            sample_rows(frame, ("day", "id"), branch.sample) if branch.sample != 1.0 else frame
            for _, frame in sorted(self.rows.items())
        ]
        wanted = pl.concat(rows).sort("day", "id")
        with self.open(env) as project:
            state = project.state()
            assert project.plan().empty
            found = project.read("raw").collect().sort("day", "id")
        assert found.select(wanted.columns).equals(wanted)
        held = [held for head in state.heads.values() for held in head.partitions.values()]
        assert {binding.sample for binding in held} == {branch.sample}
        artifact = state.heads["model"].partitions["all"].product.artifact
        assert artifact is not None
        assert artifact.params == f'{{"value": {branch.value}}}'
        assert artifact.rows == wanted.height
        made = (branch.value, branch.sample, tuple(wanted.rows()))
        attempts = [
            event.attempt
            for event in self.tides.events("Attempted", run=receipt.run)
            if isinstance(event, Attempted) and event.attempt.stage == "model"
        ]
        ran = {attempt.outcome for attempt in attempts}
        assert ran <= ({Outcome.BOUND} if made in self.trained else {Outcome.OK}), attempts
        self.did.update(map(str, ran))
        self.trained.add(made)


@thorough
def test_nothing_is_confused(tmp_path: Path) -> None:
    did = Counter[str]()
    for seed in SEEDS:
        sandbox = Sandbox(tmp_path / str(seed), seed)
        for _ in range(STEPS):
            sandbox.step()
        did.update(sandbox.did)
    # What can become of a run, and of a promotion, came about.
    assert {"ok", "bound", "refused", "promoted"} <= set(did), did
