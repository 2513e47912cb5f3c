"""What `check` says of a stage that is reused less than it could be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import ingest, reads, transform
from tidemill.analysis.query.summary import QuerySummary
from tidemill.reuse.check_notes import opaque_notes, reuse_notes
from tidemill.reuse.recipe import Recipe

CLEAN = transform("clean", "day", reads(ingest("raw")))
READS_THE_CLOCK = "it reads the clock: time.time (flow.py:3)"


@pytest.mark.parametrize(
    ("recipe", "query", "key", "notes"),
    [
        ({}, QuerySummary(), (), []),
        ({}, None, (), []),
        # What can't be proven says the same, and more.
        (
            {"opaque": READS_THE_CLOCK, "unproven": (READS_THE_CLOCK,)},
            QuerySummary(opaque=READS_THE_CLOCK),
            (),
            [
                f"clean is never reused: {READS_THE_CLOCK}; remove it, mark the stage @tm.impure, "
                "or vouch for it with version="
            ],
        ),
        # The code says it of one line by one name, the watch by another.
        (
            {
                "unproven": (
                    "it reads the environment: os.environ.get (flow.py:3)",
                    "it reads the environment: os.environ (flow.py:3)",
                    "it reads the environment: os.getenv (flow.py:4)",
                )
            },
            None,
            (),
            [
                f"clean is never reused: it reads the environment: {name}; remove it, mark the "
                "stage @tm.impure, or vouch for it with version="
                for name in ("os.environ.get (flow.py:3)", "os.getenv (flow.py:4)")
            ],
        ),
        (
            {},
            QuerySummary(unstable="head() of rows in no fixed order", unordered="group_by"),
            ("x",),
            [
                "clean may return different rows for the same inputs: head() of rows in no fixed order; "
                "sort by a key before the order matters"
            ],
        ),
        (
            {},
            QuerySummary(unordered="group_by without maintain_order"),
            (),
            [
                "clean has no key and its rows have no fixed order (group_by without "
                "maintain_order): its readers rerun whenever it runs; give its contract a key"
            ],
        ),
        # A key is an order.
        ({}, QuerySummary(unordered="group_by without maintain_order"), ("x",), []),
    ],
)
def test_notes(
    recipe: dict[str, object], query: QuerySummary | None, key: tuple[str, ...], notes: list[str]
) -> None:
    assert CLEAN.output is not None
    stage = replace(CLEAN, output=replace(CLEAN.output, key=key))
    made = Recipe(digest="recipe", **recipe)  # type: ignore[arg-type]
    assert list(reuse_notes(stage, made, query)) == notes


def test_a_reason_that_several_stages_share_is_given_once() -> None:
    collects, unknown = "it collects raw when it is called", "query plans aren't supported"
    recipes = {
        "clean": Recipe(digest="", opaque=unknown),
        "daily": Recipe(digest="", opaque=collects),
        "plain": Recipe(digest=""),
        "total": Recipe(digest="", opaque=unknown),
        "clock": Recipe(digest="", opaque=READS_THE_CLOCK, unproven=(READS_THE_CLOCK,)),
    }
    assert list(opaque_notes(recipes)) == [
        f"clean, total are opaque: {unknown}; their code and all columns count",
        f"daily is opaque: {collects}; its code and all columns count",
    ]
