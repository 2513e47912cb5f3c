"""The command that asks people once more is the one by which the change was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.core.partition import WHOLE
from tidemill.governance.again_command import again_command
from tidemill.governance.review_state import ReviewSubject
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import HeldRows

MODEL = ReviewSubject(kind=SubjectKind.DELIVERY, name="model", subject="s", artifact="a1")
ROWS = HeldRows(partition="2024-03-01", object="o", rows=(0, 3, 4))
RELEASE = ReviewSubject(kind=SubjectKind.RELEASE, name="raw", subject="s", held=ROWS)


def test_a_run_asks_about_models_tables_and_contracts() -> None:
    assert again_command(MODEL, "prod") == "tidemill run model --again"
    assert again_command(MODEL, "prod", again=False) == "tidemill run model"
    assert again_command(MODEL, "my dev") == "tidemill run model --again --env 'my dev'"


def test_a_promotion_asks_about_all_of_it() -> None:
    assert again_command(MODEL, "prod", "dev") == "tidemill promote dev --again"
    assert again_command(MODEL, "stage", "dev") == "tidemill promote dev stage --again"


def test_a_restore_asks_about_the_run() -> None:
    change = ReviewSubject(kind=SubjectKind.TABLE, name="sent", subject="s", as_of="r-1")
    assert again_command(change, "prod") == "tidemill restore sent r-1 --again"


@pytest.mark.parametrize(
    ("held", "which"),
    [
        (ROWS, "raw 2024-03-01 --rows 0,3-4"),
        (replace(ROWS, rows=()), "raw 2024-03-01 --all"),
        (replace(ROWS, rows=tuple(range(0, 40, 2))), "raw 2024-03-01 --rows ROWS"),
        (replace(ROWS, fixed="f"), "raw 2024-03-01 --fixed FILE"),
        (replace(ROWS, partition="a b"), "raw 'a b' --rows 0,3-4"),
        (replace(ROWS, partition=WHOLE), "raw --rows 0,3-4"),
    ],
)
def test_a_release_asks_about_the_rows(held: HeldRows, which: str) -> None:
    command = again_command(replace(RELEASE, held=held), "prod")
    assert command == f'tidemill quarantine release {which} --again --reason "WHY"'
