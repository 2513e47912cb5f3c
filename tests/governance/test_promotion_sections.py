"""The page of a promotion names the stages and models that change, and how to go back."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from tidemill.governance.promotion_sections import (
    PromotedModel,
    PromotedStage,
    PromotionChange,
    promotion_detail,
)
from tidemill.governance.review_page import moment
from tidemill.ledger.delivery import GATES, Decision
from tidemill.ledger.model_version import MetricComparison
from tidemill.workflow.gate import GateResult

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
        PromotedStage(stage="b", changed=1, missing=3),
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
        "b: partitions: 1 changed, 3 only in prod",
        "c: its seed changed",
        "m: v2 would go live in place of v1",
        "n: v2 would go live; none is live now",
    )
    stages, models = detail.sections
    assert stages.table is not None
    assert stages.table.rows[:2] == (
        ("a", "its code changed", "1", "2", "0", "x, y"),
        ("b", "the same", "0", "1", "3", "-"),
    )
    assert models.table is not None
    assert models.table.rows[1] == ("n", "none", "v2", "on 10 rows", "-", "mae 1")
    assert models.diff == MODEL.diff
    assert detail.missing == ("n: not known",)
    assert detail.back[-1] == "who may promote: ana"


def test_what_gets_worse_is_said_of_each_model() -> None:
    mae = MetricComparison(
        stage="", slice="", rows=9, metric="mae", one=1.752e-16, other=0.8368, gain=-0.8368
    )
    better, part = replace(mae, metric="r2", gain=0.1), replace(mae, slice="a=1")
    scored = replace(MODEL, metrics=(mae, better, part))
    assert promotion_detail(replace(FOUND, models=(scored,))).worse == (
        "m: mae: 1.752e-16 -> 0.8368, without an interval",
    )
    named = replace(MODEL, metrics=(replace(mae, stage="scores", gain=nan), better))
    assert promotion_detail(replace(FOUND, models=(named,))).worse == (
        "m: mae of scores: 1.752e-16 -> 0.8368, without an interval",
    )
    good = replace(MODEL, metrics=(replace(better, stage="scores"), part))
    assert promotion_detail(replace(FOUND, models=(good,))).worse == (
        "m: no metric is worse over all rows (r2)",
    )


def test_a_version_that_the_target_refused_is_not_said_to_go_live() -> None:
    results = tuple(
        GateResult(gate=gate, passed=gate == "size", evidence="") for gate in ("golden", "size")
    )
    refused = Decision(
        subject="s", artifact="v2", approved=False, results=results, actor=GATES, at=0.0
    )
    told = promotion_detail(replace(FOUND, models=(replace(MODEL, refusal=refused),))).changes
    assert told[-2] == "m: v2 would go live in place of v1, if it passes the gates of prod"
    assert told[-1] == (
        f"m: the gates of prod refused it on {moment(0.0)} by golden, and judge it again in the promotion"
    )
    withdrawn = replace(refused, actor="ana", reason="it drifts")
    [*_, last] = promotion_detail(
        replace(FOUND, models=(replace(MODEL, refusal=withdrawn),))
    ).changes
    assert last == (
        "m: v2 would stay back, because it was withdrawn in prod by ana on "
        f"{moment(0.0)} (it drifts)"
    )


def test_a_sample_is_said_to_be_one() -> None:
    assert promotion_detail(replace(FOUND, sample=0.05)).worse == (
        "dev was computed from a sample of 5% of the source rows",
        "m: no evaluation scored both versions, so that it isn't known what gets worse",
    )
