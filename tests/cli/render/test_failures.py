"""The failures of a run as a table."""

from dataclasses import replace
from functools import partial

import pytest

from tidemill.cli.render.failures import partition_names, render_failures
from tidemill.contracts.finding import Finding
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Failure

FAILURE = partial(
    Failure, stage="labels", why="KeyError: 'shop' at bakery.py:73", advice="correct it"
)
MONTHS = tuple(f"2024-{month:02}" for month in range(1, 13))


def lines(failures: list[Failure]) -> list[str]:
    return [" ".join(line.split()) for line in render_failures(failures, 120).split("\n")]


@pytest.mark.parametrize(
    ("partitions", "says"),
    [
        ((WHOLE,), ""),
        (MONTHS[:1], "2024-01"),
        (MONTHS[:3], "2024-01, 2024-02, 2024-03"),
        (MONTHS, "2024-01, 2024-02 and 10 more"),
    ],
)
def test_partitions_are_named_in_short(partitions: tuple[str, ...], says: str) -> None:
    assert partition_names(partitions) == says


def test_a_row_says_what_failed_why_and_what_to_do() -> None:
    found = [
        FAILURE(partitions=("2024-01",), skipped=12),
        FAILURE(partitions=(WHOLE,), stage="model"),
    ]
    assert lines(found) == [
        "failed partitions skipped why what to do",
        "labels 2024-01 12 KeyError: 'shop' at bakery.py:73 correct it",
        "model - KeyError: 'shop' at bakery.py:73 correct it",
    ]


def test_the_rules_of_bad_rows_follow() -> None:
    broken = Finding(rule="id.min", severity="quarantine", rows=1200, sample="-1, -2\x1b[2J")
    found = [
        FAILURE(partitions=MONTHS[:1], findings=(broken,)),
        FAILURE(partitions=(WHOLE,), stage="pets", findings=(broken,)),
        FAILURE(partitions=(WHOLE,), stage="model"),
    ]
    assert lines(found)[4:] == [
        "",
        "bad rows of labels 2024-01:",
        "rule bad rows first values",
        r"id.min 1,200 -1, -2\x1b[2J",
        "",
        "bad rows of pets:",
        "rule bad rows first values",
        r"id.min 1,200 -1, -2\x1b[2J",
    ]


def test_what_comes_from_data_moves_no_cursor() -> None:
    [_, row] = lines(
        [FAILURE(partitions=("a\x1b]0;b\x07",), why="no\x1b[2J\n\x00", advice="see it")]
    )
    assert row == r"labels a\x1b]0;b\x07 no \x00 see it"


def test_columns_that_say_nothing_are_left_out() -> None:
    assert lines([FAILURE(partitions=(WHOLE,))])[0] == "failed why what to do"


LONG = FAILURE(partitions=MONTHS, why="very " * 20 + "bad", advice="`tidemill run labels --debug`")


def test_what_is_long_goes_on_below_but_a_command_stays_whole() -> None:
    found = replace(LONG, advice="correct it, then run again: `tidemill run labels --debug`")
    assert render_failures([found], 100).split("\n") == [
        "failed  partitions               why                                 what to do",
        "labels  2024-01, 2024-02 and 10  very very very very very very very  correct it, then run again:",
        "        more                     very very very very very very very  `tidemill run labels --debug`",
        "                                 very very very very very very bad",
    ]


@pytest.mark.parametrize("width", range(40, 300, 7))
def test_it_is_no_wider_than_the_terminal_unless_that_is_very_narrow(width: int) -> None:
    text = render_failures([LONG, FAILURE(partitions=("a",), skipped=3)], width)
    assert max(map(len, text.split("\n"))) <= max(width, 100)
    assert text.count("very") == 20


def test_many_are_counted() -> None:
    found = [FAILURE(partitions=(str(number),)) for number in range(22)]
    assert lines(found)[-1] == "and 2 steps failed for 2 more reasons"
    assert len(lines(found)) == 22
