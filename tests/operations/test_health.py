"""Findings say what is wrong, with the values, and what to do."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tidemill.operations.health import (
    Clock,
    Declared,
    Disk,
    HealthFinding,
    Installation,
    LedgerFile,
    Level,
    MachineLimits,
    has_faults,
    judge_clock,
    judge_disk,
    judge_installation,
    judge_ledger,
    judge_limits,
    judge_project,
    judge_surroundings,
)

OK, NOTE, FAULT = Level.OK, Level.NOTE, Level.FAULT
GOOD = Disk(
    folder="/p/.tidemill", kind="ext4", free=10**11, size=10**12, free_files=10**6, fsync_ms=2
)
LEDGER = LedgerFile(path="ledger.db", bytes=10**6, version=11, known_version=11, events=1)


def bad(findings: Iterable[HealthFinding]) -> list[tuple[str, Level, str]]:
    """What isn't ok; each says what to do."""
    found = [finding for finding in findings if finding.level is not OK]
    assert all(finding.advice for finding in found)
    return [(finding.area, finding.level, finding.text) for finding in found]


def texts(findings: Iterable[HealthFinding]) -> str:
    return "\n".join(finding.text for finding in findings)


def test_an_installation() -> None:
    found = Installation(
        python=(3, 12, 4), platform="Linux", packages={"polars": "2.1.0"},
        extras={"serve": [], "otel": ["opentelemetry"]},
    )  # fmt: skip
    assert bad(judge_installation(found)) == []
    assert "Python 3.12.4 on Linux" in texts(judge_installation(found))
    assert "installed: serve" in texts(judge_installation(found))
    broken = replace(found, python=(3, 10, 1), packages={"polars": None}, extras={})
    assert [(area, level) for area, level, _ in bad(judge_installation(broken))] == [
        ("python", FAULT),
        ("packages", FAULT),
    ]
    assert "installed: none" in texts(judge_installation(broken))


def test_limits() -> None:
    assert bad(judge_limits(MachineLimits(cpus=1))) == []
    limits = MachineLimits(
        cpus=8,
        allowed_cpus=1.5,
        memory=10**10,
        allowed_memory=5 * 10**8,
        open_files=256,
        watches=100,
        watch_instances=8,
    )
    assert bad(judge_limits(limits)) == [
        ("memory", NOTE, "0.5 GB"),
        ("open files", NOTE, "at most 256"),
        ("file watches", NOTE, "at most 100"),
        ("watch instances", NOTE, "at most 8"),
    ]
    assert "8 CPUs, of which the control group allows 1.5" in texts(judge_limits(limits))
    roomy = MachineLimits(cpus=2, allowed_cpus=4, memory=10**10, open_files=4096)
    assert bad(judge_limits(roomy)) == []
    assert "10.0 GB" in texts(judge_limits(roomy))


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (Clock(now=100.0, newest_event=101.0, file_offset=0.5, jumped=-0.5), []),
        (Clock(now=100.0, jumped=-3600.0), [FAULT]),
        (Clock(now=100.0, newest_event=160.0), [FAULT]),
        (Clock(now=100.0, file_offset=60.0), [NOTE]),
        (Clock(now=100.0, file_offset=-60.0), [NOTE]),
        (Clock(now=100.0, zones=False), [FAULT]),
    ],
)
def test_the_clock(clock: Clock, expected: list[Level]) -> None:
    assert [level for _, level, _ in bad(judge_clock(clock))] == expected


def test_how_far_the_clock_is_behind() -> None:
    for seconds, shown in ((60.0, "60 s"), (600.0, "10 min"), (9_000.0, "2 h"), (9e5, "10 d")):
        [(_, _, text)] = bad(judge_clock(Clock(now=0.0, newest_event=seconds)))
        assert text == f"the clock is {shown} behind the newest event of the ledger"
    assert "in the past" in texts(judge_clock(Clock(now=0.0, file_offset=-9.0)))


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (GOOD, []),
        (replace(GOOD, missing=True), []),
        (replace(GOOD, problem="Read-only file system"), [("home", FAULT)]),
        (replace(GOOD, open_to_others=True), [("home", NOTE)]),
        (replace(GOOD, kind="nfs4"), [("disk", FAULT)]),
        (replace(GOOD, free=10**7), [("disk", FAULT)]),
        (replace(GOOD, free=10**9), [("disk", NOTE)]),
        (replace(GOOD, free=10**10), [("disk", NOTE)]),
        (replace(GOOD, kind="", free_files=5, fsync_ms=None), [("disk", NOTE)]),
        (replace(GOOD, free_files=None, fsync_ms=400.0), [("disk", NOTE)]),
    ],
)
def test_the_disk(disk: Disk, expected: list[tuple[str, Level]]) -> None:
    assert [(area, level) for area, level, _ in bad(judge_disk(disk))] == expected


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        (None, []),
        (LEDGER, []),
        (replace(LEDGER, leases={"run:prod": "pid 3"}), []),
        (replace(LEDGER, problem="file is not a database"), [FAULT]),
        (replace(LEDGER, damage="page 3 is never used"), [FAULT]),
        (replace(LEDGER, version=12), [FAULT]),
        (replace(LEDGER, version=9), [NOTE]),
        (replace(LEDGER, checked=False), []),
        (replace(LEDGER, log_bytes=10**9), [NOTE]),
    ],
)
def test_the_ledger(ledger: LedgerFile | None, expected: list[Level]) -> None:
    assert [level for _, level, _ in bad(judge_ledger(ledger))] == expected


def test_a_structure_that_was_not_checked_is_told() -> None:
    text = texts(judge_ledger(replace(LEDGER, checked=False)))
    assert "`tidemill doctor --full` checks its structure" in text


def test_who_holds_leases_is_told() -> None:
    assert "run:prod is held by pid 3" in texts(
        judge_ledger(replace(LEDGER, leases={"run:prod": "pid 3"}))
    )


def test_the_project() -> None:
    good = Declared(place="workflow bakery", import_s=0.2, stages=7)
    assert bad(judge_project(good)) == []
    assert texts(judge_project(good)) == "workflow bakery: 7 stages, imported in 0.2 s"
    assert bad(judge_project(replace(good, import_s=9.0)))[0][1] is NOTE
    broken = Declared(
        problem="no",
        unset=["TOKEN"],
        is_alone=True,
        outputs={"out": "permission denied"},
        settings=["schedules.n: cron is empty"],
        programs={"page": "/usr/bin/page"},
    )
    assert [(area, level) for area, level, _ in bad(judge_project(broken))] == [
        ("project", FAULT),
        ("secrets", NOTE),
        ("settings", FAULT),
        ("alerts", FAULT),
        ("alerts", NOTE),
        ("outputs", FAULT),
    ]


def test_surroundings() -> None:
    assert bad(judge_surroundings({"PATH": "x"}, "UTF-8")) == []
    found = bad(judge_surroundings({"HTTPS_PROXY": "http://ana:secret@proxy"}, "ANSI_X3.4-1968"))
    assert [area for area, _, _ in found] == ["locale", "proxy"]
    assert "secret" not in str(found)


def test_only_faults_count() -> None:
    note = HealthFinding(area="x", level=NOTE, text="x")
    assert not has_faults([note])
    assert has_faults([note, replace(note, level=FAULT)])
