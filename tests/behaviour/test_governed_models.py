"""Rules and reviews keep a model from its users until they allow it, whatever else happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.support.constant import ConstantFormat
from tests.support.tides import day, flow_of
from tidemill.core.errors import DeclarationError, GateError
from tidemill.ledger.event import Decided, Delivered
from tidemill.ledger.governance_events import (
    PolicyDecided,
    ReviewClosed,
    ReviewOpened,
    RulesLoaded,
    Voted,
)
from tidemill.ledger.model_version import VersionState
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome
from tidemill.ledger.review import Choice, Review, ReviewOutcome
from tidemill.ledger.run import Receipt
from tidemill.project.live_models import LiveModels
from tidemill.project.project import Project, open_project

OWNED = """
[[rule]]
id = "owner"
on = ["delivery"]
when = 'owner == ""'
message = "declare who owns the workflow"
"""


def rule(when: str, effect: str = "review", id: str = "moved", more: str = "") -> str:
    return f"""
[[rule]]
id = "{id}"
on = ["delivery"]
when = '{when}'
message = "look at it"
effect = "{effect}"
{more}
"""


class Governed(Sea):
    """A project with a model, and rules about its deliveries."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for number in range(WINDOW):
            self.flood(number)

    def open_in(self, environment: str) -> Project:
        """The project in a branch."""
        project = open_project(self.root, workflow=flow_of(self.root, self.text), env=environment)
        project.workspace.tools = self.change(project.tools)
        return project

    def rules(self, text: str) -> None:
        (self.root / "tidemill.rules.toml").write_text(text)

    def predict(self, value: float) -> None:
        """Edit the model to predict another constant; the label is always 10."""
        old = 'params={"value": ' + str(self.value) + "}"
        assert old in self.text
        self.text = self.text.replace(old, 'params={"value": ' + str(value) + "}")
        self.value = value

    value = 9.0

    @property
    def live(self) -> str:
        found = self.open().state().live.get("model")
        return found.artifact.id if found else ""

    def decisions(self) -> list[PolicyDecision]:
        return [e.decision for e in self.events() if isinstance(e, PolicyDecided)]

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events())


@pytest.fixture
def sea(tmp_path: Path) -> Governed:
    return Governed(tmp_path)


def said(receipt: Receipt) -> str:
    return "\n".join(receipt.messages)


def test_without_rules_nothing_is_recorded_of_them(sea: Governed) -> None:
    sea.ok()
    assert sea.live
    kinds = {type(event).__name__ for event in sea.events()}
    assert kinds.isdisjoint({"PolicyDecided", "RulesLoaded", "ReviewOpened"})


def test_a_denied_model_stays_a_candidate_until_the_rules_allow_it(sea: Governed) -> None:
    sea.rules(OWNED)
    receipt = sea.run()
    assert receipt.exit_code == 4
    assert "model" in said(receipt)
    assert "rule owner: declare who owns the workflow" in said(receipt)
    assert "tidemill policy waive owner" in said(receipt)
    assert (sea.live, sea.count(Delivered), sea.count(Decided)) == ("", 0, 0)
    [decision] = sea.decisions()
    assert decision.outcome is PolicyOutcome.DENY
    assert decision.facts["first_delivery"] is True
    assert decision.facts["gates_passed"] is True
    assert decision.facts["training_rows"] == 8
    assert decision.facts["evaluation_rows"] == 4
    assert decision.facts["prediction_shift"] == 0.0
    assert decision.facts["environment"] == "prod"
    # Unrelated stages are up to date, and the same decision isn't recorded twice.
    again = sea.run()
    assert again.exit_code == 4
    assert set(sea.ran(again)) == {"refused gate model", "skipped deliver out"}
    assert (len(sea.decisions()), sea.count(RulesLoaded)) == (1, 1)
    # An owner is declared: the next run delivers what was trained before.
    sea.edit('tm.Workflow("tides")', 'tm.Workflow("tides", owner="ops")')
    ran = sea.ok()
    assert ran["ok gate model"] == ["all"]
    assert "ok train model" not in ran
    assert ran["ok deliver out"] == [day(n) for n in range(WINDOW)]
    assert [d.outcome for d in sea.decisions()] == [PolicyOutcome.DENY, PolicyOutcome.ALLOW]
    assert sea.ok() == {}


def test_a_review_waits_and_never_blocks_other_work(sea: Governed) -> None:
    sea.ok()
    first = sea.live
    sea.rules(rule("prediction_shift > 0.1"))
    sea.predict(9.5)
    receipt = sea.run(train=["model"])
    assert receipt.exit_code == 4
    assert "waits for review" in said(receipt)
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    assert (opened.name, opened.replaces) == ("model", first)
    assert opened.verdict is not None
    assert opened.verdict.approved
    assert sea.live == first
    assert sea.count(Decided) == 1  # the one of the first delivery
    # A new day is scored by the live model, and the same candidate waits in the same review.
    sea.flood(WINDOW)
    receipt = sea.run()
    assert sea.ran(receipt)["ok deliver out"] == [day(WINDOW)]
    assert "still waits for review" in said(receipt)
    assert sea.count(ReviewOpened) == 1
    assert sea.live == first
    # A newer candidate supersedes the review, and waits in one of its own.
    sea.predict(9.75)
    sea.run(train=["model"])
    closed = [e for e in sea.events() if isinstance(e, ReviewClosed)]
    assert [(e.review, e.outcome) for e in closed] == [(opened.id, ReviewOutcome.SUPERSEDED)]
    assert sea.count(ReviewOpened) == 2
    # Without the rule it goes live, and the review is over.
    sea.rules(rule("prediction_shift > 2"))
    assert sea.ok()["ok gate model"] == ["all"]
    assert sea.live != first
    assert sea.count(ReviewClosed) == 2


def test_gates_that_refuse_a_waiting_candidate_end_its_review(sea: Governed) -> None:
    sea.rules(rule("first_delivery"))
    assert sea.run().exit_code == 4
    sea.edit('tm.beats_live("mae")', 'tm.beats_baseline("mae")')
    receipt = sea.run()
    assert receipt.exit_code == 4
    closed = [e for e in sea.events() if isinstance(e, ReviewClosed)]
    assert [event.reason for event in closed] == ["the gates refused the candidate since"]
    assert (sea.count(Delivered), sea.count(Decided)) == (0, 1)


def test_people_approve_what_waits_and_reject_it_for_good(sea: Governed) -> None:
    sea.edit('gates=[tm.beats_live("mae")]', 'gates=[tm.beats_live("mae")], review=tm.review()')
    receipt = sea.run()
    assert receipt.exit_code == 4
    assert "the workflow asks for a review of every change" in said(receipt)
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    project = sea.open()
    project.reviews.approve(opened.id, "looks right")
    project.close()
    assert sea.live == opened.artifact
    assert sea.ok()["ok deliver out"] == [day(n) for n in range(WINDOW)]
    sea.predict(9.5)
    assert sea.run(train=["model"]).exit_code == 4
    second = [e.review for e in sea.events() if isinstance(e, ReviewOpened)][-1]
    project = sea.open()
    project.reviews.reject(second.id, "not before the holidays")
    project.close()
    receipt = sea.run()
    assert receipt.exit_code == 0
    assert "not before the holidays" in said(receipt)
    assert sea.count(ReviewOpened) == 2
    # Judged again on request, people are asked again.
    assert sea.run("model", again=True).exit_code == 4
    assert sea.count(ReviewOpened) == 3
    assert sea.live == opened.artifact


def test_an_approval_obeys_the_rules_and_gates_of_today(sea: Governed) -> None:
    sea.rules(rule("first_delivery"))
    assert sea.run().exit_code == 4
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]

    def approve() -> None:
        with sea.open() as project:
            project.reviews.approve(opened.id, "looks right")

    sea.rules(rule("first_delivery") + OWNED)
    with pytest.raises(GateError, match=r"by the rules of today: (.|\n)*declare who owns"):
        approve()
    sea.rules(rule("first_delivery", more="people = 2"))
    asked = r"rules of today: they ask 2 of the reviewers; `tidemill run model` asks them$"
    with pytest.raises(GateError, match=asked):
        approve()
    sea.rules(rule("first_delivery"))
    sea.edit('tm.beats_live("mae")', 'tm.beats_live("mae", by=0.1)')
    with pytest.raises(GateError, match="what other gates or evaluations judged"):
        approve()
    assert (sea.live, sea.count(Voted)) == ("", 0)
    # What asks nobody any more doesn't keep an approval from counting.
    sea.edit('tm.beats_live("mae", by=0.1)', 'tm.beats_live("mae")')
    sea.rules(rule("prediction_shift > 2"))
    approve()
    assert sea.live == opened.artifact


def test_an_approval_rests_on_what_was_known_in_its_own_environment(sea: Governed) -> None:
    sea.ok()
    before = sea.live
    moved = rule("prediction_shift > 0.01")
    sea.rules(moved)
    sea.predict(9.5)
    assert sea.run(train=["model"]).exit_code == 4
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    # A branch decides on the same candidate after that.
    with sea.open_in("dev") as project:
        assert project.run("model", raise_on_failure=False).exit_code == 4
    last = sea.decisions()[-1]
    assert (last.subject, last.facts["environment"]) == (opened.subject, "dev")
    sea.rules(moved + rule('environment == "prod"', "deny", "closed"))
    with sea.open() as project, pytest.raises(GateError, match=r"rules of today: (.|\n)*closed"):
        project.reviews.approve(opened.id, "closer to the label")
    assert sea.live == before
    sea.rules(moved + rule('environment == "dev"', "deny", "closed"))
    with sea.open() as project:
        project.reviews.approve(opened.id, "closer to the label")
    assert sea.live == opened.artifact


def test_to_deliver_what_waits_says_who_is_asked_and_what_to_run(sea: Governed) -> None:
    sea.rules(rule("first_delivery or prediction_shift > 0.1"))
    assert sea.run().exit_code == 4

    def refused(version: str) -> tuple[Review, str]:
        opened = [e.review for e in sea.events() if isinstance(e, ReviewOpened)][-1]
        with sea.open() as project, pytest.raises(GateError) as caught:
            project.models["model"].deliver(version or opened.artifact[:8])
        assert caught.value.exit_code == 4
        return opened, str(caught.value)

    for version in ("newest", ""):
        opened, message = refused(version)
        assert message.splitlines() == [
            f"model {opened.artifact} waits for review {opened.id}",
            "asked: the reviewers",
            "so far: 0 of 1 approval",
            f"look at it with: tidemill review show {opened.id}",
            f'approve it with: tidemill review approve {opened.id} --reason "WHY"; that makes it live',
        ]
    with sea.open() as project:
        project.reviews.approve(opened.id, "seen")
    sea.predict(9.5)
    assert sea.run(train=["model"]).exit_code == 4
    for version in ("newest", ""):
        assert "waits for review" in refused(version)[1]
    with sea.open() as project:
        project.reviews.approve(refused("")[0].id, "seen")
        project.models["model"].rollback(reason="it was not")
        # What was live before isn't decided on once more, also while people are asked again.
    assert sea.run("model", again=True).exit_code == 4
    with sea.open() as project:
        assert project.models["model"].deliver("newest").moved


def test_who_asks_again_after_a_rollback_asks_people_again(sea: Governed) -> None:
    sea.ok()
    first = sea.live
    sea.rules(rule("prediction_shift > 0.1"))
    sea.predict(9.5)
    assert sea.run(train=["model"]).exit_code == 4
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    with sea.open() as project:
        project.reviews.approve(opened.id, "looks right")
        LiveModels(project.workspace).rollback("model", reason="it was not")
    assert sea.live == first
    assert sea.run("model", again=True).exit_code == 4
    assert (sea.live, sea.count(ReviewOpened)) == (first, 2)


def test_the_decision_by_which_people_are_asked_again_can_be_explained(sea: Governed) -> None:
    sea.rules(rule("first_delivery"))
    assert sea.run().exit_code == 4
    [first] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    with sea.open() as project:
        project.reviews.reject(first.id, "not before the holidays")
    assert sea.run("model", again=True).exit_code == 4
    second = [e.review for e in sea.events() if isinstance(e, ReviewOpened)][-1]
    assert second.decision not in ("", first.decision)
    with sea.open() as project:
        found = project.policy.explain(second.decision)
    assert found.decision.run == second.run
    assert found.decision.subject == second.subject


def test_a_review_that_nobody_decides_in_time_is_over_with_the_next_run(sea: Governed) -> None:
    now = [1_800_000_000.0]
    sea.use(clock=lambda: now[0], formats=(ConstantFormat(),))
    sea.edit(
        'gates=[tm.beats_live("mae")]',
        'gates=[tm.beats_live("mae")], review=tm.review(within="24h")',
    )
    assert sea.run().exit_code == 4
    now[0] += 23 * 3600
    assert sea.run().exit_code == 4
    now[0] += 3600
    sea.run()
    assert [e.outcome for e in sea.events() if isinstance(e, ReviewClosed)] == [
        ReviewOutcome.EXPIRED
    ]
    assert (sea.live, sea.count(ReviewOpened)) == ("", 1)


def test_a_first_promotion_waits_for_its_model(sea: Governed) -> None:
    sea.rules(rule('environment == "prod"'))
    with sea.open_in("dev") as project:
        assert project.run(raise_on_failure=False).exit_code == 0
    with sea.open() as project:
        receipt = project.promote("dev", raise_on_failure=False)
    assert receipt.exit_code == 4
    assert "waits for review" in said(receipt)
    assert (sea.live, sea.published()) == ("", {})
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    with sea.open() as project:
        project.reviews.approve(opened.id, "ran a week in dev")
    assert sea.live == ""
    with sea.open() as project:
        receipt = project.promote("dev", raise_on_failure=False)
    assert (receipt.exit_code, sea.live) == (0, opened.artifact)
    assert sorted(sea.delivered()) == [day(n) for n in range(WINDOW)]


def test_a_condition_of_a_review_is_checked_before_anything_runs(sea: Governed) -> None:
    sea.edit(
        'gates=[tm.beats_live("mae")]',
        'gates=[tm.beats_live("mae")], review=tm.review(when="shift > 1")',
    )
    with pytest.raises(DeclarationError, match="review when=: column 1: there is no fact 'shift'"):
        sea.run()
    assert sea.events() == []


def test_a_plan_says_what_will_be_held_and_records_nothing(sea: Governed) -> None:
    sea.rules(OWNED + rule("prediction_shift > 0.1"))
    sea.edit('gates=[tm.beats_live("mae")]', 'gates=[tm.beats_live("mae")], review=tm.review()')
    notes = sea.open().plan().notes
    assert notes == (
        "model: the workflow asks for a review of a candidate that passes its gates",
        "model: rule owner will refuse it: declare who owns the workflow",
    )
    assert sea.events() == []
    sea.edit('tm.Workflow("tides")', 'tm.Workflow("tides", owner="ops")')
    assert sea.run().exit_code == 4
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    assert f"model: a delivery waits in review {opened.id}" in sea.open().plan().notes


def test_gates_that_pass_a_refused_candidate_since_refuse_it_no_more(sea: Governed) -> None:
    """Rules hold it back after that; once they don't, the next run makes it live."""
    sea.edit("gates=[", 'gates=[tm.golden([{"name": "calm", "x": 1.0, "expect": 8.0}]), ')
    assert sea.run().exit_code == 4
    sea.edit('"expect": 8.0', '"expect": 9.0')
    sea.rules(OWNED)
    assert sea.run("model", again=True).exit_code == 4
    last = [event.decision for event in sea.events() if isinstance(event, Decided)][-1]
    assert (last.approved, last.held, last.verdict) == (False, True, "passed")
    assert all(result.passed for result in last.results)
    version = last.artifact
    with sea.open() as project:
        assert project.models["model"].versions[0].state is VersionState.CANDIDATE
    # It is tried by every run, and nothing more is recorded of the gates.
    receipt = sea.run()
    assert (receipt.exit_code, sea.count(Decided)) == (4, 2)
    assert "was refused on" not in said(receipt)
    sea.edit('tm.Workflow("tides")', 'tm.Workflow("tides", owner="ops")')
    assert "ok gate model" in sea.ok()
    assert sea.live == version


def test_a_version_that_nothing_evaluated_is_no_other_candidate(sea: Governed) -> None:
    sea.ok()
    sea.rules(rule("prediction_shift > 0.1"))
    scored, broken = "scored = model.predict(features)", "scored = model.predict(feature)"

    def train_unscored() -> None:
        sea.predict(9.25)
        sea.edit(scored, broken)
        assert sea.run(train=["model"]).exit_code == 1
        sea.edit(broken, scored)

    train_unscored()
    sea.predict(9.5)
    assert sea.run(train=["model"]).exit_code == 4
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    train_unscored()
    sea.predict(9.5)
    with sea.open() as project:
        artifact = project.models.artifact("model").product.artifact
        assert artifact is not None
        # The result from before was reused, and is the newest.
        assert artifact.id != opened.artifact
        [state] = project.reviews.list()
        assert project.reviews.overtaken(state) == ""
        assert project.reviews.obstacles(state) == {}
        assert project.reviews.approve(opened.id, "looks right").went_live == opened.artifact
    assert sea.live == opened.artifact


def test_a_review_says_that_its_candidate_was_overtaken(sea: Governed) -> None:
    sea.ok()
    first = sea.live
    sea.rules(rule("prediction_shift > 0.1"))
    sea.predict(9.5)
    assert sea.run(train=["model"]).exit_code == 4
    [opened] = [e.review for e in sea.events() if isinstance(e, ReviewOpened)]
    # The rules let another version go live by themselves, and people are asked about this one again.
    sea.rules(rule("prediction_shift > 99"))
    sea.predict(9.75)
    assert sea.run(train=["model"]).exit_code == 0
    again = ReviewOpened(environment="prod", review=replace(opened, id="again"))
    with sea.open() as project:
        project.tools.ledger.append([again], now=project.tools.clock())
        [state] = project.reviews.list()
        why = f"version {first} of model was live when people were asked, and gates made version"
        assert project.reviews.overtaken(state).startswith(why)
        [(choice, said_why)] = project.reviews.obstacles(state).items()
        assert choice is Choice.APPROVE
        assert said_why.startswith(f"it can't be approved any more: {why}")
