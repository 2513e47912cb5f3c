"""A promotion is one decision: what rules or people hold back of it holds back all of it."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_governed_models import Governed, said
from tests.behaviour.test_models import MODEL, WINDOW
from tests.support.tides import FIRST, day
from tidemill.core.errors import GateError
from tidemill.governance.page_text import text_page
from tidemill.ledger.governance_events import ReviewOpened, RulesLoaded
from tidemill.ledger.review import Review, ReviewOutcome
from tidemill.ledger.run import Receipt
from tidemill.runs.io.publisher import AtomicPublisher

# A table that has nothing to do with the model.
PLAIN = """
@flow.ingest
def extra() -> tm.Source[Raw]:
    return tm.files("extra/*.parquet")


@flow.transform
def other(extra: tm.Frame[Raw]) -> tm.Frame[Features]:
    assert extra.collect()["x"].max() < 50
    return extra.select("day", "id", "x")


flow.table("plain", stage=other, sink=tm.parquet("plain"))
"""


def rule(kind: str, when: str = "True", effect: str = "review", id: str = "held") -> str:
    return f"""
[[rule]]
id = "{id}"
on = ["{kind}"]
when = 'environment == "prod" and ({when})'
message = "look at it first"
effect = "{effect}"
"""


class Straits(Governed):
    """Two tables and a model, of which a branch has other ones."""

    def promote(self, *, again: bool = False) -> Receipt:
        with self.open() as project:
            return project.promote("dev", again=again, raise_on_failure=False)

    def branch(self) -> None:
        """Run other code in a branch: other features, and a model that predicts better."""
        for name in ("raw", "extra"):
            old, new = '"x")', 'x=pl.col("x") * 2)'
            self.edit(f'{name}.select("day", "id", {old}', f'{name}.select("day", "id", {new}')
        self.predict(9.5)
        with self.open_in("dev") as project:
            assert project.run(train=["model"], raise_on_failure=False).exit_code == 0

    def no_rules(self) -> None:
        (self.root / "tidemill.rules.toml").unlink()

    def send_extra(self, number: int, x: float) -> None:
        """Send one day of the other source."""
        rows = {"day": [FIRST + timedelta(number)] * 2, "id": [1, 2], "x": [x, x], "y": [0.0, 0.0]}
        (self.root / "extra").mkdir(exist_ok=True)
        pl.DataFrame(rows).write_parquet(self.root / "extra" / f"{day(number)}.parquet")

    def users_see(self) -> tuple[object, ...]:
        """What users have of the tables, and the model that is live."""
        with self.open() as project:
            features = project.read("features").collect().sort("day", "id")["x"].to_list()
        plain = sorted(path.read_bytes() for path in (self.root / "plain").glob("*.parquet"))
        return features, plain, self.delivered(), self.live

    def waiting(self) -> list[Review]:
        with self.open() as project:
            return [state.review for state in project.reviews.list()]

    def approve(self, *names: str) -> None:
        for review in self.waiting():
            if review.name in names:
                with self.open() as project:
                    done = project.reviews.approve(review.id, "seen in dev")
                assert (done.state.outcome, done.went_live) == (ReviewOutcome.APPROVED, "")


@pytest.fixture
def straits(tmp_path: Path) -> Straits:
    """Production has run, and a branch of it with other code."""
    straits = Straits(tmp_path)
    straits.text = MODEL + PLAIN
    straits.send_extra(0, 1.0)
    straits.ok()
    straits.branch()
    return straits


def test_without_rules_all_of_it_is_promoted(straits: Straits) -> None:
    before = straits.users_see()
    receipt = straits.promote()
    assert receipt.exit_code == 0
    assert all(one != other for one, other in zip(straits.users_see(), before, strict=True))
    assert straits.delivered() == dict.fromkeys(map(day, range(WINDOW)), 9.5)


def test_a_model_that_gates_refuse_leaves_the_data_to_be_promoted(straits: Straits) -> None:
    """As the docs say; gates are no question to anybody."""
    first = straits.live
    straits.edit('tm.beats_live("mae")', 'tm.beats_live("mae", by=5.0)')
    with straits.open_in("dev") as project:
        project.run(raise_on_failure=False)
    receipt = straits.promote()
    assert receipt.exit_code == 4
    features, *_, live = straits.users_see()
    assert (live, features) == (first, [2.0] * 2 * WINDOW)


@pytest.mark.parametrize("effect", ["deny", "review"])
@pytest.mark.parametrize("kind", ["table", "delivery"])
def test_what_one_of_two_tables_or_the_model_waits_for_holds_all_back(
    straits: Straits, kind: str, effect: str
) -> None:
    when = "partitions == 1" if kind == "table" else "True"
    straits.rules(rule(kind, when, effect))
    before = straits.users_see()
    heads = dict(straits.open().state().heads)
    receipt = straits.promote()
    assert receipt.exit_code == 4
    assert "nothing was published: prod is unchanged" in said(receipt)
    assert straits.users_see() == before
    assert {n: h.version for n, h in heads.items()} == {
        n: h.version for n, h in straits.open().state().heads.items()
    }
    # Users get all of it once the rule is gone.
    straits.no_rules()
    assert straits.promote().exit_code == 0
    assert straits.delivered() == dict.fromkeys(map(day, range(WINDOW)), 9.5)


def test_people_are_asked_about_all_of_it_at_once_and_once(straits: Straits) -> None:
    straits.rules(rule("delivery") + rule("table", id="tables"))
    before = straits.users_see()
    assert straits.promote().exit_code == 4
    waiting = straits.waiting()
    # A table of predictions is decided on once it is clear whose predictions those are.
    assert {(review.kind, review.name, review.source) for review in waiting} == {
        ("delivery", "model", "dev"),
        ("table", "plain", "dev"),
    }
    receipt = straits.promote()
    assert said(receipt).count("still waits for review") == 2
    assert straits.waiting() == waiting
    straits.approve("model")
    assert straits.users_see() == before
    assert straits.promote().exit_code == 4
    straits.approve("plain", "out")
    assert straits.users_see() == before
    assert straits.promote().exit_code == 0
    assert straits.delivered() == dict.fromkeys(map(day, range(WINDOW)), 9.5)
    assert straits.live == waiting[0].artifact or straits.live == waiting[1].artifact
    assert straits.count(ReviewOpened) == 3
    opened = [e.review.decision for e in straits.events() if isinstance(e, ReviewOpened)]
    assert {*opened} <= {decision.id for decision in straits.decisions()}


def test_the_page_of_a_model_that_a_promotion_asks_about_has_its_figures(straits: Straits) -> None:
    straits.rules(rule("delivery"))
    straits.promote()
    [review] = straits.waiting()
    with straits.open() as project:
        page = text_page(project.reviews.show(review.id))
    assert "tidemill promote dev" in page
    assert "mae" in page
    assert "is live at once" not in page
    with straits.open() as project, pytest.raises(GateError, match="`tidemill promote dev` makes"):
        project.models["model"].deliver(review.artifact)


def test_a_promotion_that_fails_otherwise_asks_people_all_the_same(straits: Straits) -> None:
    straits.rules(rule("delivery") + rule("promotion", "partitions < 0", id="never"))
    straits.send_extra(1, 99.0)
    failed = straits.promote()
    assert failed.exit_code == 1
    assert "AssertionError" in said(failed)
    [review] = straits.waiting()
    assert f"waits for review {review.id}" in said(failed)
    loaded = {e.rules for e in straits.events() if isinstance(e, RulesLoaded)}
    assert {decision.rules for decision in straits.decisions()} <= loaded
    straits.send_extra(1, 9.0)
    assert f"still waits for review {review.id}" in said(straits.promote())
    straits.approve("model")
    assert straits.promote().exit_code == 0
    assert straits.live == review.artifact
    assert straits.count(ReviewOpened) == 1


def test_what_the_target_lost_meanwhile_is_another_question(straits: Straits) -> None:
    """People compared the candidate with a version that isn't live any more."""
    straits.rules(rule("delivery"))
    straits.promote()
    [first] = straits.waiting()
    straits.approve("model")
    straits.no_rules()
    text, value = straits.text, straits.value
    straits.text, straits.value = MODEL + PLAIN, 9.0
    straits.predict(9.25)
    straits.run(train=["model"])
    assert straits.live != first.replaces
    straits.text, straits.value = text, value
    straits.rules(rule("delivery"))
    assert straits.promote().exit_code == 4
    [second] = straits.waiting()
    assert (second.artifact, second.subject) == (first.artifact, first.subject)
    assert second.replaces == straits.live


@pytest.mark.parametrize("kind", ["table", "delivery", "promotion"])
def test_people_are_asked_once_more_about_what_they_rejected(straits: Straits, kind: str) -> None:
    straits.rules(rule(kind, "partitions > 1" if kind == "table" else "True"))

    def promote(*, again: bool = False) -> tuple[int, str]:
        try:
            receipt = straits.promote(again=again)
        except GateError as error:
            return error.exit_code, str(error)
        return receipt.exit_code, said(receipt)

    assert promote()[0] == 4
    [name] = [review.name for review in straits.waiting()]
    with straits.open() as project:
        project.reviews.reject(straits.waiting()[0].id, "not before the holidays")
    before = straits.users_see()
    assert "until it changes, or until `tidemill promote dev --again`" in promote()[1]
    assert straits.users_see() == before
    code, message = promote(again=True)
    assert code == 4
    assert "waits for review" in message
    straits.approve(name)
    assert promote()[0] == 0
    assert straits.delivered() == dict.fromkeys(map(day, range(WINDOW)), 9.5)


def test_a_promotion_judges_again_what_the_gates_refused_before(straits: Straits) -> None:
    """The gates of the target refused the candidate, and those of the branch passed it since."""
    gate, first = 'tm.beats_live("mae", by=5.0)', straits.live
    straits.edit('tm.beats_live("mae")', gate)
    assert straits.run(train=["model"]).exit_code == 4
    straits.edit(gate, 'tm.beats_live("mae")')
    with straits.open_in("dev") as project:
        project.run("model", again=True, raise_on_failure=False)
        version = project.state().live["model"].artifact.id
    straits.rules(rule("promotion"))
    with pytest.raises(GateError, match="waits for review"):
        straits.promote()
    [review] = straits.waiting()
    with straits.open() as project:
        page = " ".join(text_page(project.reviews.show(review.id)).split())
    assert f"model: {version} would go live in place of {first}" in page
    assert "the gates of prod refused it on" in page
    assert "and judge it again in the promotion" in page
    straits.approve("prod")
    assert straits.live == first
    assert straits.promote().exit_code == 0
    assert straits.live == version


def test_a_promotion_that_the_gates_refuse_again_says_so(straits: Straits) -> None:
    first = straits.live
    straits.edit("gates=[", 'gates=[tm.golden([{"name": "calm", "x": 1.0, "expect": 8.0}]), ')
    with straits.open_in("dev") as project:
        project.run(raise_on_failure=False)
    for _ in range(2):
        receipt = straits.promote()
        assert (receipt.exit_code, straits.live) == (4, first)
        assert "FAILED golden" in said(receipt)


def test_the_cost_of_a_training_in_the_branch_is_known(straits: Straits) -> None:
    straits.rules(rule("delivery", "cost > 1000.0", "deny"))
    with straits.open() as project:
        object.__setattr__(project.settings, "cpu_hour", 1.0)
        receipt = project.promote("dev", raise_on_failure=False)
    assert receipt.exit_code == 0, said(receipt)
    [*_, decision] = straits.decisions()
    cost = decision.facts["cost"]
    assert isinstance(cost, float)
    assert 0 < cost < 1000
    with straits.open() as project:
        shown = project.models["model"].version(straits.live).cost
    assert shown is not None
    assert cost == pytest.approx(shown.cpu_s / 3600)


@pytest.mark.parametrize("kind", ["table", "delivery", "promotion"])
def test_what_people_reject_while_a_promotion_computes_is_not_published(
    straits: Straits, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    straits.rules(rule(kind, "partitions == 1" if kind == "table" else "True"))
    with contextlib.suppress(GateError):
        straits.promote()
    [review] = straits.waiting()
    # No rule asks any more, so that the promotion begins.
    straits.rules(rule(kind, "False"))
    before, commit = straits.users_see(), AtomicPublisher.commit

    def reject_first(publisher: AtomicPublisher) -> None:
        with straits.open() as project:
            project.reviews.reject(review.id, "never")
        commit(publisher)

    monkeypatch.setattr(AtomicPublisher, "commit", reject_first)
    with pytest.raises(GateError, match=f"review {review.id} ended meanwhile: rejected"):
        straits.promote()
    assert straits.users_see() == before
    monkeypatch.setattr(AtomicPublisher, "commit", commit)
    with pytest.raises(GateError) if kind == "promotion" else contextlib.nullcontext():
        assert straits.promote().exit_code == 4
    assert straits.users_see() == before


def test_a_waiver_that_ends_while_a_promotion_computes_lifts_no_rule(
    straits: Straits, monkeypatch: pytest.MonkeyPatch
) -> None:
    straits.rules(rule("promotion", effect="deny"))
    with straits.open() as project:
        waiver = project.policy.waive("held", "prod", reason="a storm", ttl="1d")
    before, commit = straits.users_see(), AtomicPublisher.commit

    def end_first(publisher: AtomicPublisher) -> None:
        with straits.open() as project:
            project.policy.unwaive(waiver.id, reason="the storm is over")
        commit(publisher)

    monkeypatch.setattr(AtomicPublisher, "commit", end_first)
    with pytest.raises(GateError, match=f"waiver {waiver.id} was ended meanwhile"):
        straits.promote()
    assert straits.users_see() == before
