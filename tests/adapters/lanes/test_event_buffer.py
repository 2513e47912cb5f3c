from tidemill.adapters.lanes.event_buffer import EventBuffer
from tidemill.ports.execution import Fate, TaskEvent


def event(task: str, fate: Fate) -> TaskEvent:
    return TaskEvent(task=task, fate=fate, worker="1", at=1.0)


def test_a_task_id_is_taken_until_its_final_event_is_read() -> None:
    buffer = EventBuffer()
    assert [buffer.register("a"), buffer.register("a"), buffer.register("b")] == [True, False, True]
    buffer.put(event("a", Fate.STARTED))
    assert [e.fate for e in buffer.drain(0.0)] == [Fate.STARTED]
    assert not buffer.register("a")
    buffer.put(event("a", Fate.OK))
    assert not buffer.register("a")
    assert [e.fate for e in buffer.drain(0.0)] == [Fate.OK]
    assert [buffer.register("a"), buffer.register("b")] == [True, False]


def test_events_are_drained_in_order_and_once() -> None:
    buffer = EventBuffer()
    events = [event("a", Fate.STARTED), event("b", Fate.STARTED), event("a", Fate.LOST)]
    for each in events:
        buffer.put(each)
    assert buffer.drain(60.0) == events
    assert buffer.drain(0.0) == []
