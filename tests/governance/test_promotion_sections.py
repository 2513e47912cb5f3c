"""The page of a promotion names the stages and models that change, and how to go back."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.promotion_sections import (
    PromotedModel,
    PromotedStage,
    PromotionChange,
    promotion_detail,
)

MODEL = PromotedModel(
    model="m", old="v1", new="v2", trained="on 10 rows", old_figures="mae 2", new_figures="mae 1",
    diff=("--- m v1", "+++ m v2"),
)  # fmt: skip
FOUND = PromotionChange(
    source="dev",
    target="prod",
    stages=(
        PromotedStage(
            stage="a", recipe=("its code changed",), added=1, changed=2, columns=("x", "y")
        ),
        PromotedStage(stage="b", changed=1),
        PromotedStage(stage="c", recipe=("its seed changed",)),
    ),
    models=(MODEL, replace(MODEL, model="n", old="", old_figures="", diff=())),
    promoted_by="ana",
    missing=("n: not known",),
)


def test_stages_and_models_that_change_are_named() -> None:
    detail = promotion_detail(FOUND)
    assert detail.changes == (
        "prod would get what dev has",
        "a: its code changed; partitions: 1 added, 2 changed",
        "b: partitions: 1 changed",
        "c: its seed changed",
        "m: v2 would go live in place of v1",
        "n: v2 would go live; none is live now",
    )
    stages, models = detail.sections
    assert stages.table is not None
    assert stages.table.rows[:2] == (
        ("a", "its code changed", "1", "2", "x, y"),
        ("b", "the same", "0", "1", "-"),
    )
    assert models.table is not None
    assert models.table.rows[1] == ("n", "none", "v2", "on 10 rows", "-", "mae 1")
    assert models.diff == MODEL.diff
    assert detail.missing == ("n: not known",)
    assert detail.back[-1] == "who may promote: ana"


def test_a_sample_is_said_to_be_one() -> None:
    assert promotion_detail(FOUND).worse == ()
    assert promotion_detail(replace(FOUND, sample=0.05)).worse == (
        "dev was computed from a sample of 5% of the source rows",
    )
