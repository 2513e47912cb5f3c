"""Versions of a model, collected from recorded events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidemill.core.partition import WHOLE
from tidemill.history.model_versions import VersionFacts
from tidemill.ledger.delivery import Decision
from tidemill.ledger.event import (
    Attempted,
    Computed,
    Decided,
    Delivered,
    Event,
    Published,
    RecordedEvent,
)
from tidemill.ledger.governance_events import ReviewOpened, Voted
from tidemill.ledger.model_version import VersionState
from tidemill.ledger.run import Attempt, Outcome
from tidemill.reuse.input_contents import input_digest
from tidemill.testing import records as samples
from tidemill.testing.records import (
    attempted_event,
    binding,
    decided_event,
    delivered_event,
    model_artifact,
    product,
    published_event,
    scores,
)

MODEL, EVALUATION = "delay_model", "delay_scores"


def trained(version: str, *, at: float, environment: str = "prod", run: str = "run-1") -> Event:
    made = replace(product(version), artifact=model_artifact(version))
    bound = replace(
        binding(f"key {version}", made),
        at=at,
        run=run,
        seen={"features": {"hour": "1", "wind": "2"}},
    )
    return replace(published_event(WHOLE, bound=bound, stage=MODEL), environment=environment)


def scored(
    version: str, *, rows: str = "features 1", mae: float = 1.0, partition: str = "candidate"
) -> Event:
    made = replace(product(f"scores of {version}"), artifact=None, scores=scores(mae))
    inputs = {
        MODEL: input_digest({WHOLE: model_artifact(version).content}, None),
        "features": rows,
    }
    bound = replace(binding(f"scores {version} {rows}", made), inputs=inputs)
    return published_event(partition, bound=bound, stage=EVALUATION)


def decided(version: str, *, approved: bool, actor: str = "gates", at: float = 1.0) -> Event:
    event = decided_event(f"{version} {at}", approved=approved)
    decision: Decision = replace(event.decision, artifact=version, actor=actor, at=at)
    return Decided(environment="prod", stage=MODEL, decision=decision)


def tried(run: str, outcome: Outcome = Outcome.OK, **figures: Any) -> Event:
    found = attempted_event()
    attempt = Attempt(stage=MODEL, partition=WHOLE, action="train", outcome=outcome)
    return replace(found, run=run, attempt=replace(attempt, **figures))


def facts(*events: Event) -> VersionFacts:
    found = VersionFacts(
        model=MODEL,
        evaluations=[EVALUATION],
        ours=lambda environment, seq: environment == "prod",
    )
    for seq, event in enumerate(events, 1):
        found.note(RecordedEvent(seq=seq, at=float(seq), event=event))
    return found


def test_each_version_has_its_state() -> None:
    found = facts(
        *(trained(name, at=float(n)) for n, name in enumerate("abcdef")),
        decided("b", approved=True),
        decided("c", approved=False),
        decided("d", approved=True),
        decided("d", approved=False, actor="ana", at=2.0),
    )
    # It passed the gates, and rules or people hold it back.
    found.decisions.append(replace(found.decisions[1], artifact="e", held=True))
    versions = found.versions(model_artifact("a"), model_artifact("e"))
    assert [(v.id, v.state) for v in versions] == [
        ("f", VersionState.TRAINED),
        ("e", VersionState.CANDIDATE),
        ("d", VersionState.WITHDRAWN),
        ("c", VersionState.REFUSED),
        ("b", VersionState.APPROVED),
        ("a", VersionState.LIVE),
    ]
    assert versions[2].decisions == tuple(d for d in found.decisions if d.artifact == "d")
    assert (versions[0].model, versions[0].columns) == (MODEL, {"features": ("hour", "wind")})


def test_a_version_that_only_others_published_isnt_here() -> None:
    elsewhere = trained("a", at=1.0, environment="dev", run="run-7")
    assert (
        facts(elsewhere, Computed(stage=MODEL, partition=WHOLE, binding=binding("x"))).versions(
            None, None
        )
        == ()
    )
    # It was trained there first, and is only bound here.
    [version] = facts(elsewhere, trained("a", at=5.0)).versions(None, None)
    assert (version.run, version.trained_at) == ("run-7", 1.0)


def test_a_version_that_a_promotion_asks_about_is_known_with_its_scores() -> None:
    def elsewhere(event: Event, run: str = "run-7") -> Event:
        assert isinstance(event, Published)
        bound = replace(event.binding, run=run)
        return replace(event, environment="dev", binding=bound)

    def asked(run: str, source: str = "dev") -> Event:
        review = replace(samples.review(), name=MODEL, artifact="a", run=run, source=source)
        return ReviewOpened(environment="prod", review=review)

    known = [
        trained("a", at=1.0, environment="dev"),
        elsewhere(scored("a", mae=3.0), "run-8"),
        elsewhere(scored("b", mae=5.0)),
        elsewhere(scored("a", mae=2.0)),
    ]

    def figures(run: str) -> list[float]:
        [version] = facts(*known, asked(run)).versions(None, None)
        return [evaluation.scores.metrics["mae"] for evaluation in version.evaluations]

    assert figures("run-8") == [3.0]
    assert figures("run-9") == [2.0]  # reused: the last ones of these bytes
    assert facts(*known, asked("run-8", source="")).versions(None, None) == ()
    [version] = facts(*known, trained("a", at=2.0), asked("run-8")).versions(None, None)
    assert version.evaluations == ()


def test_a_version_is_scored_by_what_read_its_bytes() -> None:
    found = facts(trained("a", at=1.0), trained("b", at=2.0), scored("a"), scored("a", mae=2.0))
    second, first = found.versions(None, None)
    assert [each.scores.metrics["mae"] for each in first.evaluations] == [1.0, 2.0]
    assert {each.rows_read for each in first.evaluations} == {"features features 1"}
    assert first.latest_scores() == {EVALUATION: scores(2.0)}
    assert second.evaluations == ()


def test_an_evaluation_may_have_been_recorded_without_scores() -> None:
    event = scored("a")
    assert isinstance(event, Published)
    without = replace(event.binding, product=replace(event.binding.product, scores=None))
    found = facts(trained("a", at=1.0), replace(event, binding=without))
    [version] = found.versions(None, None)
    assert version.evaluations == ()


def test_figures_of_one_day_are_none_of_a_version() -> None:
    day = scored("a", mae=9.0, rows="features 2", partition="live 2013-03-07")
    [version] = facts(trained("a", at=1.0), scored("a"), day).versions(None, None)
    assert version.latest_scores() == {EVALUATION: scores(1.0)}
    assert version.metrics_text == "mae 1"
    assert version.figures == {"mae": 1.0}


def test_what_a_training_cost_counts_its_retries() -> None:
    found = facts(
        trained("a", at=1.0),
        trained("b", at=2.0, run="run-2"),
        tried("run-1", Outcome.RETRIED, wall_s=1.0, cpu_s=2.0, rows_in=5),
        tried("run-1", wall_s=3.0, cpu_s=4.0, peak_rss=7, rows_in=9),
        tried("run-2", Outcome.SKIPPED),
        attempted_event(),
    )
    without, first = found.versions(None, None)
    assert without.cost is None
    cost = first.cost
    assert cost is not None
    assert (cost.attempts, cost.wall_s, cost.cpu_s, cost.peak_rss, cost.rows) == (2, 4.0, 6.0, 7, 9)
    assert isinstance(attempted_event(), Attempted)


def test_what_was_live_when_in_each_environment() -> None:
    def live(version: str, at: float, environment: str = "prod", **more: Any) -> Delivered:
        event = delivered_event(version, environment=environment)
        return replace(event, delivery=replace(event.delivery, at=at, **more))

    gates = decided_event()
    found = facts(
        trained("a", at=1.0),
        replace(gates, stage=MODEL),
        live("a", 1.0),
        live("b", 2.0, environment="dev"),
        live("c", 3.0, actor="ana", reason="why", replaced="a"),
        delivered_event("x", name="another"),
        decided_event("elsewhere", environment="dev"),
    )
    first, second, third = found.live_periods()
    assert (first.version, first.since, first.until) == ("a", 1.0, 3.0)
    assert (second.environment, second.version, second.until) == ("dev", "b", None)
    assert (third.actor, third.reason, third.replaced, third.until) == ("ana", "why", "a", None)
    assert first.evidence == ("beats_live(mae): 11.2 against 11.9",)
    assert (first.approvers, third.approvers) == ((), ())
    # What went live before its training was recorded here has no version to show.
    assert [v.id for v in found.versions(None, None)] == ["a"]


def test_all_who_approved_in_a_review_are_named() -> None:
    decision = replace(decided_event().decision, review="r1", actor="ben")
    live = delivered_event("a")
    live = replace(live, delivery=replace(live.delivery, decision=decision.subject))
    votes = [
        Voted(environment="prod", review="r1", vote=samples.vote(name))
        for name in ("ana", "ben", "ana")
    ]
    found = facts(
        trained("a", at=1.0),
        *votes,
        replace(decided_event(), stage=MODEL, decision=replace(decision, artifact="a")),
        replace(live, delivery=replace(live.delivery, actor="ben")),
        replace(live, delivery=replace(live.delivery, actor="ben", rollback=True)),
    )
    assert [period.approvers for period in found.live_periods()] == [("ana", "ben"), ()]
    [version] = found.versions(None, None)
    [made] = version.decisions
    assert version.deciders(made) == "ana, ben"
    assert version.deciders(replace(made, approved=False)) == "ben"
