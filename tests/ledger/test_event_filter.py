"""Filters select the subjects of events by their names."""

from tidemill.ledger.event import RunEnded
from tidemill.ledger.event_filter import EVERYTHING, EventFilter, about
from tidemill.ledger.run import Status

ENDED = RunEnded(run="20130307-1", status=Status.OK)


def test_subjects_are_selected_by_name_or_prefix() -> None:
    own = frozenset({"run 20130307-1"})
    assert EVERYTHING.subjects_in(ENDED) == own
    assert about("run 20130307-1").subjects_in(ENDED) == own
    assert EventFilter(about_prefix="run 2013").subjects_in(ENDED) == own
    for other in (about("run 2013"), EventFilter(about_prefix="token ")):
        assert other.subjects_in(ENDED) == frozenset()


def test_only_some_filters_name_subjects() -> None:
    assert not EVERYTHING.names_subjects
    assert not EventFilter(before=3, partition="").names_subjects
    for named in (about("run 1"), EventFilter(about_prefix="r"), EventFilter(open_only=True)):
        assert named.names_subjects
