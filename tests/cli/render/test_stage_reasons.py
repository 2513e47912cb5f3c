"""Why a plan does to a stage what it does, as text."""

from __future__ import annotations

import pytest

from tidemill.cli.render.recipe import recipe_line
from tidemill.cli.render.stage_reasons import render_why
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.plan import ModelState, Plan, Step
from tidemill.planning.stage_reasons import ReasonGroup, StageReasons

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
PARTS = {"column day": "a" * 32, "column high": "b" * 32, "contract": "c" * 32}


def plan(**known: object) -> Plan:
    facts = {"workflow": "tides", "environment": "prod", "heads": {}, "recipes": {}}
    return Plan(**{**facts, **known})  # type: ignore[arg-type]


def why(
    *groups: ReasonGroup, because: tuple[ReasonGroup, ...] = (), model: ModelState | None = None
) -> StageReasons:
    return StageReasons(
        stage="daily",
        recipe="0123456789abcdef",
        recipe_parts=PARTS,
        judged_by="query",
        opaque="",
        groups=groups,
        because=because,
        model=model,
    )


def group(does: str, *partitions: str, stage: str = "daily", **known: object) -> ReasonGroup:
    return ReasonGroup(stage=stage, does=does, partitions=partitions, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            group("stay", DAYS[0], files=("a is unchanged",)),
            f"daily {DAYS[0]} is up to date: a is unchanged",
        ),
        (group("run", DAYS[0], reasons=("a", "b")), f"daily {DAYS[0]} runs: a; b"),
        (
            group("run", *DAYS, reasons=("a",)),
            f"daily {DAYS[0]} .. {DAYS[2]} (3) run: a",
        ),
        (
            group("bind", DAYS[0], reasons=("a",)),
            f"daily {DAYS[0]} is reused from an earlier run: a",
        ),
        (group("recheck", *DAYS[:1], reasons=("a",)), f"daily {DAYS[0]} is rechecked: a"),
        (group("remove", DAYS[0], reasons=("a",)), f"daily {DAYS[0]} is removed: a"),
        (group("wait", DAYS[0], reasons=("a",)), f"daily {DAYS[0]} waits: a"),
        (
            group("train", WHOLE, reasons=("training requested",)),
            "daily is trained: training requested",
        ),
        (group("deliver", *DAYS[:1], reasons=("a",)), f"daily {DAYS[0]} is delivered: a"),
        (group("stay", DAYS[0]), f"daily {DAYS[0]} is up to date"),
        (
            group(
                "run", *DAYS[:2], reasons=("only if the output of `levels` changes",), unlikely=True
            ),
            f"daily {DAYS[0]} .. {DAYS[1]} (2) may follow, only if the output of `levels` changes",
        ),
        # What the run of that time said isn't always known.
        (group("made", DAYS[0], run="r1"), f"daily {DAYS[0]} was published by run r1 since"),
        (
            group("run", DAYS[0], reasons=("files changed",), files=("a.csv changed",)),
            f"daily {DAYS[0]} runs: a.csv changed",
        ),
        (group("run", DAYS[0], reasons=("files changed",)), f"daily {DAYS[0]} runs: files changed"),
    ],
)
def test_a_line_a_group(found: ReasonGroup, line: str) -> None:
    assert render_why(why(found), plan()).split("\n")[2] == line


def test_counts_and_what_is_behind() -> None:
    groups = (
        group("run", DAYS[0], reasons=("upstream `levels` will rerun",)),
        group("run", DAYS[1], reasons=("only if the output of `levels` changes",), unlikely=True),
        group("wait", DAYS[2], reasons=("upstream `levels` has no partition yet",)),
        group("stay", "2025-12-31"),
    )
    behind = (
        group("run", DAYS[0], stage="levels", reasons=("files changed",), files=("a is new",)),
        group("made", DAYS[1], stage="rates", run="r1", reasons=("its code changed",)),
    )
    made = plan(notes=("a note",), broken={"levels": {"b.csv": "b.csv can't be read"}})
    assert render_why(why(*groups, because=behind), made).split("\n") == [
        "daily in prod: 1 step, 1 step may follow, 1 partition waiting, 1 partition up to date",
        "",
        f"daily {DAYS[0]} runs: upstream `levels` will rerun",
        f"daily {DAYS[1]} may follow, only if the output of `levels` changes",
        f"daily {DAYS[2]} waits: upstream `levels` has no partition yet",
        "daily 2025-12-31 is up to date",
        f"because levels {DAYS[0]} runs: a is new",
        f"because rates {DAYS[1]} was published by run r1 since: its code changed",
        "",
        "recipe 0123456789ab, judged by its query: 2 columns, contract cccccccc",
        "",
        "can't be read:",
        "  levels: b.csv can't be read",
        "",
        "notes:",
        "  a note",
    ]


def test_a_model_may_become_due() -> None:
    state = ModelState(stage="daily", outdated=("a",), due=("every(1d)",), trigger="every(1d)")
    training = Step(
        stage="daily",
        partition=WHOLE,
        action=Action.TRAIN,
        reasons=("every(1d)",),
        reads={"levels": (DAYS[0],)},
        unlikely=True,
    )
    step = Step(stage="levels", partition=DAYS[0], action=Action.RUN, reasons=("a",))
    told = render_why(why(model=state), plan(steps=(step, training))).split("\n")
    assert told[2] == (
        "daily: may be due (every(1d)), only if the output of `levels` changes; "
        "retrained when every(1d)"
    )


@pytest.mark.parametrize(
    ("judged_by", "opaque", "told"),
    [
        ("query", "", "judged by its query: 2 columns, contract cccccccc"),
        ("code", "", "judged by its code: 2 columns, contract cccccccc"),
        (
            "code",
            "it collects levels when it is called",
            "judged by its code (opaque: it collects levels when it is called): 2 columns, "
            "contract cccccccc",
        ),
        ("source", "", "judged by its source and how it reads it: 2 columns, contract cccccccc"),
    ],
)
def test_recipe_line(judged_by: str, opaque: str, told: str) -> None:
    assert recipe_line("0123456789abcdef", PARTS, judged_by, opaque) == (
        f"recipe 0123456789ab, {told}"
    )


def test_a_recipe_without_columns() -> None:
    line = recipe_line("0123", {"source": "d" * 32}, "source", "")
    assert line == "recipe 0123, judged by its source and how it reads it: source dddddddd"
