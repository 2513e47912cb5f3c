"""A dry run of a promotion shows what it would do and what holds it back, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.test_governed_promotions import Coast, rule
from tests.support.commands import Ended, tidemill
from tests.support.people import open_as, write_settings
from tests.support.tides import Tides
from tidemill.core.errors import AccessError, GateError, UsageError
from tidemill.project.promotion_preview import PromotionPreview


@pytest.fixture
def coast(tmp_path: Path) -> Coast:
    """A project with a branch whose code differs."""
    shore = Coast(tmp_path)
    shore.ok()
    shore.edit("return value * 2", "return value * 3")
    shore.env = "dev"
    assert shore.run().exit_code == 0
    shore.env = "prod"
    return shore


def previewed(tides: Tides, source: str = "dev", allow_removals: str = "") -> PromotionPreview:
    project = tides.open()
    try:
        return project.preview_promotion(source, allow_removals=allow_removals)
    finally:
        project.close()


def test_a_preview_foresees_what_the_promotion_does(coast: Coast) -> None:
    before = (len(coast.events()), coast.delivered())
    found = previewed(coast)
    assert (found.source, found.held_by, found.exit_code) == ("dev", (), 0)
    assert found.plan.environment == "prod"
    assert (len(coast.events()), coast.delivered()) == before
    steps = {(step.stage, step.partition) for step in found.plan.steps}
    receipt = coast.promote()
    assert receipt.exit_code == 0
    done = {(what.split()[-1], key) for what, keys in coast.ran(receipt).items() for key in keys}
    assert done == steps


def test_a_preview_says_which_rule_holds_it_back(coast: Coast) -> None:
    coast.rules(rule("promotion", "rows_changed > 0.5"))
    require_held(coast)


def test_a_preview_says_which_contract_holds_it_back(tmp_path: Path) -> None:
    shore = Coast(tmp_path)
    shore.rules(rule("contract", 'environment == "prod" and len(breaking_changes) > 0', "review"))
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True)", "double = tm.Float64(nullable=True, min=0)")
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True, min=0)", "double = tm.Float64(nullable=True)")
    shore.env = "dev"
    assert shore.run().exit_code == 0
    shore.env = "prod"
    require_held(shore)


def require_held(coast: Coast) -> None:
    """A preview says that and why the promotion is held back, which it then is."""
    before = len(coast.events())
    found = previewed(coast)
    assert len(coast.events()) == before
    assert found.exit_code == 4
    assert any("look at it first" in note for note in found.held_by)
    with pytest.raises(GateError):
        coast.promote()


def test_a_preview_that_waits_for_people_opens_no_review(coast: Coast) -> None:
    coast.rules(rule("promotion", "rows_changed > 0.5", "review"))
    before = len(coast.events())
    found = previewed(coast)
    assert (found.exit_code, len(coast.events())) == (4, before)
    coast.rules(rule("promotion", "rows_changed > 5"))
    assert previewed(coast).exit_code == 0


def test_lost_rows_are_foreseen(coast: Coast) -> None:
    coast.withdraw(0)
    found = previewed(coast)
    assert found.plan.removals is not None
    assert found.exit_code == 3
    allowed = previewed(coast, allow_removals=found.plan.removals.id)
    assert allowed.exit_code == 0


def test_a_source_that_cannot_be_read_is_foreseen(coast: Coast) -> None:
    next((coast.root / "data").glob("*.parquet")).write_bytes(b"no table")
    found = previewed(coast)
    assert found.plan.broken
    assert (found.held_by, found.exit_code) == ((), 1)
    assert coast.promote().exit_code == 1
    # Rules about the promotion are asked before anything is read.
    coast.rules(rule("promotion", "True"))
    assert previewed(coast).exit_code == GateError.exit_code
    with pytest.raises(GateError):
        coast.promote()


def test_who_may_not_promote_is_refused_as_by_the_promotion(coast: Coast) -> None:
    write_settings(coast.root)
    project = open_as(coast, "vera")
    with pytest.raises(AccessError) as foreseen:
        project.preview_promotion("dev")
    with pytest.raises(AccessError, match="vera may not promote") as refused:
        project.promote("dev")
    assert str(foreseen.value) == str(refused.value)
    project.close()


def test_other_code_is_refused(coast: Coast) -> None:
    coast.edit("return value * 3", "return value * 4")
    with pytest.raises(UsageError, match="the current code isn't what dev ran"):
        previewed(coast)
    with pytest.raises(UsageError, match="can't be promoted to itself"):
        previewed(coast, "prod")


def ok(*words: str) -> Ended:
    ended = tidemill(*words)
    assert ended.code == 0, ended
    return ended


def test_the_command_prints_a_plan(built: Path) -> None:
    ok("run", "--env", "dev", "--create", "features")
    ended = ok("promote", "dev", "--dry-run")
    lines = ended.out.splitlines()
    assert lines[0] == "promotion of dev to prod, which changes nothing yet"
    assert lines[1].startswith("bakery in prod: nothing to do")
    document = ok("promote", "dev", "--dry-run", "--train", "demand", "--json").document
    assert document["schema"] == "tidemill.promotion_plan/1"
    assert (document["source"], document["held_by"], document["exit_code"]) == ("dev", [], 0)
    assert "train" in {step["action"] for step in document["plan"]["steps"]}
    runs = ok("runs", "--json").document["runs"]
    assert len(runs) == 2
    assert tidemill("promote", "gone", "--dry-run").code == 2
    (built / "tidemill.rules.toml").write_text(rule("promotion", "True"))
    ended = tidemill("promote", "dev", "--dry-run")
    assert ended.code == 4
    assert "it is held back: " in ended.out
