"""How far a run is, as lines: what fits, what is at work, and what is summed up."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples, thorough
from tidemill.cli.terminal.progress_bars import ascii_only, log_line, progress_lines
from tidemill.core.partition import WHOLE
from tidemill.core.printable import printable
from tidemill.ledger.run import Action, Outcome
from tidemill.planning.plan import Step
from tidemill.runs.progress import RunProgress, StageProgress, StepProgress

STYLE = re.compile(r"\x1b\[\d*m")


def doing(
    stage: str, partition: str, for_s: float = 0.5, action: Action = Action.RUN
) -> StepProgress:
    return StepProgress(
        step=Step(stage=stage, partition=partition, action=action, reasons=()), running_s=for_s
    )


SALES = StageProgress(
    name="sales",
    total=28,
    completed=12,
    outcomes={Outcome.OK: 9, Outcome.FAILED: 1, Outcome.REFUSED: 1, Outcome.BOUND: 1, Outcome.RETRIED: 3},
    part=0.5,
    rate=12_345.6,
    running=(doing("sales", "2026-01-13"), doing("sales", "2026-01-14", 62.0)),
)  # fmt: skip
DEMAND = StageProgress(
    name="demand", total=2, running=(doing("demand", WHOLE, action=Action.TRAIN),)
)
LATER = StageProgress(name="forecast", total=1_000)
SEEN = RunProgress(elapsed_s=65.0, stages=(SALES, DEMAND, LATER), left_s=125.0)


def test_every_stage_has_a_line_and_the_totals_stand_below() -> None:
    assert progress_lines(SEEN, 130, 20) == [
        "sales           12/28  ━━━━━━━━━━──────────   12,346 rows/s  2 failed, 3 retried, 1 reused; "
        "2026-01-13, 2026-01-14 for 1:02",
        "demand            0/2  ────────────────────                  train",
        "forecast      0/1,000  ────────────────────",
        "12/1,030 steps, 2 failed, 1:05, about 2 min left",
    ]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (79, "sales           12/28  ━━━━━━──────   12,346 rows/s  2 failed, 3 retried, 1 re…"),
        (60, "sales           12/28  ━━━━━━──────  2 failed, 3 retried, 1…"),
        (30, "sales           12/28  2 fail…"),
        (10, "sales    …"),
        (1, "…"),
    ],
)
def test_a_narrow_terminal_shows_less(width: int, line: str) -> None:
    assert progress_lines(SEEN, width, 20)[0] == line


def test_colors_take_no_room() -> None:
    plain, colored = progress_lines(SEEN, 80, 20), progress_lines(SEEN, 80, 20, color=True)
    assert [STYLE.sub("", line) for line in colored] == plain
    assert "\x1b[31m━" in colored[0]  # red: something failed
    assert "\x1b[32m" in colored[1]


def many() -> tuple[StageProgress, ...]:
    """40 stages: 10 are done, one of them with a failure; two are at work."""
    done = [StageProgress(name=f"s{at}", total=1, completed=1, part=1.0) for at in range(10)]
    done[3] = StageProgress(name="s3", total=1, completed=1, part=1.0, outcomes={Outcome.FAILED: 1})
    work = [
        StageProgress(
            name=f"s{at}", total=2, completed=1, part=0.5, running=(doing(f"s{at}", "a"),)
        )
        for at in (10, 15)
    ]
    rest = [StageProgress(name=f"s{at}", total=1) for at in range(11, 40) if at != 15]
    return tuple(sorted([*done, *work, *rest], key=lambda stage: int(stage.name[1:])))


@pytest.mark.parametrize(
    ("height", "names", "others"),
    [
        (2, ["s10"], "9 failed"),
        (3, ["s10", "s15"], ""),
        (4, ["s3", "s10", "s15"], ""),
        (6, ["s3", "s10", "s11", "s12", "s15"], ""),
        (34, ["s3", "s7", "s8", "s9", *(f"s{at}" for at in range(10, 40))][1:], ""),
    ],
)
def test_where_not_all_fit_those_at_work_come_first(
    height: int, names: list[str], others: str
) -> None:
    lines = progress_lines(RunProgress(elapsed_s=1.0, stages=many()), 100, height)
    if height < 34:
        assert [line.split()[0] for line in lines[:-1]] == names
    assert len(lines) == height


def test_the_others_are_summed_up() -> None:
    seen = RunProgress(elapsed_s=1.0, stages=many())
    assert progress_lines(seen, 100, 2)[-1] == (
        "12/42 steps, 1 failed, 0:01; other stages: 10 done, 1 active, 28 waiting"
    )
    assert progress_lines(seen, 100, 1) == [
        "12/42 steps, 1 failed, 0:01; other stages: 10 done, 2 active, 28 waiting"
    ]


def test_many_that_are_at_work_are_counted() -> None:
    work = tuple(doing("s", key) for key in "abcde")
    [line, _] = progress_lines(
        RunProgress(elapsed_s=1.0, stages=(StageProgress(name="s", total=9, running=work),)), 100, 9
    )
    assert line.endswith("a, b, c and 2 more")


@pytest.mark.parametrize(
    ("left_s", "more", "says"),
    [(None, True, ""), (30.0, False, ", about 30 s left"), (30.0, True, ", at least 30 s left")],
)
def test_how_long_it_takes_is_said_as_far_as_it_is_known(
    left_s: float | None, more: bool, says: str
) -> None:
    seen = RunProgress(elapsed_s=3725.0, stages=(LATER,), left_s=left_s, is_partial=more)
    assert progress_lines(seen, 80, 9)[-1] == f"0/1,000 steps, 1:02:05{says}"


def test_nothing_is_left_when_all_is_done() -> None:
    stage = StageProgress(name="s", total=1, completed=1, part=1.0)
    assert progress_lines(RunProgress(elapsed_s=1.0, stages=(stage,), left_s=0.0), 80, 9) == [
        "s  1/1  ━━━━━━━━━━━━",
        "1/1 steps, 0:01",
    ]


def test_a_log_line_says_what_is_at_work_for_longest() -> None:
    assert log_line(SEEN) == (
        "12/1,030 run sales 2026-01-14 and 2 more, 2 failed, 65.0 s, about 2 min left"
    )
    assert log_line(RunProgress(elapsed_s=1.0, stages=(LATER,))) == "0/1,000, 1.00 s"
    assert log_line(RunProgress(elapsed_s=1.0, stages=(DEMAND,))) == "0/2 train demand, 1.00 s"


def test_a_terminal_without_unicode() -> None:
    assert ascii_only("ä ━━──…") == "? ##--~"


NAMES = st.text(max_size=40)
STAGES = st.builds(
    StageProgress,
    name=NAMES,
    total=st.integers(1, 10_000),
    completed=st.integers(0, 10_000),
    outcomes=st.dictionaries(st.sampled_from(Outcome), st.integers(0, 10_000)),
    part=st.floats(0, 1),
    rate=st.floats(0, 1e9),
    running=st.lists(
        st.builds(doing, NAMES, NAMES, st.floats(0, 1e6), st.sampled_from(Action)), max_size=6
    ).map(tuple),
)
SEENS = st.builds(
    RunProgress,
    elapsed_s=st.floats(0, 1e6),
    stages=st.lists(STAGES, max_size=50).map(tuple),
    left_s=st.one_of(st.none(), st.floats(0, 1e6)),
    is_partial=st.booleans(),
)


@thorough
@settings(max_examples=examples(25))
@given(SEENS, st.integers(1, 200), st.integers(1, 60), st.booleans())
def test_it_always_fits_and_no_name_reaches_the_terminal_as_a_code(
    seen: RunProgress, width: int, height: int, color: bool
) -> None:
    lines = [STYLE.sub("", line) for line in progress_lines(seen, width, height, color=color)]
    assert 1 <= len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert printable("".join(lines)) == "".join(lines)
    assert all(ascii_only(line).isascii() for line in lines)
    assert printable(log_line(seen)) == log_line(seen)
    at_work = sum(bool(stage.running) for stage in seen.stages)
    assert len(lines) > min(at_work, height - 1)
