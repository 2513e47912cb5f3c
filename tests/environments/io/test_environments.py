"""Environments: a branch costs nothing, goes its own way, and is promoted as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.behaviour.test_models import WINDOW, Sea, flooded
from tests.support.tides import STAGES, Tides, day, flow_of, rows_of
from tidemill.core.errors import ConflictError, UsageError
from tidemill.environments.io.compare import StageDiff
from tidemill.ledger.event import Attempted, Computed, Published, RunStarted
from tidemill.ledger.run import Receipt, Status
from tidemill.lineage.io.provenance import explain
from tidemill.ports.ledger import State
from tidemill.project.project import Project, open_project
from tidemill.runs.io.publisher import AtomicPublisher
from tidemill.testing import records as samples
from tidemill.testing.doubles import MemoryLedger
from tidemill.workflow.environment import PRODUCTION

DEV = "dev-ana"


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    made = Tides(tmp_path)
    for number in range(3):
        made.send(number)
    made.ok()
    return made


@contextmanager
def opened(tides: Tides, env: str = PRODUCTION, **how: Any) -> Iterator[Project]:
    flow = flow_of(tides.root, tides.text)
    with open_project(tides.root, workflow=flow, env=env, **how) as project:
        yield project


def ran(tides: Tides, env: str = PRODUCTION, **how: Any) -> Receipt:
    with opened(tides, env, **how) as project:
        receipt = project.run()
    assert (receipt.status, receipt.exit_code) == (Status.OK, 0), receipt.messages
    return receipt


def did(receipt: Receipt) -> dict[str, tuple[int, int]]:
    """How many steps of each stage ran, and were bound."""
    return {tally.stage: (tally.ran, tally.bound) for tally in receipt.stages}


def rows(tides: Tides, stage: str, env: str = PRODUCTION) -> list[dict[str, Any]]:
    with opened(tides, env) as project:
        return project.read(stage).collect().to_dicts()


def promoted(tides: Tides, source: str = DEV, target: str = PRODUCTION) -> Receipt:
    with opened(tides, target) as project:
        return project.promote(source, raise_on_failure=False)


def heads(tides: Tides, env: str = PRODUCTION) -> dict[str, dict[str, str]]:
    with opened(tides, env) as project:
        return {
            stage: {key: held.key for key, held in head.partitions.items()}
            for stage, head in project.state().heads.items()
        }


def state(tides: Tides, env: str = PRODUCTION) -> State:
    with opened(tides, env) as project:
        return project.tools.ledger.state(env, whole=True)


def facts(tides: Tides, kind: type[Any], after: int = 0) -> list[Any]:
    with opened(tides) as project:
        found = project.tools.ledger.events(kinds=(kind.__name__,), after=after)
        return [fact.event for fact in found]


def test_the_first_run_branches_off_production_and_has_nothing_to_do(tides: Tides) -> None:
    with opened(tides, DEV) as project:
        assert project.plan().empty
        with pytest.raises(UsageError, match=r"no environment 'dev-ana' \(.*prod.*its first run"):
            project.state()
    published = len(facts(tides, Published))
    receipt = ran(tides, DEV)
    assert receipt.messages == ("dev-ana is a new branch of prod",)
    assert did(receipt) == dict.fromkeys(STAGES, (0, 0))
    assert len(facts(tides, Published)) == published
    assert heads(tides, DEV) == heads(tides)
    assert ran(tides, DEV).messages == ()


def test_a_branch_goes_its_own_way(tides: Tides) -> None:
    before = heads(tides)
    tides.edit("value * 2", "value * 3")
    assert did(ran(tides, DEV)) == {"raw": (0, 0), "doubled": (3, 0), "daily": (3, 0)}
    assert heads(tides) == before
    assert rows(tides, "daily", DEV)[0]["total"] == 18.0
    assert rows(tides, "daily")[0]["total"] == 12.0


def test_what_production_ingests_meanwhile_stays(tides: Tides) -> None:
    """Branch on Monday, production ingests on Tuesday, promote on Wednesday."""
    old = tides.text
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    new, tides.text = tides.text, old
    tides.send(3, (10.0,))
    tides.send(0, (5.0,))
    ran(tides)
    tuesday = heads(tides)
    tides.text = new
    receipt = promoted(tides)
    assert (receipt.status, receipt.exit_code) == (Status.OK, 0)
    # What the branch made is bound; only what came on Tuesday is computed.
    assert did(receipt) == {"raw": (0, 0), "doubled": (2, 2), "daily": (2, 2)}
    assert heads(tides)["raw"] == tuesday["raw"]
    assert {row["day"].day: row["total"] for row in rows(tides, "daily")} == {
        1: 15.0, 2: 18.0, 3: 18.0, 4: 30.0,
    }  # fmt: skip
    assert did(ran(tides)) == dict.fromkeys(STAGES, (0, 0))
    assert did(promoted(tides)) == dict.fromkeys(STAGES, (0, 0))


def test_only_code_that_the_branch_ran_is_promoted(tides: Tides) -> None:
    ran(tides, DEV)
    tides.edit("value * 2", "value * 3")
    with pytest.raises(
        UsageError, match=r"isn't what dev-ana ran:\n  doubled: the expression for `double` changed"
    ):
        promoted(tides)
    with opened(tides, DEV) as project:
        project.run(since=day(1), until=day(1))
    # Some of it ran there.
    assert did(promoted(tides)) == {"raw": (0, 0), "doubled": (2, 1), "daily": (2, 1)}
    for source, words in ((PRODUCTION, "itself"), ("dev-anna", "did you mean 'dev-ana'")):
        with pytest.raises(UsageError, match=words):
            promoted(tides, source)


def test_a_stage_that_the_branch_has_not_is_not_promoted(tides: Tides) -> None:
    ran(tides, DEV)
    tides.text = tides.text.replace("def daily(", "def weekly(")
    with pytest.raises(UsageError, match="weekly: new stage"):
        promoted(tides)


FAILING = 'double=times(pl.col("value")).cast(pl.String).str.replace("15.0", "x").cast(pl.Float64)'


def test_when_a_step_fails_nothing_is_published_and_nothing_lost(tides: Tides) -> None:
    tides.edit('double=times(pl.col("value"))', FAILING)
    ran(tides, DEV)
    tides.send(3)
    tides.send(4, (7.5,))  # the branch never saw what it makes of this
    before = heads(tides)
    receipt = promoted(tides)
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    assert receipt.messages[0].startswith("nothing was published: prod is unchanged")
    assert heads(tides) == before
    assert len(facts(tides, Computed)) == 4  # two days of raw, the good one of the others
    tides.send(4, (7.0,))
    assert did(promoted(tides)) == {"raw": (1, 1), "doubled": (1, 4), "daily": (1, 1)}
    assert set(heads(tides)["daily"]) == {day(number) for number in range(5)}


def test_all_heads_move_at_once(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    tides.send(3)
    seen: list[dict[str, dict[str, str]]] = []
    publish = AtomicPublisher._publish

    def watched(self: AtomicPublisher, parcels: Any) -> None:
        publish(self, parcels)
        seen.append(heads(tides))

    before = heads(tides)
    began = {name: head.version for name, head in state(tides).heads.items()}
    monkeypatch.setattr(AtomicPublisher, "_publish", watched)
    promoted(tides)
    assert seen
    assert all(found == before for found in seen)
    after = len(facts(tides, Published))
    with opened(tides) as project:
        batches = {fact.seq for fact in project.tools.ledger.events(kinds=("Published",))}
    assert len(batches) == after
    assert set(heads(tides)["daily"]) == {day(number) for number in range(4)}
    versions = {name: head.version for name, head in state(tides).heads.items()}
    assert versions == {name: version + 1 for name, version in began.items()}


def test_a_head_that_moved_meanwhile_is_a_conflict(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    commit = AtomicPublisher.commit

    def late(self: AtomicPublisher) -> None:
        bound = state(tides).heads["raw"].partitions[day(0)]
        event = Published(environment=PRODUCTION, stage="raw", partition=day(0), binding=bound)
        self._tools.ledger.append([event], now=1.0)
        commit(self)

    before = heads(tides)
    monkeypatch.setattr(AtomicPublisher, "commit", late)
    with pytest.raises(ConflictError, match="'raw' in 'prod' moved"):
        promoted(tides)
    monkeypatch.setattr(AtomicPublisher, "commit", commit)
    assert heads(tides) == before
    assert did(promoted(tides)) == {"raw": (0, 0), "doubled": (0, 3), "daily": (0, 3)}


def test_a_sample_is_the_same_in_every_run(tides: Tides) -> None:
    tides.put("many.parquet", rows_of(9, [float(number) for number in range(1000)]))
    ran(tides)
    receipt = ran(tides, "small", sample=0.25)
    assert receipt.messages == ("small is a new branch of prod, on a sample of 0.25",)
    found = rows(tides, "raw", "small")
    assert 200 < len(found) < 300
    again = ran(tides, "other", sample=0.25)
    assert did(again)["raw"] == (0, 4)
    assert rows(tides, "raw", "other") == found
    ran(tides, "half", sample=0.5)
    assert {row["id"] for row in found} < {row["id"] for row in rows(tides, "raw", "half")}
    assert did(ran(tides, "small")) == dict.fromkeys(STAGES, (0, 0))
    ids = {row["id"] for row in found if row["day"].day == 10}
    assert {row["id"] for row in rows(tides, "doubled", "small") if row["day"].day == 10} == ids


def test_production_takes_no_sample_and_a_sample_is_settled(tides: Tides) -> None:
    with pytest.raises(UsageError, match="prod never runs on a sample"), opened(tides, sample=0.1):
        pass
    for share in (0.0, 1.0, 5.0, float("nan")):
        with (
            opened(tides, DEV, sample=share) as project,
            pytest.raises(UsageError, match="not a sample"),
        ):
            project.plan()
    ran(tides, DEV, sample=0.5)
    with (
        opened(tides, DEV, sample=0.1) as project,
        pytest.raises(UsageError, match=r"sample of 0\.5"),
    ):
        project.run()
    with opened(tides, DEV) as project:
        project.environments.create("deep", parent=DEV)
        assert project.environments.list()[-1].sample == 0.5


def test_nothing_sampled_is_bound_in_production(tides: Tides) -> None:
    """Although a sample of everything has the same bytes; and although someone forged its key."""
    tides.put("one.parquet", rows_of(9, (1.0,)))
    tides.edit("@flow.ingest", "@flow.ingest(sample_by=())")
    ran(tides, "small", sample=0.5)
    with opened(tides, "small") as project:
        sampled = project.state().heads["raw"].partitions[day(9)]
    assert sampled.sample == 0.5
    receipt = ran(tides)
    assert did(receipt)["raw"] == (1, 0)
    bound = state(tides).heads["raw"].partitions[day(9)]
    assert (bound.product.content, bound.sample) == (sampled.product.content, 1.0)
    assert bound.key != sampled.key
    event = Published(environment=PRODUCTION, stage="raw", partition=day(9), binding=sampled)
    with opened(tides) as project, pytest.raises(ConflictError, match=r"on a sample of 0\.5"):
        project.tools.ledger.append([event], now=1.0)


def test_a_trace_of_a_sample_is_not_taken_whatever_its_key(tides: Tides) -> None:
    """The binding says so, too: a key alone wouldn't do."""
    with opened(tides, "honest") as project:
        tides.send(5)
        project.run()
        known = {s: project.state().heads[s].partitions[day(5)] for s in STAGES}
    forging = Tides(tides.root / "forged")
    forging.send(5)
    with opened(forging) as project:
        for stage, binding in known.items():
            event = Computed(stage=stage, partition=day(5), binding=replace(binding, sample=0.5))
            project.tools.ledger.append([event], now=1.0)
        for name in {name for held in known.values() for name in held.product.all_objects}:
            [path] = (tides.root / ".tidemill/objects").rglob(name)
            project.tools.artifacts.put_all([(path.read_bytes(), path.name[64:])])
        assert [step.action for step in project.plan(stage="raw").steps] == ["run"]
    assert did(ran(forging)) == dict.fromkeys(STAGES, (1, 0))


def test_a_sampled_branch_is_promoted_by_its_recipes(tides: Tides) -> None:
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV, sample=0.5)
    assert did(promoted(tides)) == {"raw": (0, 0), "doubled": (3, 0), "daily": (3, 0)}
    bound = [held for head in state(tides).heads.values() for held in head.partitions.values()]
    assert {held.sample for held in bound} == {1.0}


def test_rules_about_numbers_of_rows_do_not_hold_on_a_sample(tides: Tides) -> None:
    tides.edit("nullable=True, max=1000)", "nullable=True, max=1000)\n    enough = tm.Rows(min=3)")
    ran(tides)
    ran(tides, "small", sample=0.4)


def test_environments_are_listed_and_expire(tides: Tides) -> None:
    with opened(tides) as project:
        tools = project.tools
        at = tools.clock()
        created = project.environments.create(DEV, ttl="14d")
        assert created.parent == PRODUCTION
        assert created.expires == pytest.approx(at + 14 * 86400, abs=5)
        project.environments.create("deep", parent=DEV)
        project.workspace.tools = replace(tools, clock=lambda: at + 15 * 86400)
        known = project.environments
        assert [(found.name, found.has_expired(at + 15 * 86400)) for found in known.list()] == [
            (PRODUCTION, False), (DEV, True), ("deep", False),
        ]  # fmt: skip
        dropped = known.drop(expired=True)
        assert (dropped.dropped, dropped.kept) == ((), {DEV: ("deep",)})
        with pytest.raises(ConflictError, match="'deep' branched off"):
            known.drop([DEV])
        assert known.drop(["deep"], expired=True).dropped == ("deep", DEV)
        assert [found.name for found in known.list()] == [PRODUCTION]


def test_what_was_computed_outlives_its_environment(tides: Tides) -> None:
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    with opened(tides) as project:
        objects = set(project.tools.artifacts.names())
        project.environments.drop([DEV])
        assert set(project.tools.artifacts.names()) == objects
    assert did(ran(tides)) == {"raw": (0, 0), "doubled": (0, 3), "daily": (0, 3)}


def test_what_is_refused(tides: Tides) -> None:
    ran(tides, DEV)
    with opened(tides) as project:
        known = project.environments
        for attempt, words in (
            (lambda: known.create(PRODUCTION), "always exists"),
            (lambda: known.create("a b"), "not a valid name"),
            (lambda: known.create("x", parent="dev"), "did you mean 'dev-ana'"),
            (lambda: known.create("x", ttl="soon"), "is not a duration"),
            (lambda: known.create("x", sample=2.0), "not a sample"),
            (lambda: known.drop([PRODUCTION]), "can't be dropped"),
            (lambda: known.drop(["dev"]), "did you mean 'dev-ana'"),
        ):
            with pytest.raises(UsageError, match=words):
                attempt()
        with pytest.raises(ConflictError, match="exists already"):
            known.create(DEV)


def test_an_environment_in_which_a_run_is_at_work_stays(tides: Tides) -> None:
    ran(tides, DEV)
    with opened(tides) as project:
        ledger = project.tools.ledger
        lease = ledger.acquire(
            f"run:{DEV}",
            {"host": "elsewhere"},
            now=project.tools.clock(),
            ttl=60,
            dead=lambda _: False,
        )
        with pytest.raises(ConflictError, match="a process on elsewhere; try again"):
            project.environments.drop([DEV])
        ledger.release(lease)
        # A run that died without anybody noticing is closed.
        started = samples.run_started_event("died", DEV)
        ledger.append([started], now=1.0)
        project.environments.drop([DEV])
    assert [event.run for event in facts(tides, RunStarted)][-1] == "died"


def test_history_begins_with_that_of_the_parent(tides: Tides) -> None:
    tides.send(0, (5.0,))
    ran(tides, DEV)
    tides.send(0, (6.0,))
    ran(tides)
    with opened(tides, DEV) as project:
        told = explain(project.workspace.facts(), project.stage("raw"), day(0), "value").column
    assert told is not None
    history = told.history
    assert len(history) == 2  # its parent's first, and its own


def test_attempts_of_a_promotion_are_recorded_once(tides: Tides) -> None:
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    tides.send(3)
    receipt = promoted(tides)
    tried = [event for event in facts(tides, Attempted) if event.run == receipt.run]
    assert len(tried) == 9
    assert len(facts(tides, Computed)) == 3


def test_sampled_columns_may_be_any(tides: Tides) -> None:
    tides.edit("@flow.ingest", '@flow.ingest(sample_by=["day"])')
    ran(tides, "small", sample=0.5)
    days = pl.DataFrame(rows(tides, "raw", "small"))
    assert days.is_empty() or set(days.group_by("day").len()["len"]) == {3}


@pytest.mark.parametrize("ledger", [None, MemoryLedger])
def test_what_differs_is_told_by_partition_and_column(
    tmp_path: Path, ledger: type[MemoryLedger] | None
) -> None:
    tides = Tides(tmp_path)
    if ledger is not None:
        tides.use(ledger=ledger())
    for number in range(4):
        tides.send(number)
    tides.ok()
    with tides.open() as project:
        project.environments.create(DEV)
    assert apart(tides) == ()
    tides.send(4)
    tides.send(0, (5.0, 2.0, 3.0))
    tides.remove_missing()
    tides.withdraw(1)
    tides.ok()
    tides.edit("value * 2", "value * 2 + 1")
    raw, doubled, daily = apart(tides)
    assert (raw.stage, raw.same, raw.changed) == ("raw", 2, {day(0): ("value",)})
    assert (raw.added, raw.removed, raw.recipe) == ((day(1),), (day(4),), ())
    assert doubled.columns == {"double": 1}
    assert daily.changed == {day(0): ("total",)}
    with in_dev(tides) as project:
        rows = project.diff_rows(PRODUCTION, "raw", day(0))
        assert (rows.added, rows.removed, rows.columns) == (0, 0, {"value": 1})
        with pytest.raises(UsageError, match="no partition"):
            project.diff_rows(PRODUCTION, "raw", day(1))
        with pytest.raises(UsageError, match="no environment 'other'"):
            project.diff("other")
        [only] = project.diff(PRODUCTION, "raw")
        assert only == raw
        project.run()
    differing = {found.stage: found for found in apart(tides)}
    assert differing.keys() == {"doubled", "daily"}
    assert differing["doubled"].recipe == ("the expression for `double` changed",)
    assert (differing["doubled"].same, set(differing["doubled"].changed)) == (
        0,
        {day(number) for number in (0, 2, 3, 4)},
    )


@contextmanager
def in_dev(tides: Tides) -> Iterator[Project]:
    """The branch over the same tools as the project that is opened otherwise."""
    with tides.open() as production, opened(tides, DEV) as project:
        project.workspace.tools = production.tools
        yield project


def apart(tides: Tides) -> tuple[StageDiff, ...]:
    with in_dev(tides) as project:
        return project.diff(PRODUCTION)


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    made = flooded(tmp_path)
    made.ok()
    return made


@contextmanager
def in_branch(sea: Sea, env: str = DEV) -> Iterator[Project]:
    with sea.open() as production, opened(sea, env) as project:
        project.workspace.tools = production.tools
        yield project


def test_a_model_and_its_table_are_promoted_with_the_rest(sea: Sea) -> None:
    assert set(sea.delivered().values()) == {9.0}
    sea.edit('"value": 9.0', '"value": 9.5')
    sea.edit('raw.select("day", "id", "x")', 'raw.select("day", "id", x=pl.col("x") + 1)')
    with in_branch(sea) as project:
        assert project.run(train=["model"]).exit_code == 0
    assert set(sea.delivered().values()) == {9.0}
    with sea.open() as project:
        receipt = project.promote(DEV)
    assert (receipt.exit_code, receipt.status) == (0, Status.OK)
    found = {tally.stage: (tally.ran, tally.bound) for tally in receipt.stages}
    # What ran of the model is its gate.
    assert (found["features"], found["model"]) == ((0, WINDOW), (1, 1))
    assert set(sea.delivered().values()) == {9.5}
    with sea.open() as project:
        assert project.plan().empty


def test_nothing_is_delivered_by_a_promotion_that_fails(sea: Sea) -> None:
    odd = 'x=pl.col("x").map_elements(odd, return_dtype=pl.Float64)'
    sea.edit('raw.select("day", "id", "x")', f'raw.select("day", "id", {odd})')
    body = "    if x > 5:\n        raise ValueError(x)\n    return x + 1\n"
    sea.edit("flow = tm", f"def odd(x):\n{body}\n\nflow = tm")
    with in_branch(sea) as project:
        assert project.run().exit_code == 0
    sea.flood(WINDOW, 7.0)
    before = {name: path.stat().st_mtime_ns for name, path in files(sea)}
    with sea.open() as project:
        receipt = project.promote(DEV, raise_on_failure=False)
    assert receipt.exit_code == 1
    assert {name: path.stat().st_mtime_ns for name, path in files(sea)} == before
    assert not project.tools.ledger.state(PRODUCTION).pending_effects


def files(sea: Sea) -> list[tuple[str, Path]]:
    return [(path.name, path) for path in sorted((sea.root / "out").glob("*.parquet"))]


def test_a_branch_of_nothing_begins_empty(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    receipt = ran(tides, DEV)
    assert receipt.messages == ("dev-ana is new and empty",)
    assert did(receipt) == dict.fromkeys(STAGES, (1, 0))
    assert did(promoted(tides)) == dict.fromkeys(STAGES, (0, 1))
    with opened(tides) as project:
        assert [(found.name, found.parent) for found in project.environments.list()] == [
            (PRODUCTION, ""), (DEV, ""),
        ]  # fmt: skip
