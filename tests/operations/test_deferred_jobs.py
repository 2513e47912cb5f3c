"""Jobs that had waited for a cheaper time: failures, and room for others."""

from __future__ import annotations

from tidemill.operations.deferred_jobs import DeferredJobs
from tidemill.operations.duty import DutyTask
from tidemill.operations.supervision import Child, ChildPhase, Ending, JobAnswer, UpJob
from tidemill.operations.up_settings import UpSettings

OK = JobAnswer(ending=Ending.OK)


def child(*, makes_room: bool) -> Child:
    job = UpJob(task=DutyTask.OFF_PEAK, because=(), makes_room=makes_room)
    return Child(number=1, phase=ChildPhase.BUSY, since=0.0, code=0, job=job)


def test_what_fails_is_tried_again_later_and_later() -> None:
    jobs = DeferredJobs(UpSettings(retry=10.0, retry_max=15.0))
    assert jobs.earliest(5.0) == 5.0
    jobs.judge(JobAnswer(ending=Ending.FAILED, failures=("no",)), 100.0)
    assert jobs.earliest(5.0) == 110.0
    jobs.fail("killed", 110.0)
    assert jobs.earliest(5.0) == 125.0
    jobs.judge(JobAnswer(ending=Ending.INTERRUPTED), 125.0)
    assert jobs.earliest(5.0) == 125.0
    jobs.judge(JobAnswer(ending=Ending.BUSY), 130.0)
    assert jobs.earliest(5.0) == 132.0
    jobs.judge(OK, 140.0)
    assert jobs.earliest(5.0) == 5.0


def test_room_is_made_when_somebody_asks_for_it() -> None:
    jobs = DeferredJobs(UpSettings())
    ready = Child(number=2, phase=ChildPhase.READY, since=0.0, code=0)
    running = [ready, child(makes_room=True)]
    assert jobs.to_interrupt(running) == []
    for _ in range(3):
        assert jobs.makes_room
        jobs.ask_for_room()
        assert jobs.to_interrupt(running) == running[1:]
        # Nobody asked again.
        assert jobs.to_interrupt(running) == []
    assert not jobs.makes_room
    jobs.ask_for_room()
    assert jobs.to_interrupt([child(makes_room=False)]) == []
    jobs.judge(OK, 1.0)
    assert jobs.makes_room
