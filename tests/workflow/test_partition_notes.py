"""What `check` says where partitions of different lengths or time zones meet."""

from __future__ import annotations

import pytest

from tests.support.planning import flow_of, ingest, reads, transform
from tidemill.workflow.partition_notes import partition_notes
from tidemill.workflow.window import last

BERLIN, UTC, KOLKATA = "Europe/Berlin", "UTC", "Asia/Kolkata"


@pytest.mark.parametrize(
    ("own", "zone", "other", "input_zone", "note"),
    [
        # The same partitions: nothing to say.
        ("day", None, "day", None, ""),
        ("day", BERLIN, "day", BERLIN, ""),
        ("day", None, "day", BERLIN, ""),
        ("hour", BERLIN, "hour", UTC, ""),
        ("value", None, "value", None, ""),
        ("value", None, "day", None, ""),
        ("whole", None, "day", BERLIN, ""),
        # Whole ones of the input, on the same clock.
        ("month", None, "day", None, "a month reads every day of raw that overlaps it"),
        ("day", UTC, "hour", UTC, "a day (UTC) reads every hour (UTC) of raw that overlaps it"),
        (
            "day", BERLIN, "hour", BERLIN,
            "a day (Europe/Berlin) reads every hour (UTC) of raw that overlaps it",
        ),
        (
            "day", KOLKATA, "hour", KOLKATA,
            "a day (Asia/Kolkata) reads every hour (UTC) of raw that overlaps it; leave rows of other "
            "days out",
        ),
        (
            "month", None, "week", None,
            "a month reads every week of raw that overlaps it; leave rows of other months out",
        ),
        (
            "hour", None, "day", None,
            "an hour reads every day of raw that overlaps it; leave rows of other hours out",
        ),
        (
            "day", BERLIN, "day", UTC,
            "a day (Europe/Berlin) reads every day (UTC) of raw that overlaps it; leave rows of other "
            "days out",
        ),
        (
            "day", None, "hour", BERLIN,
            "a day (Europe/Berlin) reads every hour (UTC) of raw that overlaps it; own has no time zone "
            "and counts as a time in Europe/Berlin",
        ),
        (
            "day", BERLIN, "hour", None,
            "a day (Europe/Berlin) reads every hour of raw that overlaps it; own has no time zone, so "
            "both count as times of one clock",
        ),
    ],
)  # fmt: skip
def test_a_note_says_what_a_partition_reads(
    own: str, zone: str | None, other: str, input_zone: str | None, note: str
) -> None:
    raw = ingest("raw", other, zone=input_zone)
    stage = transform("next", own, reads(raw), zone=zone)
    assert [*partition_notes(flow_of(raw, stage))] == ([f"next: {note}"] if note else [])


def test_windows_speak_for_themselves() -> None:
    raw = ingest("raw", "hour", zone=UTC)
    stage = transform("next", "day", reads(raw, last("2d")), zone=BERLIN)
    assert [*partition_notes(flow_of(raw, stage))] == []
