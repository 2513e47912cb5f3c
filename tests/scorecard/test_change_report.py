"""The time to deliver changes in a window, and what waits at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scorecard.test_change_times import (
    decided,
    delivered,
    made,
    published,
    read,
    recorded,
    report,
    rolled,
    seen,
    settled,
    started,
)
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.commit import Commit
from tidemill.ledger.event import Event
from tidemill.ledger.rollout import RolloutAction
from tidemill.scorecard.change_record import Wait
from tidemill.scorecard.change_report import report_changes


def test_a_change_is_followed_from_its_commit_to_all_traffic() -> None:
    begun, completed = RolloutAction.STARTED, RolloutAction.COMPLETED
    found = report(
        seen("prod", "c2"),  # 100
        started(),
        made("prod", "v1"),  # 120
        decided("v1"),  # 130
        delivered("v1"),  # 140
        rolled(begun, "v1"),
        rolled(RolloutAction.PROMOTED, "v1"),
        rolled(completed, "v1"),  # 170
    )
    (change,) = found.delivered
    assert (change.id, change.item, change.version) == ("c2", "model", "v1")
    assert change.took == 170.0
    assert change.splits == {"plan": 100.0, "candidate": 20.0, "approval": 10.0, "traffic": 40.0}
    assert (found.took.n, found.took.p90, found.splits["traffic"].p50) == (1, 170.0, 40.0)
    assert (found.deployments, found.failed, found.failure_rate) == (1, 0, 0.0)
    assert (found.waiting, found.retrainings, found.published) == ((), (), 0)


@pytest.mark.parametrize(
    ("events", "waits_for"),
    [
        ([], Wait.RUN),
        ([ChangesSeen(environment="dev", head="h", gone=("c2",)), made("dev", "v1")], Wait.RUN),
        ([made("prod", "v1")], Wait.APPROVAL),
        ([made("prod", "v1"), delivered("v1"), rolled(RolloutAction.STARTED, "v1")], Wait.TRAFFIC),
        (
            [
                made("prod", "v1"),
                delivered("v1"),
                rolled(RolloutAction.STARTED, "v1"),
                rolled(RolloutAction.ROLLED_BACK, "v1"),
            ],
            Wait.APPROVAL,
        ),
        # Another delivery ends the rollout, and doesn't contain the change.
        (
            [
                made("dev", "v2"),
                made("prod", "v1"),
                delivered("v1"),
                rolled(RolloutAction.STARTED, "v1"),
                delivered("v2"),
            ],
            Wait.APPROVAL,
        ),
    ],
)
def test_what_waits_says_what_for(events: list[Event], waits_for: Wait) -> None:
    dev = ChangesSeen(environment="dev", head="h")
    found = report(dev, seen("prod", "c2"), *events, now=1000.0)
    (waiting,) = found.waiting
    assert (waiting.id, waiting.waits_for, waiting.age) == ("c2", waits_for, 1000.0)
    assert found.delivered == ()


def test_a_branch_follows_its_own_changes() -> None:
    facts = recorded(seen("prod", "c2"), seen("dev", "c3"), seen("prod", "c5"))
    found = report_changes(read(facts, "dev"), 1000.0, 1000.0)
    # What production ran when the branch began, and what it runs itself.
    assert [each.id for each in found.waiting] == ["c2", "c3"]


def test_what_nothing_delivers_is_live_once_it_is_published() -> None:
    found = report(seen("prod", "c4"), published("prod", "clean"), settled("page"))
    (change,) = found.delivered
    assert (change.item, change.live, found.published, found.deployments) == ("", 120.0, 1, 1)
    assert change.splits == {"plan": 100.0, "candidate": 10.0, "approval": 10.0, "traffic": 0.0}


def test_trainings_without_a_change_are_apart() -> None:
    first: list[Event] = [seen("prod", "c2"), started(), made("prod", "v1"), delivered("v1")]
    found = report(*first, started("run-2"), made("prod", "v2"), delivered("v2"))
    (retraining,) = found.retrainings
    assert (retraining.version, retraining.took, found.retrained.p50) == ("v2", 50.0, 50.0)
    assert (found.deployments, found.per_week) == (2, 2 * 7 * 86_400.0 / 1e6)
    again = report(
        *first, seen("prod", "c3"), seen("prod", "c1"), made("prod", "v2"), delivered("v2")
    )
    assert again.retrainings == ()
    # Without a repository every version is one of its own accord.
    (alone,) = report(made("prod", "v1"), delivered("v1")).retrainings
    assert alone.took == 10.0
    # What is known of the version was forgotten, or never recorded.
    (unknown,) = report(delivered("v1")).retrainings
    assert unknown.took == 0.0


def test_times_never_decrease_whatever_clocks_do() -> None:
    facts = recorded(
        replace(seen("prod", "c2"), commits=(Commit(id="c2", at=900.0),)),
        made("prod", "v1"),
        decided("v1"),
        delivered("v1"),
        at=[500.0, 800.0, 700.0, 600.0],
    )
    (change,) = report_changes(read(facts), 1e6, 1e6).delivered
    steps = (change.committed, change.planned, change.candidate, change.approved, change.live)
    assert steps == (500.0, 500.0, 600.0, 600.0, 600.0)
    waiting = report_changes(read(facts[:1]), 550.0, 1e6).waiting
    assert [each.age for each in waiting] == [0.0]


def test_a_window_of_the_past_has_what_it_had() -> None:
    facts = recorded(
        seen("prod", "c2"), made("prod", "v1"), decided("v1"), delivered("v1"), seen("prod", "c3")
    )
    times = read(facts)
    waits = [
        [(each.id, each.waits_for) for each in report_changes(times, now, 50.0).waiting]
        for now in (99.0, 105.0, 115.0, 125.0, 130.0)
    ]
    assert waits == [
        [], [("c2", Wait.RUN)], [("c2", Wait.APPROVAL)], [("c2", Wait.TRAFFIC)], [],
    ]  # fmt: skip
    assert [each.id for each in report_changes(times, 130.0, 10.0).delivered] == ["c2"]
    assert report_changes(times, 140.0, 10.0).delivered == ()
    assert report_changes(times, 140.0, 0.0).per_week == 0.0


def test_what_git_could_not_tell_is_counted() -> None:
    unknown = ChangesSeen(environment="prod", head="h", problem="git can't be started")
    many = replace(seen("prod", "c2"), omitted=7)
    found = report(unknown, many, replace(unknown, environment="dev"))
    assert (found.unknown, found.omitted) == (1, 7)


def test_what_waits_for_removed_stages_only_is_left_out() -> None:
    facts = recorded(seen("prod", "c2"), seen("prod", "c4"), published("prod", "clean"))
    times = read(facts)
    (needed,) = {each for each in times.changes["c2"].delivers}
    (missing,) = times.changes["c4"].missing
    for declared, ids in (
        (None, ["c2", "c4"]), ({needed, missing}, ["c2", "c4"]), ({needed, "clean"}, ["c2"]), ((), []),
    ):  # fmt: skip
        report = report_changes(times, 1000.0, 1000.0, declared)
        assert [each.id for each in report.waiting] == ids
