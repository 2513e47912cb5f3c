"""What rules refuse of a table doesn't reach its sink, whole or in part, until they or people allow it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_delivered_tables import DOWNSTREAM, flooded
from tests.behaviour.test_governed_models import said
from tests.behaviour.test_models import WINDOW
from tests.support.tides import CHAIN, FIRST, Tides, day, flow_of
from tests.support.users import USER
from tidemill.core.errors import GateError
from tidemill.ledger.event import EffectQueued
from tidemill.ledger.governance_events import Acted, PolicyDecided, ReviewClosed, ReviewOpened
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome, SubjectKind
from tidemill.ledger.review import Quorum, Review, ReviewOutcome
from tidemill.project.project import Project, open_project
from tidemill.project.workflow_ledger import WorkflowLedger

DAYS = 4
DELIVERED = CHAIN + '\nflow.table("sent", stage=doubled, sink=tm.parquet("out"))\n'


def rule(when: str, effect: str = "deny", more: str = "") -> str:
    return f"""
[[rule]]
id = "moved"
on = ["table"]
when = '{when}'
message = "too much of the table changes"
effect = "{effect}"
{more}
"""


class Shore(Tides):
    """A project that delivers a table of a few days."""

    def __init__(self, root: Path, text: str = DELIVERED) -> None:
        super().__init__(root, text)
        for number in range(DAYS):
            self.send(number)

    env = "prod"

    def open(self) -> Project:
        """The project in the environment that is worked on."""
        flow = flow_of(self.root, self.text)
        return open_project(self.root, workflow=flow, env=self.env)

    def rules(self, text: str) -> None:
        (self.root / "tidemill.rules.toml").write_text(text)

    def delivered(self) -> dict[str, float]:
        """The sum of each day that lies in the sink."""
        return {
            path.stem: float(pl.read_parquet(path)["double"].sum())
            for path in sorted((self.root / "out").glob("*.parquet"))
        }

    def decisions(self) -> list[PolicyDecision]:
        return [e.decision for e in self.events() if isinstance(e, PolicyDecided)]

    def decided_contracts(self) -> list[PolicyOutcome]:
        return [d.outcome for d in self.decisions() if d.kind is SubjectKind.CONTRACT]


@pytest.fixture
def shore(tmp_path: Path) -> Shore:
    return Shore(tmp_path)


def test_a_first_delivery_is_decided_on_as_a_whole(shore: Shore) -> None:
    shore.rules(rule("first_delivery"))
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert shore.ran(receipt)["refused deliver sent"] == [day(n) for n in range(DAYS)]
    assert "sent: 4 partitions: refused by the rules" in said(receipt)
    assert shore.delivered() == {}
    [decision] = shore.decisions()
    assert decision.facts["partitions"] == DAYS
    assert decision.facts["rows"] == 12
    assert decision.facts["moved_rows"] is None  # no rule needs it
    assert (decision.facts["sink"], decision.facts["public_sink"]) == ("parquet", False)
    # The same again is refused again, and recorded once.
    assert shore.run().exit_code == 4
    assert len(shore.decisions()) == 1
    # What isn't delivered is still there to be.
    shore.rules(rule("rows > 100"))
    assert shore.ok()["ok deliver sent"] == [day(n) for n in range(DAYS)]
    assert len(shore.delivered()) == DAYS
    assert shore.ok() == {}
    assert [d.outcome for d in shore.decisions()] == [PolicyOutcome.DENY, PolicyOutcome.ALLOW]


def test_a_backfill_that_moves_much_of_a_table_is_refused(shore: Shore) -> None:
    shore.rules(rule("moved_rows > 0.2"))
    shore.ok()
    before = shore.delivered()
    # One of twelve rows changes: that is fine.
    shore.send(1, (1.0, 2.0, 9.0))
    assert shore.ok()["ok deliver sent"] == [day(1)]
    assert shore.decisions()[-1].facts["moved_rows"] == pytest.approx(1 / 12)
    assert shore.decisions()[-1].facts["backfill"] is True
    # A new day moves nothing of what was published.
    shore.send(DAYS)
    shore.ok()
    assert shore.decisions()[-1].facts["moved_rows"] == 0
    assert shore.decisions()[-1].facts["backfill"] is False
    kept = shore.delivered()
    assert kept != before
    # Other code changes all of them.
    shore.edit("return value * 2", "return value * 3")
    receipt = shore.run()
    assert (receipt.exit_code, shore.delivered()) == (4, kept)
    assert shore.decisions()[-1].facts["moved_rows"] == 1
    # Stages inside of the project are up to date.
    assert "ok run doubled" in shore.ran(receipt)
    assert "ok run doubled" not in shore.ran(shore.run())
    shore.edit("return value * 3", "return value * 2")
    assert shore.ok().get("ok deliver sent") is None


def test_a_review_lets_exactly_these_partitions_go_on(shore: Shore) -> None:
    shore.rules(rule("backfill", "review"))
    shore.ok()
    shore.send(1, (7.0, 8.0))
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert "waits for review" in said(receipt)
    [opened] = [e.review for e in shore.events() if isinstance(e, ReviewOpened)]
    assert (opened.kind, opened.name, opened.artifact) == ("table", "sent", "")
    assert shore.run().exit_code == 4
    assert sum(isinstance(e, ReviewOpened) for e in shore.events()) == 1
    project = shore.open()
    project.reviews.approve(opened.id, "the source was wrong")
    project.close()
    receipt = shore.run()
    assert (receipt.exit_code, shore.ran(receipt)) == (0, {"ok deliver sent": [day(1)]})
    assert said(receipt) == f"sent: 1 partition: approved in review {opened.id}"
    assert shore.delivered()[day(1)] == 30.0
    # Another content of the same partition is another question.
    shore.send(1, (7.0, 9.0))
    assert shore.run().exit_code == 4
    assert sum(isinstance(e, ReviewOpened) for e in shore.events()) == 2
    assert shore.delivered()[day(1)] == 30.0


def test_an_approval_counts_only_for_what_it_would_replace(shore: Shore) -> None:
    shore.rules(rule("backfill", "review"))
    shore.ok()

    def wait() -> str:
        receipt = shore.run()
        assert receipt.exit_code == 4
        assert "waits for review" in said(receipt)
        return [e.review.id for e in shore.events() if isinstance(e, ReviewOpened)][-1]

    def send(*values: float) -> None:
        shore.send(1, values)
        with shore.open() as project:
            project.reviews.approve(wait(), "seen")
        assert shore.run().exit_code == 0

    first = shore.delivered()[day(1)]
    send(7.0, 8.0)
    send(5.0)
    # 7 and 8 were approved in place of other rows than those that users have now.
    shore.send(1, (7.0, 8.0))
    wait()
    assert shore.delivered()[day(1)] == 10.0 != first


def test_what_people_rejected_is_not_asked_again(shore: Shore) -> None:
    shore.rules(rule("backfill", "review"))
    shore.ok()
    shore.send(1, (7.0, 8.0))
    shore.run()
    [opened] = [e.review for e in shore.events() if isinstance(e, ReviewOpened)]
    project = shore.open()
    project.reviews.reject(opened.id, "these are test rows")
    project.close()
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert "these are test rows" in said(receipt)
    assert [e.outcome for e in shore.events() if isinstance(e, ReviewClosed)] == [
        ReviewOutcome.REJECTED
    ]
    # Not even when no rule asks about it any more.
    shore.rules(rule("partitions > 9", "review"))
    assert shore.run().exit_code == 4
    # On request people are asked once more.
    shore.rules(rule("backfill", "review"))
    assert shore.run("sent", again=True).exit_code == 4
    assert sum(isinstance(e, ReviewOpened) for e in shore.events()) == 2
    # The source is corrected: nothing changes for users, and nothing is asked.
    shore.send(1)
    assert shore.run().exit_code == 0


@pytest.mark.parametrize("rules", ["other kind", "no file"])
def test_what_people_rejected_stays_back_without_any_rule_on_it(shore: Shore, rules: str) -> None:
    shore.rules(rule("backfill", "review"))
    first = shore.run().run
    before = shore.delivered()
    shore.send(1, (7.0, 8.0))
    shore.run()
    with shore.open() as project:
        (state,) = project.reviews.list()
        project.reviews.reject(state.review.id, "these are test rows")
    if rules == "no file":
        (shore.root / "tidemill.rules.toml").unlink()
    else:
        shore.rules(rule("rows > 1000").replace('["table"]', '["release"]'))
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert "these are test rows" in said(receipt)
    assert shore.delivered() == before
    delivered = shore.run("sent", again=True)
    assert (delivered.exit_code, shore.delivered()[day(1)]) == (0, 30.0)
    # So does a restore.
    with shore.open() as project:
        project.delivered_tables.restore("sent", first, command="test")
    with shore.open() as project, pytest.raises(GateError, match="these are test rows"):
        project.delivered_tables.restore("sent", delivered.run, command="test")
    assert shore.delivered() == before


def test_an_open_review_ends_when_its_change_goes_on_without_any_rule(shore: Shore) -> None:
    shore.rules(rule("backfill", "review"))
    shore.ok()
    shore.send(1, (7.0, 8.0))
    shore.run()
    (shore.root / "tidemill.rules.toml").unlink()
    shore.ok()
    assert shore.delivered()[day(1)] == 30.0
    with shore.open() as project:
        assert not project.reviews.list()
    assert [e.outcome for e in shore.events() if isinstance(e, ReviewClosed)] == [
        ReviewOutcome.SUPERSEDED
    ]


def test_a_day_that_is_withdrawn_is_a_change_of_the_table(shore: Shore) -> None:
    text = DELIVERED.replace('"data/*.parquet"', '"data/*.parquet", on_missing="remove"')
    shore.text = text
    shore.rules(rule("moved_rows > 0.2"))
    shore.ok()
    (shore.root / "data" / f"{day(2)}.parquet").unlink()
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert shore.ran(receipt)["refused remove sent"] == [day(2)]
    assert day(2) in shore.delivered()
    shore.rules(rule("moved_rows > 0.3"))
    shore.ok()
    assert day(2) not in shore.delivered()


def test_tables_whose_partitions_are_checked_in_order_are_decided_on_together(
    tmp_path: Path,
) -> None:
    text = DELIVERED.replace(
        "    double = tm.Float64(nullable=True)\n",
        '    double = tm.Float64(nullable=True)\n    alone = tm.Unique("day", "id")\n',
    )
    shore = Shore(tmp_path, text)
    shore.rules(rule("partitions > 3"))
    receipt = shore.run()
    assert shore.ran(receipt)["refused deliver sent"] == [day(n) for n in range(DAYS)]
    assert shore.delivered() == {}
    shore.rules(rule("partitions > 4"))
    assert len(shore.ok()["ok deliver sent"]) == DAYS


def test_an_interruption_leaves_the_whole_table_for_the_next_run(
    shore: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the decision and its record."""
    from tidemill.runs.io.withheld_tables import WithheldTables

    shore.rules(rule("partitions > 9"))
    decide = WithheldTables.decide

    def die(self: WithheldTables, stage: str) -> object:
        if found := decide(self, stage):
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(WithheldTables, "decide", die)
    assert shore.run().exit_code == 130
    assert shore.delivered() == {}
    assert not any(isinstance(event, EffectQueued | PolicyDecided) for event in shore.events())
    monkeypatch.setattr(WithheldTables, "decide", decide)
    assert shore.ok() == {"ok deliver sent": [day(n) for n in range(DAYS)]}
    assert len(shore.delivered()) == DAYS
    assert FIRST.isoformat() in shore.delivered()


def test_a_warning_is_shown_and_delivers(shore: Shore) -> None:
    shore.rules(rule("first_delivery", "warn"))
    receipt = shore.run()
    assert receipt.exit_code == 0
    assert "rule moved: too much of the table changes" in said(receipt)
    assert len(shore.delivered()) == DAYS


def test_personal_data_never_goes_to_a_public_table(shore: Shore) -> None:
    shore.rules(rule("public_sink and len(personal_columns) > 0"))
    shore.ok()
    shore.edit('sink=tm.parquet("out"))', 'sink=tm.parquet("out"), public=True)')
    shore.send(DAYS)
    shore.ok()
    shore.edit("id = tm.Int64(min=0)", 'id = tm.Int64(min=0, pii="customer")')
    shore.send(DAYS + 1)
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert shore.decisions()[-1].facts["personal_columns"] == ("doubled.id",)
    assert day(DAYS + 1) not in shore.delivered()


def test_predictions_that_other_stages_read_are_withheld_from_them(tmp_path: Path) -> None:
    """The table has a contract, whose rules look at the partitions in order."""
    text = DOWNSTREAM.replace(
        'class Scored(tm.Contract, key=("day", "id")):',
        'class Scored(tm.Contract, key=("day", "id")):\n    volume = tm.Rows(min=1, vs_last=7, within=0.9)',
    )
    sea = flooded(tmp_path, text)
    (tmp_path / "tidemill.rules.toml").write_text(rule("first_delivery"))
    receipt = sea.run()
    ran = sea.ran(receipt)
    days = [day(n) for n in range(WINDOW)]
    assert receipt.exit_code == 4
    assert ran["refused deliver out"] == days
    assert "ok run watched" not in ran
    assert sea.delivered() == {}
    (tmp_path / "tidemill.rules.toml").write_text(rule("partitions > 100 or moved_rows > 0.5"))
    ran = sea.ok()
    assert (ran["ok deliver out"], ran["ok run watched"]) == (days, days)
    # A newer version that predicts the same is no change of the predictions.
    sea.edit('params={"value": 9.0}', 'params={"value": 9.0, "note": 1}')
    sea.edit("contract=Scored)", 'contract=Scored, on_new_model="rescore")')
    assert sea.run(train=["model"]).exit_code == 0
    assert sea.open().stored_state.verify(deep=True).is_sound


def test_a_restore_is_decided_on_as_any_delivery(shore: Shore) -> None:
    first = shore.run().run
    before = shore.delivered()
    for number in range(DAYS):
        shore.send(number, (4.0, 5.0, 6.0))
    shore.ok()
    after = shore.delivered()
    assert after != before

    def restore(**options: bool) -> None:
        with shore.open() as project:
            project.delivered_tables.restore("sent", first, command="test", **options)

    shore.rules(rule("moved_rows > 0.2"))
    with pytest.raises(
        GateError, match=f"sent as of run {first}: 4 partitions: refused by the rul"
    ):
        restore()
    assert shore.delivered() == after
    facts = shore.decisions()[-1].facts
    assert (facts["moved_rows"], facts["backfill"], facts["rows"]) == (1.0, True, 12)
    # People decide on exactly these rows.
    shore.rules(rule("moved_rows > 0.2", "review"))
    with pytest.raises(GateError, match="waits for review r"):
        restore()
    with shore.open() as project:
        (state,) = project.reviews.list()
        assert state.page
        project.reviews.reject(state.review.id, "not these")
    with pytest.raises(GateError, match="not these"):
        restore()
    with pytest.raises(GateError, match="waits for review r"):
        restore(again=True)
    with shore.open() as project:
        (state,) = project.reviews.list()
        project.reviews.approve(state.review.id, "these")
    restore()
    assert shore.delivered() == before
    acted = [event for event in shore.events() if isinstance(event, Acted)]
    assert [(e.actor, e.subject, e.detail) for e in acted] == [(USER, "sent", f"as of run {first}")]
    # Nothing is left to decide on.
    shore.rules(rule("rows >= 0"))
    restore()
    assert len([event for event in shore.events() if isinstance(event, Acted)]) == 1


def test_what_people_took_back_is_asked_about_again(shore: Shore) -> None:
    """They approved the new rows, and then that users get the old ones again."""
    first = shore.run().run
    shore.rules(rule("moved_rows > 0.2", "review"))
    for number in range(DAYS):
        shore.send(number, (4.0, 5.0, 6.0))
    assert shore.run().exit_code == 4

    def approve() -> None:
        with shore.open() as project:
            (state,) = project.reviews.list()
            project.reviews.approve(state.review.id, "seen")

    def restore(run: str) -> None:
        with shore.open() as project:
            project.delivered_tables.restore("sent", run, command="test")

    approve()
    second = shore.run()
    assert second.exit_code == 0
    with pytest.raises(GateError, match="waits for review"):
        restore(first)
    approve()
    restore(first)
    before = shore.delivered()
    with pytest.raises(GateError, match="waits for review"):
        restore(second.run)
    assert shore.delivered() == before
    approve()
    restore(second.run)
    assert shore.delivered() != before


def test_an_approved_table_whose_sink_fails_needs_no_other_approval(shore: Shore) -> None:
    shore.rules(rule("backfill", "review"))
    shore.ok()
    shore.send(1, (7.0, 8.0))
    shore.run()
    with shore.open() as project:
        (state,) = project.reviews.list()
        project.reviews.approve(state.review.id, "seen")
    blocked = shore.root / "out" / f"{day(1)}.parquet"
    blocked.unlink()
    blocked.mkdir()
    assert shore.run().exit_code == 1
    blocked.rmdir()
    assert shore.run().exit_code == 0
    assert shore.delivered()[day(1)] == 30.0
    assert sum(isinstance(event, ReviewOpened) for event in shore.events()) == 1


def test_a_restore_that_removes_partitions_is_decided_on(shore: Shore) -> None:
    first = shore.run().run
    shore.send(DAYS)
    shore.ok()
    shore.rules(rule("backfill"))
    with shore.open() as project, pytest.raises(GateError, match="1 partition: refused"):
        project.delivered_tables.restore("sent", first, command="test")
    assert len(shore.delivered()) == DAYS + 1
    shore.rules(rule("stale"))
    with shore.open() as project:
        project.delivered_tables.restore("sent", first, command="test")
    assert len(shore.delivered()) == DAYS


def test_a_restore_is_decided_on_in_a_home_of_several_workflows(shore: Shore) -> None:
    first = shore.run().run
    before = shore.delivered()
    shore.send(0, (4.0, 5.0, 6.0))
    shore.ok()
    shore.rules(rule("moved_rows > 0.2", "review"))
    review = Review(id="rother", kind=SubjectKind.TABLE, name="x", subject="y", quorums=(Quorum(),))

    def restore() -> None:
        with shore.open() as project:
            # Another workflow asks people about changes of its own.
            ledger, now = project.tools.ledger, project.tools.clock()
            assert isinstance(ledger, WorkflowLedger)
            ledger.shared.append([ReviewOpened(environment="other/prod", review=review)], now=now)
            project.delivered_tables.restore("sent", first, command="test")

    with pytest.raises(GateError, match="waits for review r"):
        restore()
    with shore.open() as project:
        [state] = project.reviews.list()
        project.reviews.approve(state.review.id, "these")
    restore()
    assert shore.delivered() == before
