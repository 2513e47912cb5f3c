"""No sweep deletes what anything can reach, whatever happens beside it and wherever it dies."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.swept_home import DAY, HOUR, LONG, OTHER, SHOP, THEIRS, SweptHome
from tests.support.tables import rebuild, tables
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite.compaction import SqliteCompaction
from tidemill.adapters.sqlite.integrity import find_damage, read_events, rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.binding import Binding
from tidemill.ledger.compaction_report import CompactionTerms
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ports.ledger import Lease

ENVIRONMENTS = st.sampled_from(
    ["shop/prod", "shop/dev", "shop/dev", "shop/trial", "b/prod", "b/dev"]
)
BRANCHES = st.sampled_from(["shop/dev", "shop/trial", "b/dev"])
# What a compaction changes: how events are stored.
STORED = ("events", "links", "compacted")
WORKFLOWS = st.sampled_from([SHOP, SHOP, OTHER])
STAGES, PARTITIONS = st.sampled_from("ab"), st.sampled_from("pq")
VERSIONS = st.integers(0, 4)
# One thing that happens beside a sweep: its name and the choices it is made of.
BESIDE = st.tuples(
    st.sampled_from(
        [
            *(
                "publish",
                "again",
                "branch",
                "drop",
                "deliver",
                "remove",
                "pin",
                "pin run",
                "review",
            ),
            *("declare", "sweep"),
        ]
    ),
    ENVIRONMENTS,
    STAGES,
    PARTITIONS,
    VERSIONS,
)


class Histories(RuleBasedStateMachine):
    """Random histories of a home with branches, deliveries, reviews, runs, sweeps and kills."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.home = SweptHome(self.folder)
        self.runs: list[Lease] = []

    @rule(hours=st.sampled_from([0.5, 2, 12, 40, 80]))
    def wait(self, hours: float) -> None:
        self.home.note_bound()
        self.home.now += hours * HOUR

    @rule(environment=ENVIRONMENTS, stage=STAGES, partition=PARTITIONS, version=VERSIONS)
    def publish(self, environment: str, stage: str, partition: str, version: int) -> None:
        self.home.publish(environment, stage, partition, version)

    @rule(environment=ENVIRONMENTS, stage=STAGES, partition=PARTITIONS, version=VERSIONS)
    def compute_again(self, environment: str, stage: str, partition: str, version: int) -> None:
        """Repair rows that were lost: the same step, and maybe other rows."""
        self.home.publish(environment, stage, partition, version, again=True)

    @rule(settings=st.sampled_from(THEIRS))
    def declare(self, settings: RetentionSettings) -> None:
        self.home.declare(OTHER, settings)

    @rule(stage=STAGES, partition=PARTITIONS, version=VERSIONS)
    def compute(self, stage: str, partition: str, version: int) -> None:
        self.home.compute(stage, partition, version)

    @rule(environment=ENVIRONMENTS, stage=STAGES, partition=PARTITIONS)
    def remove(self, environment: str, stage: str, partition: str) -> None:
        self.home.remove(environment, stage, partition)

    @rule(name=BRANCHES, parent=st.sampled_from(["prod", "dev"]))
    def branch(self, name: str, parent: str) -> None:
        self.home.branch(name, f"{name.partition('/')[0]}/{parent}")

    @rule(name=BRANCHES)
    def drop(self, name: str) -> None:
        self.home.note_bound()
        self.home.drop(name)

    @rule(environment=ENVIRONMENTS, version=VERSIONS)
    def deliver(self, environment: str, version: int) -> None:
        self.home.deliver(environment, version)

    @rule(environment=ENVIRONMENTS, stage=STAGES, partition=PARTITIONS)
    def release_rows(self, environment: str, stage: str, partition: str) -> None:
        self.home.rule(environment, stage, partition)

    @rule(environment=ENVIRONMENTS, stage=STAGES, partition=PARTITIONS, done=st.booleans())
    def write(self, environment: str, stage: str, partition: str, done: bool) -> None:
        self.home.write(environment, stage, partition, done=done)

    @rule(environment=ENVIRONMENTS, open_=st.booleans())
    def review(self, environment: str, open_: bool) -> None:
        self.home.review(environment, open_=open_)

    @rule(number=st.integers(0, 2), gone=st.booleans())
    def pull(self, number: int, gone: bool) -> None:
        self.home.pull(number, gone=gone)

    @rule(what=st.sampled_from(["a", "b@p", "run-1", "run-2", "run-3"]), pinned=st.booleans())
    def pin(self, what: str, pinned: bool) -> None:
        self.home.pin(what, pinned=pinned)

    @rule(number=st.integers(0, 2))
    def orphan(self, number: int) -> None:
        self.home.orphan(number)

    @rule(environment=ENVIRONMENTS)
    def begin_run(self, environment: str) -> None:
        lease = self.home.begin_run(environment)
        self.runs += [lease] if lease is not None else []

    @rule()
    def end_run(self) -> None:
        if self.runs:
            self.home.ledger.release(self.runs.pop())

    @rule(prefix=WORKFLOWS)
    def sweep(self, prefix: str) -> None:
        self.home.sweep(prefix)

    @rule(prefix=WORKFLOWS, dies_after=st.integers(0, 12))
    def killed_sweep(self, prefix: str, dies_after: int) -> None:
        self.home.sweep(prefix, dies_after=dies_after)

    @rule(days=st.sampled_from([0.0, 1.0]))
    def compact(self, days: float) -> None:
        """Old events lose details: nothing that is derived of them changes."""
        path, every = self.folder / "ledger.db", self.home.every_key()
        before = tables(path), self.home.ledger.traces(every)
        terms = CompactionTerms(after_s=days * DAY, batch=7)
        SqliteCompaction(path).compact(terms, now=self.home.now)
        after = tables(path), self.home.ledger.traces(every)
        assert {name: rows for name, rows in after[0].items() if name not in STORED} == {
            name: rows for name, rows in before[0].items() if name not in STORED
        }
        assert after[1] == before[1]

    @rule(steps=st.lists(BESIDE, min_size=1, max_size=6))
    def sweep_beside(self, steps: list[tuple[Any, ...]]) -> None:
        """Something happens between any two operations of a sweep, also a second sweep."""
        left = [*steps]

        def between() -> None:
            if left:
                self._happen(*left.pop())

        self.home.moments.between = between
        self.home.sweep()
        self.home.moments.between = lambda: None

    def _happen(self, name: str, environment: str, stage: str, partition: str, at: int) -> None:
        home = self.home
        actions: dict[str, Callable[[], object]] = {
            "publish": lambda: home.publish(environment, stage, partition, at),
            "again": lambda: home.publish(environment, stage, partition, at, again=True),
            "branch": lambda: home.branch(environment, f"{environment.partition('/')[0]}/prod"),
            "drop": lambda: home.drop(environment) if "prod" not in environment else None,
            "deliver": lambda: home.deliver(environment, at),
            "remove": lambda: home.remove(environment, stage, partition),
            "pin": lambda: home.pin(stage, pinned=True),
            "pin run": lambda: home.pin(f"run-{1 + at % 3}", pinned=True),
            "declare": lambda: home.declare(OTHER, THEIRS[at % len(THEIRS)]),
            "review": lambda: home.review(environment, open_=True),
            "sweep": lambda: home.sweeper().sweep("second"),
        }
        if name == "sweep":
            # The first one holds the lease; its process counts as dead, so it has lost it now.
            moments, home.ledger.moments = home.ledger.moments, None
            actions[name]()
            home.ledger.moments = moments
        else:
            home.note_bound()
            actions[name]()

    @invariant()
    def nothing_needed_is_missing(self) -> None:
        self.home.note_bound()
        assert self.home.missing() == {}

    @invariant()
    def what_was_bound_lately_can_be_reused(self) -> None:
        keys = self.home.reusable()
        assert {*self.home.ledger.traces(keys)} == keys

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.home.ledger.close()
            shutil.rmtree(self.folder)

    def _end(self) -> None:
        """After a long time, two sweeps leave nothing but what is needed, and the ledger can be rebuilt."""
        home = self.home
        for lease in self.runs:
            home.ledger.release(lease)
        for target in ("a", "b", "b@p", "run-1", "run-2", "run-3"):
            home.pin(target, pinned=False)
        for name in home.ledger.state("").environments:
            home.review(name, open_=False)
        home.declare(OTHER, THEIRS[-1])
        home.now += LONG
        assert home.sweep() is not None
        # What was stored, marked and never bound goes with the next.
        home.now += DAY
        assert home.sweep() is not None
        assert home.missing() == {}
        assert home.stored() - {*home.needed()} - home.last_written() - home.same_keys() == set()
        self.compact(0.0)
        home.ledger.close()
        rebuild(self.folder / "ledger.db", self.folder / "copy.db")
        assert tables(self.folder / "copy.db") == tables(self.folder / "ledger.db")
        self._rebuild_a_part(home)

    def _rebuild_a_part(self, home: SweptHome) -> None:
        """What lost its details can't be reused, whatever events are missing."""
        path, part = self.folder / "ledger.db", self.folder / "part.db"
        events, _ = read_events(path)
        rebuild_from(events, part, is_complete=False)
        assert find_damage(part) == []
        assert traces(part, home) == traces(path, home)
        part.unlink()
        kinds = ("SweepMarked", "SweepConfirmed", "Compacted")
        left = [each for each in events if type(each.event).__name__ not in kinds]
        rebuild_from(left, part, is_complete=False)
        assert find_damage(part) == []
        assert all(binding.recipe for binding in traces(part, home).values())


def traces(path: Path, home: SweptHome) -> Mapping[str, Binding]:
    """What can be reused by a ledger."""
    with closing(SqliteLedger(path)) as ledger:
        return ledger.traces(home.every_key())


TestHistories = thorough(Histories.TestCase)
TestHistories.settings = settings(
    settings.get_profile("steady"),
    max_examples=examples(15, 40),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
