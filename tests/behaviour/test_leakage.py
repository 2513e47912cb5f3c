"""What a model can't know when it predicts is found in its training and its evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.behaviour.test_models import MODEL, Sea
from tests.support.tides import FIRST
from tidemill.core.errors import UsageError

LEAKY = MODEL.replace(
    "x = tm.Float64()", "x = tm.Float64()\n    seen = tm.Datetime()\n    due = tm.Datetime()"
)
LEAKY = LEAKY.replace(
    "day, id, x = Raw.day, Raw.id, Raw.x",
    "day, id, x, seen, due = Raw.day, Raw.id, Raw.x, Raw.seen, Raw.due",
)
LEAKY = LEAKY.replace('raw.select("day", "id", "x")', 'raw.select("day", "id", "x", "seen", "due")')
ROWS = 12


def leaky(root: Path, *, copies: bool = True, late: bool = False, offset: int = 0) -> Sea:
    """A sea of six days; `x` is a copy of the label, or constant."""
    sea = Sea(root, LEAKY)
    for number in range(6):
        y = [float(7 * number + n % 5) for n in range(ROWS)]
        sea.put(
            f"{number}.parquet",
            pl.DataFrame(
                {
                    "day": pl.Series([FIRST] * ROWS).dt.offset_by(f"{number}d"),
                    "id": [n + number * offset for n in range(ROWS)],
                    "x": y if copies else [1.0] * ROWS,
                    "y": y,
                    "seen": pl.Series([FIRST] * ROWS)
                    .cast(pl.Datetime("us"))
                    .dt.offset_by(f"{9 if late else 1}h"),
                    "due": pl.Series([FIRST] * ROWS).cast(pl.Datetime("us")).dt.offset_by("5h"),
                }
            ),
        )
    return sea


def declare(sea: Sea, text: str) -> None:
    sea.edit('output="y")', f'output="y", {text})')


def findings(sea: Sea, stage: str = "model") -> list[str]:
    """The rules of the findings that `show` would tell."""
    bound = sea.open().state().heads[stage].partitions.values()
    return [finding.rule for binding in bound for finding in binding.findings]


def test_a_copy_of_the_label_is_found_and_told(tmp_path: Path) -> None:
    sea = leaky(tmp_path)
    receipt = sea.run()
    assert receipt.exit_code == 0
    [message] = [text for text in receipt.messages if "alone predicts" in text]
    assert message.startswith("model: `x` alone predicts `y`: R2 1.0000; is it known before")
    assert findings(sea) == ["leakage.x"]


def test_a_finding_that_is_accepted_is_told_no_more(tmp_path: Path) -> None:
    sea = leaky(tmp_path)
    declare(sea, 'allow_leakage=["x"]')
    assert not any("alone predicts" in text for text in sea.run().messages)
    assert findings(sea) == []


def test_an_honest_model_has_no_finding(tmp_path: Path) -> None:
    sea = leaky(tmp_path, copies=False)
    declare(sea, 'as_of={"seen": "due"}')
    sea.run()
    assert findings(sea) == []


def test_features_that_are_newer_than_the_prediction_are_found(tmp_path: Path) -> None:
    sea = leaky(tmp_path, copies=False, late=True)
    declare(sea, 'as_of={"seen": "due"}')
    receipt = sea.run()
    assert findings(sea) == ["leakage.seen"]
    assert any(
        f"{4 * ROWS} rows of training had `seen` after `due`, such as 2024-03-01 09:00:00 after "
        "2024-03-01 05:00:00" in text
        for text in receipt.messages
    ), receipt.messages


def test_entities_on_both_sides_are_found(tmp_path: Path) -> None:
    sea = leaky(tmp_path, copies=False, offset=4)
    declare(sea, 'entity="id"')
    receipt = sea.run()
    # Training has the ids 0 to 23, the two later days have 16 to 31.
    assert set(findings(sea, "scores")) == {"leakage.id"}
    assert any(
        "scores: 50% of the values of `id` were in training, too" in m for m in receipt.messages
    )


def test_entities_apart_are_no_finding(tmp_path: Path) -> None:
    sea = leaky(tmp_path, copies=False, offset=100)
    declare(sea, 'entity="id"')
    sea.run()
    assert findings(sea, "scores") == []


BAD: list[tuple[str, str]] = [
    ('entity="customer"', "entity='customer' is in none of its inputs"),
    (
        'as_of={"sene": "due"}',
        "as_of names 'sene', which features doesn't have (did you mean 'seen'?)",
    ),
    ('allow_leakage=["xx"]', "allow_leakage names 'xx', which isn't there"),
]


@pytest.mark.parametrize(("text", "says"), BAD)
def test_a_name_that_is_not_there_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    sea = leaky(tmp_path)
    declare(sea, text)
    receipt: Any = sea.run()
    assert receipt.exit_code == 1
    assert says in receipt.messages[0]
    with pytest.raises(UsageError):
        sea.open().models.artifact("model")
