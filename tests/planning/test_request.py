"""Requests with times as text, and the partitions that they select."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.support.planning import spec
from tidemill.core.errors import UsageError
from tidemill.planning.request import Request, is_selected, request_of

FIRST, NEXT = datetime(2013, 3, 1), datetime(2013, 4, 1)
SELECTED = [
    # cut, partition, from, to, selected
    ("day", "2013-03-01", FIRST, NEXT, True),
    ("day", "2013-03-31", FIRST, NEXT, True),
    ("day", "2013-02-28", FIRST, NEXT, False),
    ("day", "2013-04-01", FIRST, NEXT, False),
    ("day", "2013-02-28", None, NEXT, True),
    ("day", "2013-04-01", FIRST, None, True),
    # A partition is selected when all of it is.
    ("week", "2013-W09", FIRST, NEXT, False),
    ("week", "2013-W13", FIRST, NEXT, True),
    ("month", "2013-03", FIRST, NEXT, True),
    ("month", "2013-03", FIRST, datetime(2013, 3, 31), False),
    # What has no time always is.
    ("day", "(none)", FIRST, NEXT, True),
    ("day", "all", FIRST, NEXT, True),
    ("day", "2012-W01", FIRST, NEXT, True),
    ("value", "2012-01-01", FIRST, NEXT, True),
    ("whole", "all", FIRST, NEXT, True),
]


@pytest.mark.parametrize(("cut", "partition", "since", "until", "expected"), SELECTED)
def test_selected(
    cut: str, partition: str, since: datetime | None, until: datetime | None, expected: bool
) -> None:
    request = Request(since=since, until=until)
    assert is_selected(request, partition, spec(cut).partitioning) is expected


def parsed(**given: Any) -> Request:
    all_of_it = {
        "stage": "",
        "since": None,
        "until": None,
        "limit": None,
        "again": False,
        "train": (),
    }
    return request_of(**{**all_of_it, **given})


def test_times_are_the_bounds_of_partitions() -> None:
    assert parsed() == Request()
    assert parsed(
        stage="raw", since="2013-03", until="2013-W13", limit=2, train=["guess"]
    ) == Request(stage="raw", since=FIRST, until=NEXT, limit=2, train=frozenset({"guess"}))
    assert parsed(since="2013-03-01", until="2013-03-01") == Request(
        since=FIRST, until=datetime(2013, 3, 2)
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": 0}, "limit 0 leaves nothing to do"),
        ({"since": "2013-04", "until": "2013-03"}, "from 2013-04 to 2013-03 leaves nothing to do"),
        ({"since": "soon"}, "soon"),
    ],
)
def test_a_request_that_selects_nothing_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parsed(**given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"partition": "a"}, "name the stage of the partition 'a'"),
        ({"stage": "raw", "partition": "a", "limit": 1}, "'a' can't be combined with --from"),
        ({"stage": "raw", "partition": "a", "since": "2013"}, "can't be combined"),
        ({"stage": "raw", "partition": "a", "train": ["guess"]}, "--limit or --train"),
    ],
)
def test_one_partition_is_of_a_stage_and_nothing_else(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parsed(**given)
    assert parsed(stage="raw", partition="a") == Request(stage="raw", partition="a")


def test_a_request_for_some_partitions_is_partial() -> None:
    def is_partial(**options: Any) -> bool:
        values: dict[str, Any] = {"stage": "", "since": None, "until": None, "limit": None}
        return request_of(**(values | {"again": False, "train": ()} | options)).is_partial

    assert not is_partial(stage="raw", again=True, train=["m"])
    assert is_partial(stage="raw", partition="2024-03-01")
    assert is_partial(since="2024-03-01")
    assert is_partial(until="2024-03-01")
    assert is_partial(limit=1)
