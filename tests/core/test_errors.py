"""One tree, one exit code a class, and messages that say what to do."""

from __future__ import annotations

import inspect

import pytest

from tidemill.core import errors
from tidemill.core.errors import (
    AccessError,
    AttestationError,
    BudgetError,
    ConflictError,
    ContractError,
    DamagedObjectError,
    DeclarationError,
    Fault,
    GateError,
    OvertakenError,
    RefusedError,
    SendError,
    SourceError,
    StepError,
    StorageError,
    TidemillError,
    UnknownNameError,
    UnknownTokenError,
    UsageError,
    describe_error,
    did_you_mean,
    exit_severity,
)

CODES: dict[type[TidemillError], int] = {
    TidemillError: 1, StepError: 1, SourceError: 1, StorageError: 1, DamagedObjectError: 1,
    OvertakenError: 1, SendError: 1, RefusedError: 1, AttestationError: 1, UsageError: 2,
    UnknownNameError: 2, ContractError: 3, DeclarationError: 3, GateError: 4, BudgetError: 5,
    ConflictError: 6, AccessError: 7, UnknownTokenError: 7,
}  # fmt: skip


def test_exit_codes() -> None:
    assert {kind: kind.exit_code for kind in CODES} == CODES


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    kinds = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]
    assert set(kinds) == set(CODES)
    assert all(issubclass(kind, TidemillError) for kind in kinds)
    lines = (errors.__doc__ or "").splitlines()
    drawn = [line.partition("── ")[2].split()[0] for line in lines if "── " in line]
    assert set(drawn) == {kind.__name__ for kind in kinds} - {"TidemillError"}


def test_all_faults_are_in_one_message() -> None:
    one = Fault(message="stage 'a' has no inputs", where="flow.py:3", hint="name one")
    two = Fault(message="it has no stages")
    error = DeclarationError("workflow 'tides'", [one, two])
    assert str(error) == (
        "workflow 'tides' has 2 faults:\n"
        "  flow.py:3: stage 'a' has no inputs (name one)\n"
        "  it has no stages"
    )
    assert (error.subject, error.faults) == ("workflow 'tides'", (one, two))
    assert str(DeclarationError("it", [two])).startswith("it has 1 fault:")


def test_an_error_of_a_step_knows_where() -> None:
    error = StepError("it broke", stage="features", partition="2013-03-07")
    assert (str(error), error.stage, error.partition, error.trace) == (
        "it broke", "features", "2013-03-07", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("flihgts", ["flights", "weather"], "did you mean 'flights'?"),
        ("zzz", ["weather", "flights"], "there is: flights, weather"),
        ("zzz", [], "there are none"),
        ("zzz", [f"s{n:02}" for n in range(13)],
         "there is: s00, s01, s02, s03, s04, s05, s06, s07, s08, s09, s10, s11, ..."),
        ("zzz", [f"s{n:02}" for n in range(12)],
         "there is: s00, s01, s02, s03, s04, s05, s06, s07, s08, s09, s10, s11"),
    ],
)  # fmt: skip
def test_did_you_mean(name: str, known: list[str], advice: str) -> None:
    assert did_you_mean(name, known) == advice
    is_near = advice.startswith("did") or not known
    assert did_you_mean(name, known, "name a stage") == (advice if is_near else "name a stage")


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("shop"), "KeyError: 'shop'"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("\udcff"), r"ValueError: \udcff"),
        (Mute(), "Mute: (its message can't be shown: ZeroDivisionError)"),
        (ValueError("a" * 20_000), f"ValueError: {'a' * 4_988}\n[...]\n{'a' * 5_000}"),
    ],
)
def test_errors_of_users_are_told_in_text_that_can_be_recorded(
    error: BaseException, said: str
) -> None:
    assert describe_error(error) == said


PLANS = [
    (
        'unable to find column "cod"; valid columns: ["day"]\n\nResolved plan until failure:\n\n\t---> FAILED'
        " HERE RESOLVING 'select' <---\nParquet SCAN [/data/2024-01-01.parquet]\n",
        'unable to find column "cod"; valid columns: ["day"]',
    ),
    (
        'conversion from `str` to `i64` failed: ["x0y"]\n\nThis error occurred in the following expression:'
        '\n\tcol("code").strict_cast(Int64)\n\nThis error occurred with the following context stack:\n\t[1]',
        'conversion from `str` to `i64` failed: ["x0y"]; in col("code").strict_cast(Int64)',
    ),
    ("it has no plan\nand two lines", "it has no plan\nand two lines"),
]


@pytest.mark.parametrize(("text", "short"), PLANS)
def test_errors_are_described_without_query_plans(text: str, short: str) -> None:
    assert describe_error(ValueError(text)) == f"ValueError: {short}"


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([0, 0], 0),
        ([0, 4], 4),
        ([4, 3], 3),  # broken data must not look as if only people were asked
        ([5, 4, 0], 5),
        ([5, 3], 3),
        ([3, 1, 4], 1),
    ],
)
def test_failed_work_is_worse_than_what_people_decide(codes: list[int], worst: int) -> None:
    assert max(codes, key=exit_severity) == worst
