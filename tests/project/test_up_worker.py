"""A process of `up` answers over its socket, in this process."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import forgotten_imports
from tidemill.core.work_began import take_work_began
from tidemill.ledger.io.process_usage import cpu_with_children
from tidemill.operations.duty import DutyTask
from tidemill.operations.io.home_watch import ledger_identity
from tidemill.operations.io.job_channel import (
    ChildMessage,
    ChildOptions,
    decode_line,
    encode_line,
)
from tidemill.operations.supervision import Ending, JobAnswer, UpJob
from tidemill.project.up_worker import main

RUN = UpJob(task=DutyTask.RUN, because=("so",), look_first=True)
UPKEEP = UpJob(task=DutyTask.UPKEEP, because=("so",))


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def answers(
    folder: Path, *jobs: UpJob, ledger: tuple[int, int] | None = None, environment: str = "prod"
) -> list[ChildMessage]:
    """What a process says to some jobs."""
    options = ChildOptions(
        root=str(folder),
        workflow=None,
        environment=environment,
        ledger=ledger or ledger_identity(folder / ".tidemill" / "ledger.db"),
        begins=True,
    )
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"".join(map(encode_line, jobs)))
        ours.shutdown(socket.SHUT_WR)
        with forgotten_imports():
            main(theirs.detach(), encode_line(options).decode())
        received = ours.makefile("rb").readlines()
    return [decode_line(line, ChildMessage) for line in received]


def test_it_describes_its_project_and_does_jobs(built: Path) -> None:
    begun, ran, kept, again = answers(built, RUN, UPKEEP, UPKEEP)
    assert begun.description is not None
    assert begun.description.workflow == "bakery"
    assert ran.answer is not None
    assert ran.answer.summary == "nothing to do"
    assert kept.answer is not None
    assert kept == again


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def (:", "bakery.py:1: SyntaxError"),
        ("1 / 0", "bakery.py:1: ZeroDivisionError"),
        ("flow = 1", "has no workflow"),
    ],
)
def test_code_that_cannot_be_imported_is_a_fault(built: Path, code: str, said: str) -> None:
    (built / "bakery.py").write_text(code)
    (begun,) = answers(built)
    assert said in begun.fault
    assert not begun.is_refusal


def test_whoever_may_not_supervise_is_refused(built: Path) -> None:
    with (built / "pyproject.toml").open("a") as file:
        file.write('\n[tool.tidemill.roles]\nboss = "admin"\n')
    (begun,) = answers(built)
    assert begun.is_refusal


def test_a_misspelt_environment_is_not_begun(built: Path) -> None:
    (begun,) = answers(built, environment="dve")
    assert "dve" in begun.fault
    assert not begun.is_refusal


def test_a_home_that_was_moved_is_not_opened(built: Path) -> None:
    (begun,) = answers(built, ledger=(1, 1))
    assert "was moved, removed or replaced" in begun.fault


def test_an_error_fails_a_job_and_not_the_process(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("tidemill.project.up_worker.do_job", fail)
    _, failed, upkeep = answers(built, RUN, UPKEEP)
    assert failed.answer is not None
    assert upkeep.answer is not None
    assert (failed.answer.ending, failed.answer.exit_code) == (Ending.FAILED, 1)
    assert "RuntimeError" in failed.answer.failures[0]


def test_a_run_costs_what_its_job_used(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[float | None] = []

    def note(*_: object) -> JobAnswer:
        began.append(take_work_began())
        return JobAnswer(ending=Ending.OK)

    monkeypatch.setattr("tidemill.project.up_worker.do_job", note)
    before = cpu_with_children()
    answers(built, RUN, RUN)
    first, second = (each or 0.0 for each in began)
    assert before < first <= second <= cpu_with_children()


def test_an_interrupted_job_says_so(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tidemill.project.up_worker.do_job", interrupt)
    _, answer = answers(built, RUN)
    assert answer.answer is not None
    assert answer.answer.ending is Ending.INTERRUPTED
    # Between jobs nothing is interrupted.
    signal.raise_signal(signal.SIGINT)


@contextmanager
def closed_socket() -> Iterator[int]:
    ours, theirs = socket.socketpair()
    ours.close()
    yield theirs.detach()


def test_it_ends_with_whoever_asked(built: Path) -> None:
    options = ChildOptions(
        root=str(built),
        workflow=None,
        environment="prod",
        ledger=ledger_identity(built / ".tidemill" / "ledger.db"),
    )
    with closed_socket() as number, forgotten_imports():
        main(number, encode_line(options).decode())
