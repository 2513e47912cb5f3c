"""A candidate that waits for people is measured again only if something changed that its verdict rests on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.behaviour.test_governed_models import Governed, rule, said
from tests.behaviour.test_models import WINDOW
from tidemill.console.views.runs import list_runs, show_run
from tidemill.ledger.governance_events import PolicyDecided, ReviewClosed, ReviewOpened
from tidemill.project.project import Project
from tidemill.steps.io.step_runner import StepRunner

GATES = 'gates=[tm.beats_live("mae")]'
ASKED = rule("prediction_shift > 0.1")
MEASURED = 'tm.gate(lambda c: c.scores.rows > 0, name="own"), tm.golden("golden.csv")'
GOLDEN = "name,x,expect_low,expect_high\ncalm,1,0,10\n"


class Waiting(Governed):
    """A model with gates that run in a process, of which a candidate waits; `judged` has what they judged."""

    judged: list[str]

    def again(self, *, again: bool = False) -> str:
        """What a run says."""
        self.judged.clear()
        return said(self.run("model" if again else "", again=again))

    def others(self) -> None:
        """Another version is live, with which nobody compared the candidate."""
        text, value = self.text, self.value
        with self.open() as project:
            [state] = project.reviews.list()
            candidate = state.review.artifact
        self.rules(rule("prediction_shift > 99"))
        self.predict(9.25)
        assert self.run(train=["model"]).exit_code == 0
        assert self.live != candidate
        self.text, self.value = text, value
        self.rules(ASKED)


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    waiting = Waiting(tmp_path)
    (tmp_path / "golden.csv").write_text(GOLDEN)
    waiting.edit(GATES, f"gates=[{MEASURED}]")
    waiting.judged, judge = [], StepRunner.judge

    def judged(self: StepRunner, work: object) -> object:
        waiting.judged.append("judged")
        return judge(self, work)  # type: ignore[arg-type]

    monkeypatch.setattr(StepRunner, "judge", judged)
    assert waiting.run().exit_code == 0
    waiting.rules(ASKED)
    waiting.predict(9.5)
    assert waiting.run(train=["model"]).exit_code == 4
    assert waiting.count(ReviewOpened) == 1
    return waiting


def test_while_nothing_changes_nothing_is_measured(waiting: Waiting) -> None:
    [opened] = [e.review for e in waiting.events() if isinstance(e, ReviewOpened)]
    decided = waiting.count(PolicyDecided)
    for _ in range(2):
        message = waiting.again()
        assert waiting.judged == []
        assert f"still waits for review {opened.id}" in message
        assert (
            f"own, golden(golden.csv): as in review {opened.id}, because the candidate, the live model"
            in message
        )
    assert waiting.count(PolicyDecided) == decided
    notes = "\n".join(waiting.open().plan().notes)
    assert "model: own, golden(golden.csv) measure the candidate that waits again only if" in notes
    # It is what people approve.
    with waiting.open() as project:
        project.reviews.approve(opened.id, "fine")
    assert waiting.live == opened.artifact


def more_rows(sea: Waiting) -> None:
    sea.flood(WINDOW)


def other_rows(sea: Waiting) -> None:
    sea.flood(WINDOW - 1, x=2.0)


def other_rules(sea: Waiting) -> None:
    sea.rules(rule("prediction_shift > 0.2"))


def another_gate(sea: Waiting) -> None:
    sea.edit("c.scores.rows > 0", "c.scores.rows > 1")


def other_golden_rows(sea: Waiting) -> None:
    (sea.root / "golden.csv").write_text(GOLDEN.replace(",10", ",11"))


CHANGES = [more_rows, other_rows, other_rules, another_gate, other_golden_rows, Waiting.others]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_changed_is_measured(waiting: Waiting, change: Callable[[Waiting], None]) -> None:
    change(waiting)
    message = waiting.again()
    assert len(waiting.judged) == 2
    assert "waits for review" in message
    # Once: what is measured by then isn't measured again.
    message = waiting.again()
    assert waiting.judged == []
    assert "still waits for review" in message
    assert "because the candidate, the live model" in message


def test_a_newer_candidate_is_measured(waiting: Waiting) -> None:
    waiting.predict(9.75)
    waiting.judged.clear()
    assert waiting.run(train=["model"]).exit_code == 4
    assert len(waiting.judged) == 2


def test_who_asks_again_has_it_measured(waiting: Waiting) -> None:
    waiting.again(again=True)
    assert len(waiting.judged) == 2


def test_what_people_rejected_is_measured_on_request(waiting: Waiting) -> None:
    with waiting.open() as project:
        [state] = project.reviews.list()
        project.reviews.reject(state.review.id, "not before the holidays")
    waiting.again()
    assert waiting.judged == []
    waiting.again(again=True)
    assert len(waiting.judged) == 2


def test_a_gate_that_fails_since_ends_the_review(waiting: Waiting) -> None:
    (waiting.root / "golden.csv").write_text(GOLDEN.replace(",10", ",1"))
    waiting.again()
    assert len(waiting.judged) == 2
    assert waiting.count(ReviewClosed) == 1


def test_its_run_waits_until_people_decided(waiting: Waiting) -> None:
    def words(project: Project) -> dict[str, list[str]]:
        statuses = ("failed", "waiting", "decided")
        return {
            word: [str(run.status) for run in list_runs(project, status=word).runs]
            for word in statuses
        }

    with waiting.open() as project:
        assert words(project) == {"failed": [], "waiting": ["waiting"], "decided": []}
        shown = show_run(project, "last")
        [model] = [each for each in shown.stages if each.stage == "model"]
        assert (model.failed, model.asked, shown.run.status) == (0, 1, "waiting")
        assert [bar.action for bar in shown.timeline if bar.asks] == ["gate"]
        assert "What people were asked" in project.reports.report_on("last").html
        assert [each.action for each in project.audit.entries()][-1] == "ended a run: waiting"
        [state] = project.reviews.list()
        project.reviews.reject(state.review.id, reason="no")
    with waiting.open() as project:
        assert words(project) == {"failed": [], "waiting": [], "decided": ["decided"]}
