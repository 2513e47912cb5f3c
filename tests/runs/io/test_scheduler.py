"""Steps that run on engines: whatever happens to them there, the published output is the same."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.behaviour.test_claims import Meeting, foreseen
from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.erratic import Erratic, away_to
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, STAGES, Tides, day, rebuilt
from tidemill.core.errors import UsageError
from tidemill.ledger.event import Attempted, Published
from tidemill.ledger.run import Attempt, Outcome, Status
from tidemill.planning.placement import RemoteWorkers
from tidemill.planning.plan import Step
from tidemill.ports.execution import Fate, Task, TaskEvent
from tidemill.project import worker
from tidemill.runs.io import scheduler as running
from tidemill.runs.io.job import NoProgress
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.step_messages import StepFailure, StepOutput, Work

DAYS = 4
STRANGE = (Fate.LOST, Fate.OOM, Fate.TIMEOUT, Fate.CANCELLED)

# Every rule makes the partitions of its table be judged one after the other.
SERIAL = CHAIN.replace(
    "    double = tm.Float64(nullable=True)\n",
    "    double = tm.Float64(nullable=True)\n"
    '    once = tm.Unique("day", "id")\n    rows = tm.Rows(vs_last=3, within=9.0)\n',
)
RETRIED = CHAIN.replace(
    "@flow.transform\ndef doubled",
    "@flow.transform(retries=tm.retries(3, delay=0.001))\ndef doubled",
)


def send_away(monkeypatch: pytest.MonkeyPatch, engine: Erratic, **options: Any) -> None:
    """All that could take a run along goes to an engine."""
    monkeypatch.setattr("tidemill.project.runs.engine_options", away_to(engine, **options))


def no_mishap(task: Task) -> None:
    return None


def sent(tides: Tides, days: int = DAYS) -> Tides:
    for number in range(days):
        tides.send(number)
    return tides


def attempts(tides: Tides) -> list[Attempt]:
    return [e.attempt for e in tides.events("Attempted") if isinstance(e, Attempted)]


def published(tides: Tides) -> list[tuple[str, str]]:
    events = tides.events("Published")
    return [(e.stage, e.partition) for e in events if isinstance(e, Published)]


def test_all_that_is_made_elsewhere_is_what_would_be_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(Tides(tmp_path / "project"))
    engine = Erratic(Random(1), no_mishap)
    with monkeypatch.context() as patched:
        send_away(patched, engine)
        tides.ok()

    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert len(engine.asked) == DAYS * len(STAGES)
    assert {a.worker for a in attempts(tides)} == {str(os.getpid())}
    assert engine.closed
    # Tasks in this process use the run's own project, and open none.
    assert worker._worker.runner is None


def send_far(monkeypatch: pytest.MonkeyPatch, near: Erratic, far: Erratic) -> None:
    """What may leave this machine goes to an engine elsewhere, if it is worth it."""
    # One step of each stage is tried here.
    monkeypatch.setattr("tidemill.planning.hop_costs._MANY", DAYS)
    monkeypatch.setattr("tidemill.planning.placement._TRIED", 1)
    sizes = {"default": 1.0, "training": 1.0, "deferrable": 1.0}
    remote = RemoteWorkers(cpus=sizes, most=1, here={"raw"}, near_memory=10**12)
    engines = {"process": near.open, "cluster": far.open}
    send_away(monkeypatch, near, engines=engines, remote=remote, cpus=1)


@pytest.mark.parametrize(("patience_s", "leaves"), [(600.0, False), (0.0, True)])
def test_steps_wait_for_those_of_their_stage_that_are_tried_here(
    patience_s: float, leaves: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides, near, far = sent(Tides(tmp_path)), *(Erratic(Random(1), no_mishap) for _ in "12")
    monkeypatch.setattr("tidemill.planning.hop_costs._TRIAL_S", patience_s)
    if not leaves:
        # However busy the machine is, no step takes as long as ten hops.
        monkeypatch.setattr("tidemill.planning.hop_costs._LEAST_HOP_S", 60.0)
    send_far(monkeypatch, near, far)
    tides.ok()
    assert bool(far.asked) is leaves
    assert len(near.asked) + len(far.asked) == DAYS * len(STAGES)


@thorough
@settings(max_examples=examples(8, 60), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    text=st.sampled_from([CHAIN, SERIAL]),
    rate=st.sampled_from([0.0, 0.2, 0.6]),
    ahead=st.sampled_from([1, 64]),
    patience_s=st.sampled_from([None, 0.0, 600.0]),
)
def test_whatever_happens_to_workers_nothing_is_lost_or_doubled(
    seed: int,
    text: str,
    rate: float,
    ahead: int,
    patience_s: float | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rng = Random(seed)
    tides = sent(Tides(tmp_path_factory.mktemp("project"), text))

    def mishap(task: Task) -> tuple[Fate, bool] | None:
        return (rng.choice(STRANGE), rng.random() < 0.5) if rng.random() < rate else None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(running, "_AHEAD", ahead)
        if patience_s is None:
            send_away(patched, Erratic(rng, mishap))
        else:
            patched.setattr("tidemill.planning.hop_costs._TRIAL_S", patience_s)
            send_far(patched, Erratic(rng, mishap), Erratic(rng, mishap))
        tides.run()

    tried = attempts(tides)
    ended = Counter((a.stage, a.partition) for a in tried if a.outcome is not Outcome.RETRIED)
    # Every step has one end, and what ended well was published, once.
    assert ended == Counter((stage, day(n)) for stage in STAGES for n in range(DAYS))
    good = [(a.stage, a.partition) for a in tried if a.outcome is Outcome.OK]
    assert Counter(published(tides)) == Counter(good)
    for stage, partition in ended:
        own = [a for a in tried if (a.stage, a.partition) == (stage, partition)]
        assert [a.number for a in own] == [*range(1, len(own) + 1)]
        # Only a process that died is tried again when nothing is declared, and only once.
        assert [a.fate for a in own[:-1]] in ([], [Fate.LOST])
    if text == SERIAL:
        judged = [partition for stage, partition in published(tides) if stage == "doubled"]
        assert judged == sorted(judged)
    if rate == 0.0:
        assert len(good) == len(tried)

    # The next run, without mishaps, makes what is missing and nothing else.
    tides.ok()
    assert tides.contents() == rebuilt(tides, tmp_path_factory.mktemp("fresh"))
    assert set(Counter(published(tides)).values()) == {1}


@pytest.mark.parametrize(("fate", "times"), [(Fate.TIMEOUT, 3), (Fate.LOST, 1), (Fate.OOM, 0)])
def test_what_is_declared_is_tried_again(
    fate: Fate, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(Tides(tmp_path, RETRIED), 1)
    send_away(
        monkeypatch,
        Erratic(Random(1), lambda task: (fate, False) if task.id == "1" else None),
    )
    receipt = tides.run()

    own = [a for a in attempts(tides) if a.stage == "doubled"]
    assert [(a.number, a.outcome, a.fate) for a in own] == [
        *((number, Outcome.RETRIED, fate) for number in range(1, times + 1)),
        (times + 1, Outcome.FAILED, fate),
    ]
    assert receipt.exit_code == 1
    assert [(s.failed, s.retried, s.skipped) for s in receipt.stages] == [
        *((0, 0, 0), (1, times, 0), (0, 0, 1))
    ]
    # The message says so once.
    assert receipt.messages == (f"doubled {day(0)}: it was {fate}",)


FAULTY = RETRIED.replace(
    "    return raw.select(",
    "    def fault(rows: pl.DataFrame) -> pl.DataFrame:\n"
    "        if rows.height:\n"
    "            TRIES.append(1)\n"
    "            {fault}\n"
    "        return rows\n\n"
    "    return raw.map_batches(fault).select(",
).replace("@flow.transform(", "TRIES = []\n\n\n@flow.transform(", 1)


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(
    ("fault", "outcomes"),
    [
        ("if len(TRIES) in (1, 2): raise ConnectionError('gone')", ["retried", "retried", "ok"]),
        ("if TRIES: raise ConnectionError('gone')", ["retried"] * 3 + ["failed"]),
        ("if TRIES: raise ValueError('bug')", ["failed"]),
        ("if TRIES: raise ValueError('bug') from TimeoutError()", ["retried"] * 3 + ["failed"]),
    ],
)  # fmt: skip
def test_transient_faults_are_tried_again_and_bugs_are_not(
    fault: str, outcomes: list[str], away: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(Tides(tmp_path, FAULTY.replace("{fault}", fault)), 1)
    if away:
        send_away(monkeypatch, Erratic(Random(1), no_mishap))
    tides.run()

    own = [a for a in attempts(tides) if a.stage == "doubled"]
    assert [str(a.outcome) for a in own] == outcomes
    assert all("tides.py" in a.trace for a in own if a.message)


def test_rows_that_break_a_contract_are_never_tried_again(tmp_path: Path) -> None:
    text = RETRIED.replace(
        "double = tm.Float64(nullable=True)", "double = tm.Float64(max=1, on_fail='fail')"
    )
    tides = sent(Tides(tmp_path, text.replace("retries(3,", "retries(3, on=Exception,")), 1)
    receipt = tides.run()

    [own] = [a for a in attempts(tides) if a.stage == "doubled"]
    assert (own.outcome, own.exit_code, receipt.exit_code) == (Outcome.FAILED, 3, 3)


def test_a_worker_with_other_code_leaves_the_work_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, own = StepRunner.run, []

    def make(shop: StepRunner, work: Work) -> StepOutput | StepFailure:
        own.append(work.partition)
        return real(shop, work)

    monkeypatch.setattr(
        StepRunner, "run_and_store", lambda *_: StepFailure(message="other", other_code=True)
    )
    monkeypatch.setattr(StepRunner, "run", make)
    monkeypatch.setattr(running, "can_batch", lambda *_: False)
    tides = sent(Tides(tmp_path / "project"), 2)
    send_away(monkeypatch, Erratic(Random(1), no_mishap))
    tides.ok()
    assert sorted(own) == sorted([day(0), day(1)] * len(STAGES))
    assert {a.worker for a in attempts(tides)} == {""}

    # Unless it is held to limits, which wouldn't hold here.
    held = CHAIN.replace(
        "@flow.transform\ndef doubled",
        '@flow.transform(resources=tm.resources(memory="1GB"))\ndef doubled',
    )
    other = sent(Tides(tmp_path / "other", held), 1)
    [message] = other.run().messages
    assert message.startswith(f"doubled {day(0)}: its code differs in a worker process")


def test_what_an_engine_refuses_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Small(Erratic):
        def submit(self, task: Task) -> None:
            if task.id == "0":
                raise UsageError("task 0: it wants 8 devices, and there is none")
            super().submit(task)

    tides = sent(Tides(tmp_path))
    send_away(monkeypatch, Small(Random(1), no_mishap))
    receipt = tides.run()
    assert receipt.messages == (f"raw {day(0)}: it wants 8 devices, and there is none",)
    assert len(published(tides)) == (DAYS - 1) * len(STAGES)


def test_an_answer_that_is_an_error_of_the_worker_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(shop: StepRunner, work: Work) -> StepOutput:
        raise ImportError("no module 'forecast'")

    monkeypatch.setattr(StepRunner, "run_and_store", broken)
    tides = sent(Tides(tmp_path), 1)
    send_away(monkeypatch, Erratic(Random(1), no_mishap))
    [message] = tides.run().messages
    assert "couldn't run it: ImportError: no module 'forecast'" in message


def test_models_are_trained_scored_and_delivered_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = Sea(tmp_path / "near", MODEL), Sea(tmp_path / "far", MODEL)
    for sea in (near, far):
        for number in range(WINDOW):
            sea.flood(number)
    near.ok()
    with monkeypatch.context() as patched:
        send_away(patched, Erratic(Random(3), no_mishap))
        far.ok()

    assert far.contents() == near.contents()
    assert far.delivered() == near.delivered() != {}
    assert {a.stage for a in attempts(far) if a.worker} == {
        *("raw", "features", "labels", "model", "scores", "out")
    }


def test_an_interrupt_ends_the_engines_and_keeps_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(NoProgress):
        def ended(self, step: Step, attempt: Attempt | None) -> None:
            if step.stage == "doubled":
                raise KeyboardInterrupt

    tides, engine = sent(Tides(tmp_path / "project")), Erratic(Random(1), no_mishap)
    with monkeypatch.context() as patched:
        send_away(patched, engine)
        receipt = tides.run(progress=Stop())
    assert (receipt.status, receipt.exit_code) == (Status.INTERRUPTED, 130)
    assert engine.closed
    # Tasks in this process use the run's own project, and open none.
    assert worker._worker.runner is None
    tides.ok()
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert set(Counter(published(tides)).values()) == {1}


def test_work_goes_on_while_another_run_has_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_OTHERS_S", 0.0)
    tides, claims = sent(Tides(tmp_path / "project")), Meeting()
    theirs = foreseen(tides, tmp_path / "first")[f"raw/{day(0)}"]
    assert claims.other.take(theirs)
    tides.use(claims=claims)
    asked: list[str] = []

    def mishap(task: Task) -> None:
        asked.append(task.id)
        if len(asked) == 5:
            claims.other.release(theirs)

    send_away(monkeypatch, Erratic(Random(1), mishap))
    tides.ok()
    # It was never waited for: there was always something else to do.
    assert claims.waited == []
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_inputs_that_were_made_here_are_stored_before_they_are_read_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CHAIN.replace(
        "@flow.transform\ndef doubled",
        '@flow.transform(resources=tm.resources(lane="process"))\ndef doubled',
    )
    tides = sent(Tides(tmp_path / "project", text))
    seen: list[bool] = []
    real = StepRunner.run_and_store

    def store(shop: StepRunner, work: Work) -> StepOutput | StepFailure:
        pins = [
            pin
            for bound in work.inputs.values()
            for b in bound.values()
            for pin in b.product.all_objects
        ]
        seen.append(not shop._artifacts.find_missing(pins))
        return real(shop, work)

    monkeypatch.setattr(StepRunner, "run_and_store", store)
    send_away(monkeypatch, Erratic(Random(1), no_mishap), careful=False)
    tides.ok()
    assert seen == [True] * DAYS
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    by = {stage: {bool(a.worker) for a in attempts(tides) if a.stage == stage} for stage in STAGES}
    assert by == {"raw": {False}, "doubled": {True}, "daily": {False}}


def test_limits_that_do_not_hold_are_told(tmp_path: Path) -> None:
    text = CHAIN.replace(
        "@flow.transform\ndef doubled",
        '@flow.transform(resources=tm.resources(timeout="1m"))\ndef doubled',
    )
    # A workflow that is passed as an object has no name by which others could import it.
    tides = sent(Tides(tmp_path, text), 1)
    [message] = tides.run().messages
    assert message.startswith("doubled: its timeout=, memory= and gpus= aren't enforced, because")
    tides.send(1)
    assert tides.run(inline=True).messages == ()


def test_partitions_that_are_judged_in_order_are_made_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(Tides(tmp_path / "project", SERIAL))
    tides.ok()
    # Now all inputs are there, and every day can be made at once.
    tides.edit("value * 2", "value * 3")
    engine = Erratic(Random(5), no_mishap)
    with monkeypatch.context() as patched:
        send_away(patched, engine)
        tides.ok()

    # Those of a stage that is made together where it is done here are neighbours.
    assert [task.id for task in engine.asked[:DAYS]] == [str(n) for n in range(DAYS)]
    days = [partition for stage, partition in published(tides) if stage == "doubled"]
    assert days == [day(n) for n in range(DAYS)] * 2
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


@thorough
@settings(max_examples=examples(8), deadline=None)
@given(
    text=st.sampled_from((CHAIN, SERIAL, RETRIED)),
    seed=st.integers(0, 2**32),
    failing=st.integers(0, 3 * DAYS - 1),
    away=st.booleans(),
)
def test_fail_fast_ends_every_step_once_and_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: str, seed: int, failing: int, away: bool
) -> None:
    root = tmp_path_factory.mktemp("fast")
    tides, done = sent(Tides(root / "project", text)), 0

    def mishap(task: Task) -> tuple[Fate, bool] | None:
        nonlocal done
        done += 1
        return (Fate.OOM, False) if done == failing + 1 else None

    with pytest.MonkeyPatch.context() as patched:
        engine = Piecemeal(Random(seed), mishap)
        send_away(patched, engine, **({} if away else {"careful": False}))
        receipt = tides.run(fail_fast=True)
    found = attempts(tides)
    ends = Counter((a.stage, a.partition) for a in found if a.outcome is not Outcome.RETRIED)
    failed = [a for a in found if a.outcome is Outcome.FAILED]
    stopped = [a for a in found if "(fail-fast)" in a.message]
    assert set(ends.values()) == {1}
    assert len(ends) == DAYS * len(STAGES)
    assert bool(failed) == (receipt.status is Status.FAILED)
    assert not stopped or failed
    if stopped:
        # Nothing ran after what had been begun when the first step failed.
        assert {a.worker for a in stopped} == {""}
        count = "1 step wasn't" if len(stopped) == 1 else f"{len(stopped)} steps weren't"
        assert f"failed: {count} begun (fail-fast): " in "".join(receipt.messages)
    tides.ok()
    assert tides.contents() == rebuilt(tides, root / "fresh")


def test_fail_fast_cancels_what_waits_for_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(Tides(tmp_path), 3)
    send_away(monkeypatch, Piecemeal(First(), lambda task: (Fate.OOM, False)))
    receipt = tides.run(fail_fast=True)
    assert [a.outcome for a in attempts(tides)].count(Outcome.FAILED) == 1
    ran = tides.ran(receipt)
    assert sum(len(days) for what, days in ran.items() if what.startswith("skipped")) == 8


class Piecemeal(Erratic):
    """Does some of what is due, also if nothing else is left to do."""

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        return super().events(0.0)


class First(Random):
    """Draws one where it may."""

    def randint(self, a: int, b: int) -> int:
        return min(1, b)
