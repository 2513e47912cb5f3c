"""What people do with incidents: open, resolve and show them, and silence their alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.tides import Tides
from tests.support.users import USER
from tidemill.core.errors import UsageError
from tidemill.operations.alert_settings import AlertSettings
from tidemill.operations.incident import IncidentStatus
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity
from tidemill.project.project import Project

DAY = 86_400.0


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def project(tmp_path: Path, clock: Clock) -> Iterator[Project]:
    tides = Tides(tmp_path)
    tides.use(clock=clock)
    found = tides.open()
    space = found.workspace
    settings = AlertSettings(owners={"rain*": "nobody", "da*": "team-d"}, disk_free=1)
    space.settings = replace(space.settings, tables={**space.settings.tables, "alerts": settings})
    yield found
    found.close()


def fail(project: Project, stage: str = "daily", **terms: Any) -> None:
    values: dict[str, Any] = {
        "kind": ProblemKind.STALE_STAGE, "key": f"stale-stage/prod/{stage}", "since": 1_799_999_000.0,
        "severity": ProblemSeverity.TICKET, "title": f"{stage} is stale", "stage": stage, **terms,
    }  # fmt: skip
    project.alerts.check([Problem(**values)])


def test_a_person_opens_an_incident_that_only_a_person_closes(
    project: Project, clock: Clock
) -> None:
    made = project.incidents.report(
        "the shop is closed", severity="page", stage="daily", reason="sign on the door"
    )
    assert (made.incident.actor, made.severity, made.cause.evidence) == (
        USER, "page", {"note": "sign on the door"},
    )  # fmt: skip
    clock.now += 30 * DAY
    assert [state.id for state in project.alerts.check().open] == [made.id]
    done = project.incidents.resolve(made.id[:6], reason="open again")
    assert done.closing is not None
    assert (done.closing.how, done.closing.actor, done.closing.reason) == (
        "by a person", USER, "open again",
    )  # fmt: skip
    # Once more changes nothing.
    assert project.incidents.resolve(made.id, reason="again") == done
    assert project.incidents.open() == ()
    assert project.incidents.every() == (done,)


def test_what_a_person_resolved_stays_so_while_the_problem_lasts(
    project: Project, clock: Clock
) -> None:
    fail(project)
    [state] = project.incidents.open()
    clock.now += 10.0
    project.incidents.resolve(state.id, reason="known")
    fail(project)
    assert project.incidents.open() == ()
    fail(project, since=clock.now + 5.0)
    assert project.incidents.open() == ()
    project.alerts.check()
    fail(project)
    assert [each.status for each in project.incidents.open()] == [IncidentStatus.OPEN]


def test_bad_input_is_refused(project: Project) -> None:
    incidents = project.incidents
    for call, says in (
        (lambda: incidents.report("x", severity="high"), "severity 'high'"),
        (lambda: incidents.report("x", severity="page", stage="dayly"), "no stage 'dayly'"),
        (lambda: incidents.report(" ", severity="page"), "say why"),
        (lambda: incidents.resolve("i1", reason="so"), "no incident 'i1'"),
        (lambda: incidents.silence(reason="so", ttl="soon"), "not a duration"),
        (lambda: incidents.silence(reason="so", ttl="31d"), "at most 30 days"),
        (lambda: incidents.silence(reason="so", ttl="1h", stage="dayly"), "no stage 'dayly'"),
        (lambda: incidents.silence(reason=" ", ttl="1h"), "say why"),
        (lambda: incidents.end_silence("s1"), "no silence 's1'"),
    ):
        with pytest.raises(UsageError, match=says):
            call()
    made = [incidents.report(str(number), severity="note") for number in range(2)]
    with pytest.raises(UsageError, match="several incidents begin with 'i'"):
        incidents.incident("i")
    with pytest.raises(UsageError, match="say why"):
        incidents.resolve(made[0].id, reason="")


def test_open_incidents_are_sorted_and_each_is_a_line(project: Project, clock: Clock) -> None:
    project.incidents.report("odd", severity="note")
    fail(project)
    project.incidents.report("worse", severity="page", stage="raw")
    clock.now += 600.0
    assert [state.severity for state in project.incidents.open()] == ["page", "ticket", "note"]
    silence = project.incidents.silence(reason="known", ttl="1h", stage="da*")
    lines = project.incidents.open_lines()
    assert lines[0].startswith("page: worse; for 10 min; tidemill incidents show i")
    assert lines[1] == (
        "ticket: daily is stale; for 27 min; owner team-d; tidemill incidents show "
        f"{project.incidents.open()[1].id}; silenced by {silence.actor}"
    )
    assert project.incidents.owners() == {"": "", "raw": "", "doubled": "", "daily": "team-d"}


def test_a_silence_expires_or_is_ended(project: Project, clock: Clock) -> None:
    incidents = project.incidents
    short = incidents.silence(reason="deploying", ttl="1h", kind="stale*")
    long = incidents.silence(reason="known", ttl="30d", severity="note")
    assert (short.actor, short.expires) == (USER, clock.now + 3_600.0)
    assert [incidents.is_in_force(state) for state in incidents.silences()] == [True, True]
    ended = incidents.end_silence(long.id, reason="fixed")
    assert (ended.ended_by, ended.reason, ended.ended) == (USER, "fixed", clock.now)
    assert incidents.end_silence(long.id).reason == "fixed"
    clock.now += 3_600.0
    incidents.report("later", severity="note")
    assert [incidents.is_in_force(state) for state in incidents.silences()] == [False, False]
    # A clock that is set back revives none.
    clock.now -= 1_800.0
    assert not incidents.is_in_force(incidents.silences()[0])
