"""What failed in a run and why, what waits for people, and the log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.console import Visitor
from tidemill.console.views.now import show_now
from tidemill.console.views.runs import list_runs, show_log, show_run
from tidemill.core.partition import WHOLE
from tidemill.ledger.awaited_review import review_command
from tidemill.ledger.event import Attempted, RunEnded, RunStarted
from tidemill.ledger.run import Attempt, Outcome, Receipt, Status
from tidemill.operations.stage_states import StageNode, StageState
from tidemill.project.clock import VARIABLE, set_clock
from tidemill.project.project import Project, open_project
from tidemill.runs.failures import group_failures

ASKED = review_command("r1")
HELD = f"model waits for review r1 by the reviewers\n{ASKED}"


@pytest.fixture
def project(shops: Path) -> Iterator[Project]:
    with open_project(shops) as found:
        yield found


@pytest.fixture
def shop(shops: Path) -> Iterator[Visitor]:
    with Visitor(shops) as found:
        yield found


def stage(project: Project, name: str) -> StageNode:
    return next(node for node in project.stage_states.read().nodes if node.name == name)


def test_what_waits_for_people_is_not_wrong(project: Project) -> None:
    [state] = project.reviews.list()
    id = state.review.id
    now = show_now(project)
    assert "demand" not in {fact.stage for fact in now.status.wrong}
    [waiting] = now.status.waiting
    assert waiting.command == f"tidemill review show {id}"
    asked = state.review.artifact
    assert waiting.text == f"Should demand {asked} go live? (review {id})"
    newest, first = now.runs
    assert now.words == list_runs(project).words == {newest.id: "waiting"}
    assert first.receipt is not None
    found = stage(project, "demand")
    assert (found.state, found.detail) == (StageState.WAITING, f"waits for review {id}")
    # Gates refused this one: nobody is asked.
    assert stage(project, "strict").state is StageState.FAILED


def test_nothing_waits_or_is_wrong_once_people_have_decided(project: Project) -> None:
    [state] = project.reviews.list()
    project.reviews.approve(state.review.id, "better everywhere")
    now = show_now(project)
    assert "demand" not in {fact.stage for fact in now.status.wrong}
    assert now.status.waiting == ()
    assert now.words == {now.runs[0].id: "decided"}
    assert stage(project, "demand").state not in (StageState.WAITING, StageState.FAILED)


def test_pages_and_the_command_line_say_that_a_run_waits(shop: Visitor, shops: Path) -> None:
    text = shop.page("/now").text
    assert '<span class="status waiting">' in text
    assert "waiting" in shop.page("/runs").words
    assert "waiting" in tidemill("runs").out
    assert "demand failed" not in tidemill("status").out


def test_runs_are_found_by_their_status(shop: Visitor) -> None:
    listed = shop.api("/runs")
    every, words = listed["runs"], listed["words"]
    assert set(words.values()) == {"waiting"}
    for status in ("ok", "failed", "interrupted"):
        found = shop.api(f"/runs?status={status}")
        # Of those that wait for people nothing failed.
        assert found["runs"] == [
            run for run in every if run["status"] == status and run["id"] not in words
        ]
        assert found["next"] == 0
    page = shop.page("/runs?status=interrupted")
    assert "No run has this status." in page.words
    assert "'late' is none of running, ok" in shop.page("/runs?status=late", 400).words


def test_runs_say_where_and_why_they_failed(shop: Visitor) -> None:
    failed = [run for run in shop.api("/runs")["runs"] if run["receipt"]["failures"]]
    assert failed
    page = shop.page("/runs").words
    for run in failed:
        whys = [(each["stage"], each["why"]) for each in run["receipt"]["failures"]]
        # The stage isn't named twice.
        texts = [why if why.startswith(name) else f"{name}: {why}" for name, why in whys]
        assert any(text in page for text in texts)


def test_the_numbers_of_now_are_those_of_the_scorecard(
    bakery: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now doesn't import the workflow, and counts what went wrong in its stages all the same."""
    # What hasn't recovered grows while the pages are made.
    set_clock(tmp_path / "clock", time.time())
    monkeypatch.setenv(VARIABLE, str(tmp_path / "clock"))
    numbers = {each["name"]: each["beside"] for each in bakery.api("/now")["numbers"]}
    scores = {
        each["card"]["name"]: each["card"]["beside"] for each in bakery.api("/scorecard")["numbers"]
    }
    # An error that goes on lasts longer at each look.
    numbers["recover"], scores["recover"] = (
        each["recover"].partition("; ")[2] for each in (numbers, scores)
    )
    assert numbers["recover"] == "1 error"
    assert numbers == {name: scores[name] for name in ("deliver", "cost", "recover")}


@pytest.fixture
def bakery(built: Path) -> Iterator[Visitor]:
    """A project with a run in which a file broke the contract of `weather`."""
    text = "date,temperature,rain\n" + "".join(f"2026-02-{n:02},late,0\n" for n in range(1, 9))
    (built / "data" / "weather" / "2026-02-02.csv").write_text(text)
    assert tidemill("run").code
    with Visitor(built) as found:
        yield found


def test_a_broken_contract_shows_the_rules_and_the_first_values(bakery: Visitor) -> None:
    run = bakery.api("/runs/last")
    [cause] = run["causes"]
    assert cause["stage"] == "weather"
    assert cause["findings"][0]["rule"] == "temperature.type"
    assert "late" in cause["findings"][0]["sample"]
    page = bakery.page("/runs/last")
    assert "temperature.type" in page.words
    assert cause["findings"][0]["sample"] in page.words
    # The sentence stands once.
    assert page.words.count(cause["why"][:40]) == 1
    stage = bakery.page("/stages/weather").text
    assert f'href="/runs/{run["run"]["id"]}#what-failed"' in stage
    assert f'href="/runs/{run["run"]["id"]}"' in bakery.page("/now").text


def broken_run(project: Project) -> str:
    """Record a run of which a gate waits, another refuses, and two partitions raised an error."""
    attempts = [
        Attempt(stage="model", partition=WHOLE, action="gate", outcome=Outcome.REFUSED, message=HELD),
        Attempt(
            stage="other", partition=WHOLE, action="gate", outcome=Outcome.REFUSED,
            message="other: refused\nFAILED own: no",
        ),
        *(
            Attempt(stage="sales", partition=f"2026-01-{n:02}", action="run", outcome=Outcome.OK)
            for n in range(3, 9)
        ),
        *(
            Attempt(
                stage="sales", partition=key, action="run", outcome=Outcome.FAILED,
                message=f"sales {key} raised ValueError: no", trace="at bakery.py:3",
            )
            for key in ("2026-01-01", "2026-01-02")
        ),
    ]  # fmt: skip
    record_run(project, "r1", attempts)
    return "r1"


def record_run(project: Project, run: str, attempts: Sequence[Attempt]) -> None:
    receipt = Receipt(
        run=run,
        status=Status.FAILED,
        failures=group_failures(attempts),
        messages=tuple(each.message for each in attempts if each.outcome is not Outcome.OK),
    )
    project.tools.ledger.append(
        [
            RunStarted(run=run, environment="prod", command="tidemill run", steps=10, holder={}),
            *(Attempted(run=run, environment="prod", attempt=each) for each in attempts),
            RunEnded(run=run, status=Status.FAILED, receipt=receipt),
        ],
        now=project.tools.clock(),
    )


def test_a_long_cause_is_whole_on_the_page_of_its_run(project: Project, shop: Visitor) -> None:
    message = f"sales 2026-01-01: {'columns, ' * 40}and that was the last"
    failed = Attempt(
        stage="sales",
        partition="2026-01-01",
        action="run",
        outcome=Outcome.FAILED,
        message=message,
    )
    record_run(project, "r2", [failed])
    [cause] = show_run(project, "r2").causes
    assert (cause.why[-1], cause.message) == ("\N{HORIZONTAL ELLIPSIS}", message)
    assert message in shop.page("/runs/r2").words
    assert {each.message for each in show_run(project, broken_run(project)).causes} == {""}


def test_errors_come_before_what_waits_for_people(project: Project, shop: Visitor) -> None:
    found = show_run(project, broken_run(project))
    assert [each.stage for each in found.causes] == ["sales", "other", "model"]
    first, _, last = found.causes
    assert (first.partitions, first.review) == ("2026-01-01 .. 2026-01-02 (2)", "")
    assert (last.review, last.is_waiting, last.verdict, last.advice) == ("r1", False, HELD, "")
    assert [each.stage for each in found.failed] == ["sales", "sales", "other"]
    assert (found.messages, found.word) == ((), "failed")
    page = shop.page("/runs/r1").text
    assert page.count("<details open>") == 2
    assert 'href="/reviews/r1"' in page
    assert "look at it with" not in shop.page("/runs/r1").words.replace(HELD.replace("\n", " "), "")


def test_a_log_opens_at_the_first_failure_and_shows_only_failures(
    project: Project, shop: Visitor
) -> None:
    found = show_log(project, broken_run(project))
    assert (found.failed, found.failures) == (3, False)
    assert found.lines[found.first_failure].stage == "other"
    only = show_log(project, "r1", "sales", failures=True)
    assert [each.partition for each in only.lines] == ["2026-01-01", "2026-01-02"]
    assert (only.total, only.failed, only.first_failure) == (2, 2, 0)
    page = shop.page("/runs/r1/log?stage=sales")
    assert "Only failures (2)" in page.words
    assert page.text.count('<p id="failed">') == 1
    assert shop.page("/runs/r1/log?stage=sales&failures=1").status == 200
