"""Promotions of environments, contracts and releases of rows go on only as rules and people allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from tests.behaviour.test_governed_models import said
from tests.behaviour.test_governed_tables import DELIVERED, Shore
from tests.quarantine.io.test_release import overtaken
from tests.support.tides import FIRST, day
from tidemill.cli import cli
from tidemill.core.errors import ConflictError, GateError
from tidemill.ledger.event import EnvironmentCreated, Published, Ruled, RunStarted
from tidemill.ledger.governance_events import (
    ContractPublished,
    PolicyDecided,
    ReviewOpened,
    RulesLoaded,
)
from tidemill.ledger.policy import PolicyOutcome, SubjectKind
from tidemill.ledger.run import Receipt
from tidemill.ports.ledger import Ledger, State
from tidemill.quarantine.io.release import Quarantine
from tidemill.runs.io import contract_decisions
from tidemill.runs.io.contract_decisions import published_contracts


def rule(on: str, when: str, effect: str = "deny", id: str = "held") -> str:
    return f"""
[[rule]]
id = "{id}"
on = ["{on}"]
when = '{when}'
message = "look at it first"
effect = "{effect}"
"""


class Coast(Shore):
    """A project with a branch whose code differs."""

    def promote(self, source: str = "dev") -> Receipt:
        project = self.open()
        try:
            return project.promote(source, raise_on_failure=False)
        finally:
            project.close()

    def decided(self, kind: SubjectKind) -> list[PolicyOutcome]:
        return [d.outcome for d in self.decisions() if d.kind is kind]


@pytest.fixture
def coast(tmp_path: Path) -> Coast:
    shore = Coast(tmp_path)
    shore.ok()
    shore.edit("return value * 2", "return value * 3")
    shore.env = "dev"
    assert shore.run().exit_code == 0
    shore.env = "prod"
    return shore


def test_a_denied_promotion_changes_nothing(coast: Coast) -> None:
    coast.rules(rule("promotion", "rows_changed > 0.5"))
    runs = sum(isinstance(e, RunStarted) for e in coast.events())
    before = coast.delivered()
    with pytest.raises(
        GateError, match="promotion of dev to prod: refused by the rules"
    ) as refused:
        coast.promote()
    assert refused.value.exit_code == 4
    assert coast.delivered() == before
    assert sum(isinstance(e, RunStarted) for e in coast.events()) == runs
    [decision] = [d for d in coast.decisions() if d.kind is SubjectKind.PROMOTION]
    assert decision.name == "prod"
    assert decision.facts["source"] == "dev"
    assert decision.facts["stages"] == ("doubled", "daily", "sent")
    assert decision.facts["new_models"] == ()
    assert decision.facts["sampled"] is False
    # raw is as it was: 12 of its rows, 12 of doubled, 4 of daily and 12 of sent are published.
    assert decision.facts["rows_changed"] == pytest.approx(28 / 40)
    # Again: the same, and not recorded twice.
    with pytest.raises(GateError):
        coast.promote()
    assert coast.decided(SubjectKind.PROMOTION) == [PolicyOutcome.DENY]


def test_an_allowed_promotion_is_decided_in_its_own_transaction(coast: Coast) -> None:
    coast.rules(rule("promotion", "rows_changed > 0.9"))
    receipt = coast.promote()
    assert (receipt.exit_code, coast.delivered()[day(0)]) == (0, 18.0)
    kinds = [type(event).__name__ for event in coast.events()]
    decided = len(kinds) - 1 - kinds[::-1].index("PolicyDecided")
    assert "Published" in kinds[decided:]
    assert coast.decided(SubjectKind.PROMOTION) == [PolicyOutcome.ALLOW]


def test_a_promotion_records_new_rules_once(coast: Coast) -> None:
    coast.rules(rule("promotion", "rows_changed > 0.9") + rule("table", "rows > 900", id="large"))
    assert coast.promote().exit_code == 0
    assert SubjectKind.TABLE in {decision.kind for decision in coast.decisions()}
    loaded = [e for e in coast.events() if isinstance(e, RulesLoaded) and e.environment == "prod"]
    assert len(loaded) == 1
    [promoted] = [d for d in coast.decisions() if d.kind is SubjectKind.PROMOTION]
    assert promoted.run == ""


def test_a_promotion_waits_for_people(coast: Coast) -> None:
    coast.rules(rule("promotion", 'environment == "prod"', "review"))
    with pytest.raises(GateError, match="promotion of dev to prod: waits for review"):
        coast.promote()
    with pytest.raises(GateError, match="still waits for review"):
        coast.promote()
    [opened] = [e.review for e in coast.events() if isinstance(e, ReviewOpened)]
    assert (opened.kind, opened.name) == (SubjectKind.PROMOTION, "prod")
    project = coast.open()
    project.reviews.approve(opened.id, "compared the totals")
    project.close()
    assert coast.promote().exit_code == 0
    assert coast.delivered()[day(0)] == 18.0


def test_what_the_branch_ran_since_is_another_promotion(coast: Coast) -> None:
    coast.rules(rule("promotion", 'environment == "prod"', "review"))
    with pytest.raises(GateError):
        coast.promote()
    [opened] = [e.review for e in coast.events() if isinstance(e, ReviewOpened)]
    project = coast.open()
    project.reviews.approve(opened.id, "compared the totals")
    project.close()
    coast.send(1, (100.0,))
    coast.env = "dev"
    coast.ok()
    coast.env = "prod"
    with pytest.raises(GateError, match="waits for review"):
        coast.promote()
    assert sum(isinstance(e, ReviewOpened) for e in coast.events()) == 2


def test_a_branch_is_not_held_to_rules_on_production(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(rule("table", 'environment == "prod" and first_delivery'))
    assert shore.run().exit_code == 4
    shore.env = "dev"
    assert shore.run().exit_code == 0
    assert any(isinstance(e, EnvironmentCreated) and e.environment == "dev" for e in shore.events())
    assert len([*(tmp_path / "out@dev").glob("*.parquet")]) == 4
    assert shore.delivered() == {}


TABLE = rule("contract", "len(broken_consumers) > 0")


def test_a_contract_that_breaks_consumers_is_not_published(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(TABLE)
    shore.ok()
    known = [e.stage for e in shore.events() if isinstance(e, ContractPublished)]
    assert known == ["raw", "doubled", "daily"]
    assert shore.decided_contracts() == []
    # A column is gone that a delivered table has; the code is changed with it.
    shore.edit("    day, id = Raw.day, Raw.id\n    double", "    day = Raw.day\n    double")
    shore.edit('class Doubled(tm.Contract, key=("day", "id"))', "class Doubled(tm.Contract)")
    shore.edit('select("day", "id", double', 'select("day", double')
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert "contract Doubled 1.0.0 of doubled: refused by the rules" in said(receipt)
    ran = shore.ran(receipt)
    assert ran["refused run doubled"] == [day(n) for n in range(4)]
    assert set(ran) == {"refused run doubled", "skipped run daily", "skipped deliver sent"}
    [decision] = [d for d in shore.decisions() if d.kind is SubjectKind.CONTRACT]
    assert decision.facts["broken_consumers"] == ("sent",)
    changes = decision.facts["breaking_changes"]
    assert isinstance(changes, tuple)
    assert any("id" in change for change in changes)
    assert "id" in shore.open().read("doubled").collect_schema()
    # Allowed, it is published, and isn't asked about again.
    shore.rules(rule("contract", "len(broken_consumers) > 1"))
    shore.ok()
    assert shore.decided_contracts()[-1] is PolicyOutcome.ALLOW
    assert "id" not in shore.open().read("doubled").collect_schema()
    shore.rules(TABLE)
    shore.send(9)
    shore.ok()
    assert len(shore.decided_contracts()) == 2


def test_a_contract_from_before_there_were_rules_is_known_or_denied(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True)", "double = tm.Float64(nullable=True, max=9e9)")
    shore.rules(TABLE)
    receipt = shore.run()
    assert receipt.exit_code == 4
    assert "it can't be evaluated: fact broken_consumers is not known" in said(receipt)


def test_a_contract_that_breaks_nobody_is_published(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(TABLE)
    shore.ok()
    shore.edit("rows = tm.UInt32()", "rows = tm.UInt32(min=0)")
    shore.ok()
    assert shore.decided_contracts() == [PolicyOutcome.ALLOW]


def test_projects_without_rules_on_contracts_record_none(tmp_path: Path) -> None:
    shore = Shore(tmp_path, DELIVERED)
    shore.rules(rule("release", "rows > 5"))
    shore.ok()
    kinds = {type(event) for event in shore.events()}
    assert kinds.isdisjoint({ContractPublished, PolicyDecided})
    assert Published in kinds


def quarantined(root: Path) -> Shore:
    """A day has two rows that are too large, and one that is negative."""
    text = DELIVERED.replace(
        "value = tm.Float64(nullable=True, max=1000)\n",
        "value = tm.Float64(nullable=True, max=1000)\n    any_bad = tm.Budget(max_bad=1)\n"
        "    few = tm.rule(pl.col('value') > -1)\n",
    )
    shore = Shore(root, text)
    shore.send(0, (1.0, 2000.0, 3000.0, -5.0))
    shore.ok()
    return shore


def test_released_rows_are_decided_on(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule("release", 'share > 0.5 or "few" in broken_rules'))
    project = shore.open()
    with pytest.raises(
        GateError, match="release of 3 rows of raw 2024-03-01: refused by the rules"
    ):
        project.quarantine.release("raw", reason="all fine")
    with pytest.raises(GateError, match="release of 1 row"):
        project.quarantine.release("raw", rule="few", reason="it is cold")
    project.close()
    assert [d.facts["broken_rules"] for d in shore.decisions()] == [("few", "value.max"), ("few",)]
    assert shore.open().quarantine.list("raw")[0].pending == 0
    project = shore.open()
    project.quarantine.release("raw", rows=[1], reason="seen it")
    project.close()
    assert shore.decisions()[-1].outcome is PolicyOutcome.ALLOW
    assert shore.decisions()[-1].facts["share"] == pytest.approx(1 / 3)
    shore.ok()
    assert shore.read("raw", day(0)).height == 2
    # To drop rows publishes nothing.
    project = shore.open()
    project.quarantine.drop("raw", reason="noise")
    project.close()
    assert len(shore.decisions()) == 3


def test_a_release_waits_for_people_who_see_exactly_these_rows(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule("release", "rows > 1", "review"))
    project = shore.open()
    with pytest.raises(GateError, match="waits for review"):
        project.quarantine.release("raw", rule="value.max", reason="a storm")
    [opened] = [e.review for e in shore.events() if isinstance(e, ReviewOpened)]
    project.reviews.approve(opened.id, "there was one")
    with pytest.raises(GateError, match="waits for review"):
        project.quarantine.release("raw", reason="all of them")
    project.quarantine.release("raw", rule="value.max", reason="a storm")
    project.close()
    shore.ok()
    assert shore.read("raw", day(0)).height == 3


def test_people_are_asked_once_more_about_a_release_that_they_rejected(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule("release", "rows > 1", "review"))

    def release() -> None:
        project.quarantine.release("raw", rule="value.max", reason="a storm")

    with shore.open() as project:
        with pytest.raises(GateError, match="waits for review"):
            release()
        [state] = project.reviews.list()
        project.reviews.reject(state.review.id, "ask ops first")
        with pytest.raises(GateError, match="ask ops first") as refused:
            release()
    command = f"tidemill quarantine release raw {day(0)} --rows 0-1 --again"
    assert f"or until `{command} " in str(refused.value)
    # The command that the message names asks them.
    (tmp_path / "tides.py").write_text(shore.text)
    arguments = ["-C", str(tmp_path), "-w", "tides:flow", *command.split()[1:]]
    asked = CliRunner().invoke(cli, [*arguments, "--reason", "ops agree"])
    assert "waits for review" in asked.output + str(asked.exception)
    with shore.open() as project:
        [state] = project.reviews.list()
        project.reviews.approve(state.review.id, "ops agree")
        release()
    shore.ok()
    assert shore.read("raw", day(0)).height == 3


def test_a_release_that_was_taken_back_is_asked_about_again(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule("release", "rows > 0", "review"))
    with shore.open() as project:
        with pytest.raises(GateError, match="waits for review"):
            project.quarantine.release("raw", rows=[1], reason="a storm")
        [state] = project.reviews.list()
        project.reviews.approve(state.review.id, "there was one")
        project.quarantine.release("raw", rows=[1], reason="a storm")
        project.quarantine.take_back("raw", ruling=1, reason="there was none")
        with pytest.raises(GateError, match="waits for review"):
            project.quarantine.release("raw", rows=[1], reason="a storm")


def test_releases_wait_side_by_side(tmp_path: Path) -> None:
    """Of one partition, of another one, and with corrections."""
    shore = quarantined(tmp_path)
    shore.send(1, (1.0, 4000.0))
    shore.ok()
    shore.rules(rule("release", "rows > 0", "review"))

    def release(**chosen: Any) -> None:
        with shore.open() as project:
            project.quarantine.release("raw", reason="a storm", **chosen)

    fixed = pl.DataFrame({"day": [FIRST], "id": [1], "value": [20.0]})
    waiting: list[dict[str, Any]] = [
        {"partition": day(0), "rows": [0]},
        {"partition": day(0), "rows": [1, 2]},
        {"partition": day(0), "rows": [0], "fixed": fixed},
        {"partition": day(1)},
    ]
    for chosen in (*waiting, *waiting):
        with pytest.raises(GateError, match="waits for review"):
            release(**chosen)
    with shore.open() as project:
        reviews = project.reviews.list()
        assert [state.review.label for state in reviews] == [
            "raw 2024-03-01 (rows 0)",
            "raw 2024-03-01 (rows 1-2)",
            "raw 2024-03-01 (corrected rows 0)",
            "raw 2024-03-02 (rows 0)",
        ]
        assert "rows of raw 2024-03-01 (rows 1-2) be released?" in (
            project.reviews.show(reviews[1].review.id).title
        )
        project.reviews.approve(reviews[3].review.id, "there was one")
        project.reviews.approve(reviews[1].review.id, "there was one")
    release(**waiting[1])
    release(**waiting[3])
    with pytest.raises(GateError, match="still waits"):
        release(**waiting[0])
    # A waiver is for the stage, whichever of its rows are meant.
    with shore.open() as project:
        project.policy.waive("held", "raw", reason="a storm", ttl="1d")
    release(**waiting[0])
    with shore.open() as project:
        assert [state.review.label for state in project.reviews.list()] == [
            "raw 2024-03-01 (corrected rows 0)"
        ]
    shore.ok()
    assert (shore.read("raw", day(0)).height, shore.read("raw", day(1)).height) == (4, 2)


def test_two_who_ask_for_a_release_at_once_ask_people_once(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule("release", "rows > 0", "review"))

    def release(held: Quarantine) -> None:
        held.release("raw", rows=[1], reason="a storm")

    def ask() -> None:
        with shore.open() as project, pytest.raises(GateError, match="waits for review"):
            release(project.quarantine)

    with pytest.raises(GateError, match="still waits for review"):
        overtaken(shore, ask, release)
    [opened] = [e.review for e in shore.events() if isinstance(e, ReviewOpened)]
    with shore.open() as project:
        project.reviews.approve(opened.id, "there was one")

    def apply() -> None:
        with shore.open() as project:
            release(project.quarantine)

    # Nor do two at once who may release them publish them twice.
    with pytest.raises(ConflictError, match="another ruling, at the same moment"):
        overtaken(shore, apply, release)
    assert sum(isinstance(event, Ruled) for event in shore.events()) == 1
    shore.ok()
    assert shore.read("raw", day(0)).height == 2


def test_a_waiver_that_ends_at_the_same_moment_releases_nothing(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule("release", "rows > 0"))
    with shore.open() as project:
        waiver = project.policy.waive("held", "raw", reason="a storm", ttl="1d")

    def end() -> None:
        with shore.open() as project:
            project.policy.unwaive(waiver.id, reason="the storm is over")

    with pytest.raises(GateError, match="refused by the rules"):
        overtaken(shore, end, lambda held: held.release("raw", rows=[1], reason="a storm"))
    assert not any(isinstance(event, Ruled) for event in shore.events())


def test_a_contract_that_waits_keeps_a_promotion_from_beginning(tmp_path: Path) -> None:
    shore = Coast(tmp_path)
    shore.rules(rule("contract", 'environment == "prod" and len(breaking_changes) > 0', "review"))
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True)", "double = tm.Float64(nullable=True, min=0)")
    shore.ok()  # it only tightens
    shore.edit("double = tm.Float64(nullable=True, min=0)", "double = tm.Float64(nullable=True)")
    shore.env = "dev"
    assert shore.run().exit_code == 0
    shore.env = "prod"
    before = len(shore.events())
    with pytest.raises(GateError, match="of doubled: waits for review"):
        shore.promote()
    kinds = [type(event).__name__ for event in shore.events()[before:]]
    assert kinds[:2] == ["PolicyDecided", "ReviewOpened"]
    assert {"RunStarted", "ContractPublished"}.isdisjoint(kinds)
    [opened] = [e.review for e in shore.events() if isinstance(e, ReviewOpened)]
    project = shore.open()
    project.reviews.approve(opened.id, "readers know")
    project.close()
    assert shore.promote().exit_code == 0
    assert shore.decided(SubjectKind.CONTRACT)[-1] is PolicyOutcome.REVIEW


def test_who_lost_the_lease_of_a_promotion_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shore = Coast(tmp_path)
    shore.rules(rule("contract", 'environment == "prod" and len(breaking_changes) > 0', "review"))
    shore.edit("double = tm.Float64(nullable=True)", "double = tm.Float64(nullable=True, min=0)")
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True, min=0)", "double = tm.Float64(nullable=True)")
    shore.env = "dev"
    assert shore.run().exit_code == 0
    shore.env = "prod"

    def overtaken(ledger: Ledger, state: State) -> dict[str, str]:
        """Another process takes the environment over, as if this one had slept."""
        with shore.open() as other:
            now = other.tools.clock()
            other.tools.ledger.acquire("run:prod", {}, now=now, ttl=60.0, dead=lambda _: True)
        return published_contracts(ledger, state)

    monkeypatch.setattr(contract_decisions, "published_contracts", overtaken)
    with pytest.raises(ConflictError, match="lease"):
        shore.promote()
    assert not [e for e in shore.events() if isinstance(e, ReviewOpened)]


def test_people_are_asked_once_more_about_a_contract_that_they_rejected(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(rule("contract", "len(breaking_changes) > 0", "review"))
    shore.edit("double = tm.Float64(nullable=True)", "double = tm.Float64(nullable=True, min=0)")
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True, min=0)", "double = tm.Float64(nullable=True)")
    assert "waits for review" in said(shore.run())
    with shore.open() as project:
        [state] = project.reviews.list()
        project.reviews.reject(state.review.id, "not now")
    assert "or until `tidemill run doubled --again`" in said(shore.run())
    # Another stage that runs again doesn't ask about it.
    assert "not now" in said(shore.run("sent", again=True))
    assert "waits for review" in said(shore.run("doubled", again=True))
    with shore.open() as project:
        [state] = project.reviews.list()
        project.reviews.approve(state.review.id, "readers know")
    assert shore.run().exit_code == 0


def test_a_plan_shows_contracts_and_tables_that_will_be_refused(tmp_path: Path) -> None:
    shore = Shore(
        tmp_path, DELIVERED.replace('tm.parquet("out"))', 'tm.parquet("out"), public=True)')
    )
    shore.rules(TABLE + rule("table", "public_sink and len(personal_columns) > 0", id="personal"))
    shore.ok()
    # Readers were promised that no id is negative.
    shore.edit("id = tm.Int64(min=0)", 'id = tm.Int64(pii="customer")')
    seq = shore.open().state().seq
    shore.send(9)
    notes = "\n".join(shore.open().plan().notes)
    assert "contract Doubled 1.0.0 of doubled: refused by the rules" in notes
    assert "sent: rule personal will refuse it: look at it first" in notes
    assert shore.open().state().seq == seq
