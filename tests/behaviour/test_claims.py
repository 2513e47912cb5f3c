"""Two runs at once in different environments share the work: nothing is computed twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.tides import CHAIN, STAGES, Before, Tides, day, flow_of, rebuilt
from tidemill.core.errors import StorageError
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Receipt, Status
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger
from tidemill.project.project import Project, open_project
from tidemill.testing.doubles import MemoryClaims

DAYS = 3


class Branch(Tides):
    """The same project in another environment, which begins empty."""

    def open(self) -> Project:
        project = open_project(self.root, workflow=flow_of(self.root, self.text), env="dev")
        if len(project.environments.list()) == 1:
            project.environments.create("dev", parent="")
        project.workspace.tools = self.change(project.tools)
        return project


class Meeting(MemoryClaims):
    """Our claims, and `other`, another run's; `meanwhile` is what that does while we wait."""

    def __init__(self) -> None:
        super().__init__()
        self.other = MemoryClaims(self)
        self.waited: list[str] = []
        self.meanwhile: Callable[[str], object] = self.other.release

    def wait(self, key: str, timeout_s: float) -> bool:
        self.waited.append(key)
        self.meanwhile(key)
        return super().wait(key, 0.0)


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Days that are sent and not built yet."""
    return sent(Tides(tmp_path / "project"))


def sent(tides: Tides) -> Tides:
    for number in range(DAYS):
        tides.send(number)
    return tides


def keys_of(tides: Tides) -> dict[str, str]:
    """The key of each partition (`raw/2024-03-01`) and each evaluation that is published."""
    project = tides.open()
    heads = project.state().heads
    project.close()
    return {
        f"{stage}/{key}": binding.key
        for stage, head in heads.items()
        for key, binding in head.partitions.items()
    }


def foreseen(tides: Tides, root: Path) -> dict[str, str]:
    """The keys that a run will have, from one elsewhere with the same files and text."""
    fresh = type(tides)(root, tides.text)
    for path in (tides.root / "data").iterdir():
        (root / "data" / path.name).write_bytes(path.read_bytes())
    assert fresh.run().exit_code == 0
    return keys_of(fresh)


def met(tides: Tides) -> Meeting:
    """Let the runs that follow meet another one."""
    meeting = Meeting()
    tides.use(claims=meeting)
    return meeting


def attempts(tides: Tides, receipt: Receipt) -> list[str]:
    """What a run tried, in order: `ok raw/2024-03-01`."""
    events = tides.events("Attempted", run=receipt.run)
    found = [event.attempt for event in events if isinstance(event, Attempted)]
    return [f"{a.outcome} {a.stage}/{a.partition}" for a in found]


def free(meeting: Meeting, keys: dict[str, str]) -> bool:
    """Whether another run can take every key."""
    return all(meeting.other.take(key) for key in keys.values())


def test_two_environments_do_everything_once(tides: Tides, tmp_path: Path) -> None:
    for number in range(DAYS, 12):
        tides.send(number)
    branch = Branch(tides.root, tides.text)
    projects = [tides.open(), branch.open()]
    together = threading.Barrier(2)
    receipts: list[Receipt] = []

    def run(project: Project) -> None:
        # Both have made their plans when the first step of either is begun.
        steps: list[object] = []

        def progress(done: int, step: object) -> None:
            if not steps:
                together.wait(120)
            steps.append(step)

        receipts.append(project.run(progress=Before(progress), raise_on_failure=False))

    threads = [threading.Thread(target=run, args=(project,)) for project in projects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [receipt.exit_code for receipt in receipts] == [0, 0]
    tried = Counter(line for receipt in receipts for line in attempts(tides, receipt))
    steps = [f"{stage}/{day(number)}" for stage in STAGES for number in range(12)]
    assert tried == Counter({f"{end} {step}": 1 for step in steps for end in ("ok", "bound")})
    assert tides.contents() == branch.contents() == rebuilt(tides, tmp_path / "fresh")
    for project in projects:
        project.close()


def test_what_another_run_is_at_is_put_off_and_so_is_what_reads_it(
    tides: Tides, tmp_path: Path
) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    assert meeting.other.take(keys[f"doubled/{day(0)}"])
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert attempts(tides, receipt) == [
        *(f"ok raw/{day(number)}" for number in range(3)),
        *(f"ok {stage}/{day(number)}" for stage in STAGES[1:] for number in (1, 2)),
        f"ok doubled/{day(0)}",
        f"ok daily/{day(0)}",
    ]
    assert meeting.waited == [keys[f"doubled/{day(0)}"]]
    assert free(meeting, keys)
    assert keys_of(tides) == keys


def test_what_another_run_gave_meanwhile_is_bound(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    assert meeting.other.take(keys[f"doubled/{day(1)}"])

    def meanwhile(key: str) -> None:
        assert Branch(tides.root, tides.text).run("doubled").exit_code == 0
        meeting.other.release(key)

    meeting.meanwhile = meanwhile
    receipt = tides.run()
    assert attempts(tides, receipt)[-2:] == [f"bound doubled/{day(1)}", f"ok daily/{day(1)}"]
    assert free(meeting, keys)


@pytest.mark.parametrize("number", range(DAYS))
def test_what_another_run_gave_until_a_key_was_claimed_is_bound(
    tides: Tides, tmp_path: Path, number: int
) -> None:
    keys = foreseen(tides, tmp_path / "fresh")
    awaited = {keys[f"doubled/{day(number)}"]}

    class Late(MemoryClaims):
        def take(self, key: str) -> bool:
            if key in awaited:
                awaited.clear()
                assert Branch(tides.root, tides.text).run("doubled").exit_code == 0
            return super().take(key)

    tides.use(claims=Late())
    receipt = tides.run()
    # A result is looked up after its key was claimed, also when others of its batch were claimed before.
    later = {f"bound doubled/{day(n)}" for n in range(number, DAYS)}
    assert later <= {*attempts(tides, receipt)}
    assert keys_of(tides) == keys


def test_a_run_waits_for_as_long_as_it_takes(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    held = [keys[f"raw/{day(number)}"] for number in (0, 2)]
    assert all(map(meeting.other.take, held))
    patience = [5]

    def meanwhile(key: str) -> None:
        patience[0] -= 1
        if patience[0] <= 0:
            meeting.other.release(key)

    meeting.meanwhile = meanwhile
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert meeting.waited == [held[0]] * 5 + [held[1]]
    assert attempts(tides, receipt) == [
        f"ok {stage}/{day(number)}" for number in (1, 0, 2) for stage in STAGES
    ]


def test_a_key_is_given_when_its_product_is_published(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    ledger = tides.open().tools.ledger
    known: dict[str, bool] = {}

    class Noting(MemoryClaims):
        def release(self, key: str) -> None:
            known.setdefault(key, key in ledger.traces([key]))
            super().release(key)

    tides.use(claims=Noting(meeting))
    assert tides.run().exit_code == 0
    assert known == dict.fromkeys(keys.values(), True)
    assert free(meeting, keys)


def test_a_step_that_fails_gives_its_key_back(tides: Tides, tmp_path: Path) -> None:
    wanted = 'str(raw.collect()["day"][0])'
    tides.edit(
        "    return raw.select(",
        f"    assert {wanted} != {day(1)!r} or ok\n    return raw.select(",
    )
    tides.edit("@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled')
    tides.edit("def times(", "ok = True\n\n\ndef times(")
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    tides.edit("ok = True", "ok = False")
    receipt = tides.run()
    assert f"failed doubled/{day(1)}" in attempts(tides, receipt)
    assert meeting.other.take(keys[f"doubled/{day(1)}"])
    assert free(meeting, keys)


def test_an_interrupted_run_gives_everything_back(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)

    def progress(done: int, step: object) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    receipt = tides.run(progress=Before(progress))
    assert receipt.status == Status.INTERRUPTED
    # A stage's days are made at once.
    assert len(attempts(tides, receipt)) == 6
    assert free(meeting, keys)


def test_a_run_is_interrupted_while_it_waits(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    assert meeting.other.take(keys[f"daily/{day(0)}"])

    def interrupt(key: str) -> None:
        raise KeyboardInterrupt

    meeting.meanwhile = interrupt
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.INTERRUPTED, 130)
    # All but what it waited for is published, and what the other has stays with the other.
    assert len(attempts(tides, receipt)) == 3 * DAYS - 1
    assert not MemoryClaims(meeting).take(keys[f"daily/{day(0)}"])
    assert free(meeting, keys)


class Broken:
    """A store or a ledger that fails from the n-th call of a method on."""

    def __init__(self, inner: Artifacts | Ledger, method: str, nth: int) -> None:
        self._inner = inner
        self._method = method
        self._left = nth

    def __getattr__(self, name: str) -> object:
        return self._fail if name == self._method else getattr(self._inner, name)

    def _fail(self, *given: object, **named: object) -> object:
        self._left -= 1
        if self._left < 0:
            raise StorageError("no space left")
        return getattr(self._inner, self._method)(*given, **named)


def test_a_run_that_cannot_publish_gives_everything_back(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    tides.use(claims=meeting, artifacts=Broken(tides.open().tools.artifacts, "put_all", 0))
    with pytest.raises(StorageError, match="no space left"):
        tides.run()
    assert free(meeting, keys)


def test_a_run_that_cannot_publish_does_not_wait_for_others(tides: Tides, tmp_path: Path) -> None:
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    assert meeting.other.take(keys[f"daily/{day(2)}"])
    tides.use(claims=meeting, artifacts=Broken(tides.open().tools.artifacts, "put_all", 0))
    with pytest.raises(StorageError, match="no space left"):
        tides.run()
    assert meeting.waited == []
    assert free(meeting, keys)


def test_what_is_asked_for_again_is_done_whoever_is_at_it(tides: Tides) -> None:
    tides.ok()
    keys, meeting = keys_of(tides), met(tides)
    assert free(meeting, keys)
    assert set(tides.ok(again=True)) == {f"ok run {stage}" for stage in STAGES}
    assert meeting.waited == []


def test_what_is_known_is_bound_whoever_is_at_it(tides: Tides) -> None:
    tides.ok()
    branch = Branch(tides.root, tides.text)
    keys, meeting = keys_of(tides), met(branch)
    assert free(meeting, keys)
    assert set(branch.ok()) == {f"bound bind {stage}" for stage in STAGES}
    assert meeting.waited == []


def test_what_was_known_and_is_lost_is_made_by_one_of_them(tides: Tides) -> None:
    tides.ok()
    branch = Branch(tides.root, tides.text)
    keys, meeting = keys_of(tides), met(branch)
    project = tides.open()
    head = project.state().heads["raw"].partitions[day(0)]
    assert meeting.other.take(head.key)

    def progress(done: int, step: object) -> None:
        # After the plan, which saw it.
        project.tools.artifacts.remove(head.product.all_objects)

    receipt = branch.run(progress=Before(progress))
    project.close()
    assert meeting.waited == [head.key]
    # What hangs on it waited too, and is still known.
    assert attempts(branch, receipt)[-3:] == [
        f"ok raw/{day(0)}",
        f"bound doubled/{day(0)}",
        f"bound daily/{day(0)}",
    ]
    assert free(meeting, keys)


def test_partitions_that_are_compared_are_made_in_their_order(tmp_path: Path) -> None:
    text = CHAIN.replace("max=1000)", "max=1000)\n    rows = tm.Rows(vs_last=2, within=0.5)", 1)
    tides = sent(Tides(tmp_path / "project", text))
    keys, meeting = foreseen(tides, tmp_path / "fresh"), met(tides)
    assert meeting.other.take(keys[f"raw/{day(1)}"])
    receipt = tides.run()
    found = attempts(tides, receipt)
    assert [line for line in found if "raw" in line] == [f"ok raw/{day(n)}" for n in range(DAYS)]
    assert sorted(found) == sorted(f"ok {s}/{day(n)}" for n in range(DAYS) for s in STAGES)
    assert meeting.waited == [keys[f"raw/{day(1)}"]]


def test_all_that_hangs_on_a_model_waits_for_it(tmp_path: Path) -> None:
    sea = Sea(tmp_path / "project", MODEL)
    for number in range(WINDOW):
        sea.flood(number)
    keys = foreseen(sea, tmp_path / "fresh")
    meeting = Meeting()
    sea.use(claims=meeting, formats=sea.open().tools.formats)
    assert meeting.other.take(keys["model/all"])
    receipt = sea.run()
    assert receipt.exit_code == 0
    tail = [
        *("ok model/all", "ok scores/candidate", "ok scores/baseline", "ok model/all"),
        *(f"ok out/{day(number)}" for number in range(WINDOW)),
    ]
    assert attempts(sea, receipt)[3 * WINDOW :] == tail
    assert meeting.waited == [keys["model/all"]]
    assert sea.delivered() == {day(number): 9.0 for number in range(WINDOW)}
