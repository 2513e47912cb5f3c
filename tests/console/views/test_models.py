"""Every model, its versions and what was live; people move what is live by what they saw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.shop_models import retrain
from tidemill.console.views.model_versions import show_bom, show_version
from tidemill.console.views.models import (
    compare_models,
    list_models,
    roll_back,
    show_live,
    show_model,
)
from tidemill.console.views.reviews import list_reviews, show_review, vote_on_review
from tidemill.core.errors import GateError, UsageError
from tidemill.governance.permissions import Actor, ActorKind
from tidemill.history.comparison_verdict import Better
from tidemill.ledger.access_token import TokenScope
from tidemill.ledger.event import Published
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.model_version import VersionState
from tidemill.ledger.retention_events import SweepMarked
from tidemill.project.project import Project, open_project

HOSTILE = '</pre><script>alert(1)</script> "onmouseover=x \u202e'


@pytest.fixture
def project(shops: Path) -> Iterator[Project]:
    with open_project(shops) as found:
        yield found


@pytest.fixture
def shop(shops: Path) -> Iterator[Visitor]:
    with Visitor(shops) as found:
        yield found


def approve(project: Project) -> None:
    vote_on_review(project, list_reviews(project).open[0].id, "approve", "better")


def test_every_model_says_what_is_live_and_what_waits(project: Project) -> None:
    found = {each.name: each for each in list_models(project).models}
    assert list(found) == ["demand", "busy_model", "plain", "strict"]
    demand, plain, strict = found["demand"], found["plain"], found["strict"]
    assert demand.newest is not None
    assert demand.newest.state is VersionState.CANDIDATE
    assert demand.live.version not in ("", demand.newest.version)
    assert (demand.review, demand.versions) == (list_reviews(project).open[0].id, 2)
    assert [gate.word for gate in demand.gates] == ["passed"]
    assert [each.endpoint for each in demand.traffic] == ["demand"]
    assert (plain.is_gated, plain.live.version, plain.gates) == (False, "", ())
    assert (strict.live.version, [gate.word for gate in strict.gates]) == ("", ["FAILED"])


def test_versions_are_listed_by_pages_and_with_what_was_live(project: Project) -> None:
    first = show_model(project, "demand", limit=1)
    assert (first.total, len(first.versions), first.rollback_to) == (2, 1, ())
    scored = first.versions[0].scored["mae"]
    assert (scored.rows, scored.days) == (64, "2024-01-11 to 2024-01-26")
    rest = show_model(project, "demand", before=first.next, limit=1)
    # Both were scored on the same rows.
    assert rest.versions[0].scored == first.versions[0].scored
    assert rest.versions[0].version == first.live.version == first.history[0].version
    assert rest.next == ""
    with pytest.raises(UsageError, match="has no version 'x'"):
        show_model(project, "demand", before="x")
    for unknown in (show_model, show_live):
        with pytest.raises(UsageError, match="there is no model"):
            unknown(project, "demamd")


def test_a_version_has_scores_verdicts_and_where_it_came_from(project: Project) -> None:
    found = show_version(project, "busy_model", "live")
    assert found.classes == ("False", "True")
    [card] = found.scores
    assert set(card.curves) == {"roc", "calibration", "precision_recall", "lift"}
    assert card.metrics[0].interval is not None
    assert {part.value for part in card.slices} == {
        "Kern & S\u00f6hne",
        "M\u00fchle",
        "Ofen 7",
        "Zopf",
    }
    [sales] = found.trained_on
    assert (sales.partitions, sales.count, sales.contract) == (
        "2024-01-03 .. 2024-01-10 (8)",
        8,
        "1.2.0",
    )
    assert found.gates[0].word == "passed"
    assert (found.obstacle, found.live.version) == ("it is live", found.version.version)
    assert found.card.startswith("---\nlibrary_name")
    assert show_bom(project, "busy_model", "live").bom["bomFormat"] == "CycloneDX"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("strict", "gates or people refused it"),
        ("plain", "plain has no gates, so that its newest version is always used"),
        ("demand", "it isn't approved yet"),
    ],
)
def test_a_version_says_why_it_can_not_be_made_live(
    project: Project, model: str, words: str
) -> None:
    assert show_version(project, model, "newest").obstacle == words


def test_a_version_that_a_sweep_removed_is_still_shown(project: Project) -> None:
    approve(project)
    old = show_model(project, "demand").rollback_to[0].version
    version = project.models["demand"].version(old)
    facts = project.tools.ledger.events(kinds=("Published",), stage="demand")
    events = [
        fact.seq
        for fact in facts
        if isinstance(fact.event, Published)
        and fact.event.binding.product.artifact is not None
        and fact.event.binding.product.artifact.id == old
    ]
    marks = (MarkedEvents(stage="demand", reason="old", events=tuple(events)),)
    project.tools.ledger.append([SweepMarked(sweep="s1", marks=marks)], now=9e9)
    project.tools.artifacts.remove([version.artifact.object])
    found = show_version(project, "demand", old)
    assert found.version.removed == 9e9
    assert "by a sweep" in found.obstacle
    assert show_model(project, "demand").rollback_to == ()


def test_a_model_that_is_no_longer_declared_is_still_shown(shops: Path) -> None:
    flow = shops / "shop_models_flow.py"
    before, _, rest = flow.read_text().partition('@flow.model(window=tm.last("8d"), seed=1)')
    _, mark, after = rest.partition("@flow.model(")
    flow.write_text(before + mark + after)
    with Visitor(shops) as shop:
        assert "no longer declared" in shop.page("/models").words
        assert "no longer part of the workflow" in shop.page("/models/plain").words
        assert "no longer part" in shop.page("/models/plain/versions/newest").words


def test_two_versions_are_compared(project: Project) -> None:
    found = compare_models(project, "demand", latency=True)
    assert (found.one.state, found.other.state) == (VersionState.LIVE, VersionState.CANDIDATE)
    assert found.better in (Better.OTHER, Better.OPEN, Better.MIXED, Better.ONE)
    assert found.parameters["rounds"] == ("5", "9")
    assert {each.version for each in found.latency} == {found.one.version, found.other.version}
    assert len(found.known) == 2
    same = compare_models(project, "demand", found.one.version, found.one.version)
    assert same.better is Better.EQUAL


def test_what_is_live_moves_by_what_was_seen(shop: Visitor, project: Project) -> None:
    approve(project)
    page = shop.page("/models/demand")
    live = shop.api("/models/demand/live")["version"]
    before = shop.api("/models/demand")["rollback_to"][0]["version"]
    back = shop.send(page, "/models/demand/rollback", {"to": before, "reason": HOSTILE})
    assert f"demand {before} is live in place of {live}" in back.words
    assert "<script>alert" not in back.text
    assert "\u202e" not in back.text
    late = shop.send(page, "/models/demand/rollback", {"to": live, "reason": "no"})
    assert late.status == 412
    assert 'href="/models/demand"' in late.text
    version = shop.page(f"/models/demand/versions/{live}")
    again = shop.send(
        version, "/models/demand/deliver", {"version": live, "reason": "it was right"}
    )
    assert f"demand {live} is live in place of {before}" in again.words
    assert [each["reason"] for each in shop.api("/models/demand")["history"]][:2] == [
        "it was right",
        HOSTILE,
    ]
    # Pages of versions have their own tag of what is live.
    older = shop.page(f"/models/demand?before={live}&limit=1")
    assert shop.send(older, "/models/demand/rollback", {"to": before, "reason": "x"}).status == 200


def test_what_can_not_be_moved_stays(project: Project) -> None:
    with pytest.raises(UsageError, match="none was live before it"):
        roll_back(project, "busy_model", "why")
    with pytest.raises(GateError, match="waits for review"):
        roll_back(project, "demand", "why", to=show_model(project, "demand").versions[0].version)


def test_pages_of_models_show_what_the_documents_have(shop: Visitor) -> None:
    assert "no gates: the newest" in shop.page("/models").words
    assert "none passed its gates yet" in shop.page("/models/strict").words
    version = shop.page("/models/busy_model/versions/live")
    for words in ("ROC curve", "Calibration", "M\u00fchle", "beats_baseline(log_loss)", "seed 1"):
        assert words in version.words
    assert "style=" not in version.text
    compared = shop.page("/models/demand/compare?latency=true")
    for words in ("Gain in mae", "predict 1 row", "rounds"):
        assert words in compared.words
    for path in ("/models/plain", "/models/demand", "/models/demand/versions/newest"):
        shop.page(path)
    shop.page("/models/plain/compare", status=400)
    for link in ('href="/models/busy_model">All versions', 'href="/stages/busy_model">Stage'):
        assert link in version.text
    # There is no version to go back to.
    assert "Go back to another version" not in version.words


def test_who_may_not_move_what_is_live_sees_why(shop: Visitor, project: Project) -> None:
    approve(project)
    made = project.tokens.create(scopes=["read"], holder="vic", ttl="1h")
    shop.log_in(made.text)
    page = shop.page("/models/demand")
    assert "vic may not move what is live" in page.words
    assert 'action="/models/demand/rollback"' not in page.text


def test_the_version_to_go_back_to_was_never_withdrawn(
    shop: Visitor, project: Project, shops: Path
) -> None:
    first = show_live(project, "demand").version
    approve(project)
    second = show_live(project, "demand").version
    [target] = show_model(project, "demand").rollback_to
    assert (target.version, target.state, target.is_preset) == (first, VersionState.APPROVED, True)
    assert target.metrics.startswith("mae ")
    # Who goes back withdraws the version that was live; it is there still, but not chosen.
    assert "Go back to another version" in shop.page(f"/models/demand/versions/{second}").words
    roll_back(project, "demand", "it forecasts too much")
    [target] = show_model(project, "demand").rollback_to
    assert (target.version, target.state) == (second, VersionState.WITHDRAWN)
    assert not target.is_preset
    page = shop.page("/models/demand").text
    assert '<option value="">Choose one</option>' in page
    assert f"{second}: withdrawn, live until " in page
    # Of several, the newest that nobody withdrew is chosen.
    retrain(shops, 12)
    approve(project)
    found = show_model(project, "demand").rollback_to
    assert [(each.version, each.is_preset) for each in found] == [(first, True), (second, False)]


def test_who_has_a_token_for_reviews_only_learns_what_it_lacks(project: Project) -> None:
    ben = Actor(name="ben", kind=ActorKind.TOKEN, token="t1", scopes=frozenset({TokenScope.REVIEW}))
    seen = project.acting_as(ben)
    right = show_model(seen, "demand").right
    assert not right.is_allowed
    assert right.refusal.endswith("the token t1 has only the scope review (needs deliver)")
    id = project.reviews.list()[0].review.id
    way_back = show_review(seen, id).way_back
    assert way_back is not None
    assert way_back.right == right
    back = next(part for part in show_review(seen, id).sections if part.title == "How to go back")
    assert back.lines[-1].endswith("a token needs the scope deliver")
