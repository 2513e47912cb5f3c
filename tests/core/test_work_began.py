"""Where work began counts for one run."""

from __future__ import annotations

import threading

from tidemill.core.work_began import begin_work, take_work_began


def test_work_counts_once_from_where_it_began() -> None:
    begin_work(1.0)
    begin_work(2.0)
    assert (take_work_began(), take_work_began()) == (2.0, None)


def test_it_is_the_work_of_a_thread() -> None:
    begin_work(1.0)
    found: list[float | None] = []
    thread = threading.Thread(target=lambda: found.append(take_work_began()))
    thread.start()
    thread.join()
    assert (found, take_work_began()) == ([None], 1.0)
