from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.models.test_card_front_matter import HOSTILE, label, version
from tests.support.svg import checked
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.ledger.delivery import Decision
from tidemill.ledger.model_version import Evaluation, ModelVersion, TrainingCost
from tidemill.models.card import model_card
from tidemill.models.input_compatibility import inputs_as_json
from tidemill.workflow.gate import Daily, GateResult, Goal, Scores, Slice, Threshold
from tidemill.workflow.model import ColumnEncoding


def reads(*columns: Column) -> str:
    spec = ContractSpec(name="Features", version="1.2.0", columns=columns)
    return inputs_as_json(
        Reads(contract=spec, columns=tuple(c.name for c in columns), guarantees=None)
    )


INPUTS = reads(
    Column(name="hour", dtype=DType("Int64"), min=0, unit="h"),
    Column(name="carrier", dtype=DType("String"), nullable=True),
)
CARRIER = ColumnEncoding(name="carrier", kind="category", categories=("AA", "UA"))


def scored(days: int = 20, slices: int = 2) -> Scores:
    names = tuple(f"2026-01-{day:02}" for day in range(1, days + 1))
    daily = Daily(
        days=names, rows=(10,) * days, metrics={"mae": tuple(float(n % 3) for n in range(days))}
    )
    return Scores(
        rows=10 * days,
        metrics={"mae": 1.0},
        by="carrier",
        slices=tuple(
            Slice(value=f"c{n:02}", rows=100 + n, metrics={"mae": 1.0}, daily=daily if n else None)
            for n in range(slices)
        ),
        daily=daily,
        goals={"mae": Goal.HIGH},
        curves={"roc": {"false_positive_rate": (0.0, 1.0), "true_positive_rate": (0.6, 1.0)}},
    )


def evaluated(scores: Scores, stage: str = "delay_scores") -> Evaluation:
    return Evaluation(stage=stage, scores=scores, run="run-2", at=86_400.0, rows_read="")


def whole(**changes: Any) -> ModelVersion:
    """A version of which everything is recorded."""
    results = (
        GateResult(gate="beats_live(mae)", passed=True, evidence="1 against 2 of live"),
        GateResult(gate="beats_baseline(mae)", passed=False, evidence="a|b"),
    )
    decisions = (
        Decision(subject="s", artifact="abc", approved=True, results=results, actor="gates", at=5.0),
        Decision(subject="s", artifact="abc", approved=False, results=results, actor="gates", at=6.0),
        Decision(subject="s", artifact="abc", approved=False, results=(), actor="ana", at=7.0, reason="slow"),
    )  # fmt: skip
    found = version(
        label=label("Float64"),
        reads=INPUTS,
        encodings=(CARRIER,),
        classes='["no", "yes"]',
        export_difference=1e-9,
        packages={"python": "3.11.7", "lightgbm": "4.7.0"},
        hardware={"cpu": "X", "memory": "1073741824"},
    )
    cost = TrainingCost(attempts=1, wall_s=2.5, cpu_s=4.0, peak_rss=1_000_000, rows=24)
    known = replace(
        found,
        decisions=decisions,
        cost=cost,
        evaluations=(evaluated(scored()),),
        columns={"features": ("hour", "carrier")},
    )
    return replace(known, **changes)


def test_a_card_has_what_is_recorded() -> None:
    card = model_card(whole(), workflow="flights", owner="ops", price="0.02 USD")
    for fact in (
        "# delay_model `abc`",
        "Part of the workflow flights, owned by ops.",
        "State: live. Trained 1970-01-01 00:00:01 UTC by run `run-1`.",
        "| classes | `no`, `yes` |",
        "| seed | 7 |",
        "trained one | 1e-09 |",
        "Contract Features 1.2.0",
        "| `hour` | Int64 | h | never null; >= 0 | - |",
        "| `carrier` | String | - | - | category, 2 known |",
        "| `features` | 1\\.0.0 | 2013-03-06 .. 2013-03-07 (2) | `hour`, `carrier` |",
        "200 rows of 20 days, by run `run-2` 1970-01-02 00:00:00 UTC.",
        "Approved by gates 1970-01-01 00:00:05 UTC.",
        "Refused by gates",
        "Withdrawn by ana 1970-01-01 00:00:07 UTC: slow.",
        "| `beats_baseline(mae)` | failed | a\\|b |",
        "| memory | 1,073,741,824 bytes |",
        "| packages | python 3.11.7, lightgbm 4.7.0 |",
        "| CPU time | 4 s |",
        "| peak memory | 1,000,000 bytes |",
        "| price | 0\\.02 USD |",
        "Not recorded: license, intended use, ethical considerations.",
    ):
        assert fact in card.markdown, fact
    assert card.pictures == {}
    assert "![" not in card.markdown


def test_metrics_have_their_interval_or_the_reason_why_not() -> None:
    text = model_card(whole()).markdown
    assert re.search(r"\| `mae` \| 1 \| 0\.\d+ to 1\.\d+ \| high \|", text)
    assert "| c00 | 100 | 1 |" in text
    assert re.search(r"\| c01 \| 101 \| 1 \(0\.\d+ to 1\.\d+\) \|", text)
    few = model_card(whole(evaluations=(evaluated(scored(days=5)),))).markdown
    assert "too few days (5 of at least 14)" in few
    plain = Scores(rows=3, metrics={"mae": 2.0, "auc": float("nan")})
    none = model_card(whole(evaluations=(evaluated(plain),))).markdown
    assert "| `mae` | 2 | days not recorded | low |" in none
    assert "| `auc` | not a finite number | days not recorded | low |" in none
    other = replace(scored(), metrics={"rmse": 1.0}, slices=())
    assert "can't be told" in model_card(whole(evaluations=(evaluated(other),))).markdown


def test_the_threshold_that_a_metric_judges() -> None:
    chosen = Threshold(value=0.25, days=("2026-01-01", "2026-01-04"), metric="f1", score=0.5)
    text = model_card(
        whole(evaluations=(evaluated(replace(scored(), thresholds={"mae": chosen})),))
    ).markdown
    assert (
        r"`mae` judges the threshold 0\.25, chosen by f1 (0.5 on 2026-01-01 to 2026-01-04)." in text
    )


def test_the_largest_of_many_slices() -> None:
    text = model_card(whole(evaluations=(evaluated(scored(slices=30)),))).markdown
    assert "By `carrier`; the 20 largest of 30:" in text
    assert "| c09 |" not in text
    assert "| c10 |" in text


@pytest.mark.parametrize(
    ("anchor", "end"),
    [("2013-03-07", ", up to 2013-03-07."), ("all", "."), ("", ".")],
)
def test_training_ends_with_the_newest_partition_by_time(anchor: str, end: str) -> None:
    text = model_card(replace(version(anchor=anchor), evaluations=())).markdown
    assert re.search(rf"^\d+ rows{re.escape(end)}$", text, re.MULTILINE)


def test_what_is_missing_is_said() -> None:
    bare = replace(version(seed=None, anchor=""), evaluations=())
    text = model_card(bare).markdown
    assert "Reads `hour`, `wind`." in text
    assert "| seed | none |" in text
    assert "This version wasn't evaluated." in text
    assert "No gate or person decided on this version." in text
    assert "Nothing is recorded." in text
    missing = text.splitlines()[-1]
    for fact in ("the contract of the inputs", "scores", "decisions of gates", "the machine",
                 "package versions", "cost of the training"):  # fmt: skip
        assert fact in missing
    assert "Part of" not in text


def test_pictures_are_files_beside_the_card() -> None:
    plain = evaluated(Scores(rows=1, metrics={"mae": float("nan")}), "other")
    card = model_card(whole(evaluations=(evaluated(scored()), plain)), pictured=True)
    assert list(card.pictures) == [f"evaluation-1-{n}.svg" for n in (1, 2, 3)]
    for name, svg in card.pictures.items():
        checked(svg)
        assert f"]({name})" in card.markdown
    assert "![delay_scores: mae by day](evaluation-1-1.svg)" in card.markdown


def test_hostile_names_stay_text() -> None:
    bad = "<script>alert(1)</script>|`x` [a](javascript:b) " + HOSTILE
    scores = replace(
        scored(), by=bad, metrics={bad: 1.0}, slices=(Slice(value=bad, rows=1, metrics={bad: 1.0}),)
    )
    found = whole(
        evaluations=(evaluated(scores, bad),),
        run=bad,
        artifact=replace(whole().artifact, stage=bad, output=bad, params=bad, format=bad),
    )
    text = model_card(found, workflow=bad, owner=bad, pictured=True).markdown
    _, _, body = text.partition("\n---\n")
    # Outside of code, nothing begins an element or a link.
    prose = re.sub(r"(`+)(?: .*? |[^`]*?)\1(?!`)", "", body)
    assert not re.search(r"(?<!\\)<", prose)
    assert not re.search(r"(?<!\\)\]\((?!evaluation-)", prose)
    headers = [line for line in body.splitlines() if line.startswith("|")]
    assert headers
    tables = re.findall(r"(?m)(?:^\|.*\n)+", body)
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


@pytest.mark.parametrize("memory", ["lots", ""])
def test_memory_that_is_no_number(memory: str) -> None:
    artifact = replace(whole().artifact, hardware={"memory": memory})
    assert f"| memory | {memory} |" in model_card(whole(artifact=artifact)).markdown
