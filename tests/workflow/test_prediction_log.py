"""What is logged of an endpoint's requests, and the contract of the log."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import spec_of
from tidemill.core.errors import DeclarationError
from tidemill.core.partition import Grain, Span
from tidemill.workflow.prediction_log import OWN_COLUMNS, RequestLog, log_faults


class Loans(tm.Contract, version="2.1.0", key=("day", "loan")):
    day = tm.Date(partition="1d")
    loan = tm.Int64(min=1, unit="number")
    email = tm.String(pii="email")
    purpose = tm.Enum(["car", "house"])
    amount = tm.Float64(min=0)
    repaid = tm.Bool(role="label")

    small = tm.rule(pl.col("amount") < 1e6)


def test_a_setting() -> None:
    found = tm.log(
        0.05,
        carry="loan",
        pii="hash",
        partition="1h",
        zone="Europe/Berlin",
        period="5m",
        keep="12w",
    )
    assert found == RequestLog(
        share=0.05,
        carry=("loan",),
        personal="hash",
        grain=Grain.HOUR,
        zone="Europe/Berlin",
        period_s=300.0,
        keep=Span(count=12, unit="w"),
    )
    assert tm.log() == RequestLog()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"share": 0}, "share=0 is not above 0 and at most 1"),
        ({"share": 5}, "share=5 is not above 0 and at most 1"),
        ({"share": True}, "share=True is not above 0"),
        ({"pii": "keep"}, "pii='keep' is neither 'drop' nor 'hash'"),
        ({"partition": "1w"}, "partition='1w' is neither '1h' nor '1d'"),
        ({"zone": "Mars/Olympus"}, "zone='Mars/Olympus' is not the name of a time zone"),
        ({"zone": "../x"}, "zone='../x' is not the name of a time zone"),
        ({"folder": ""}, "folder='' is not the path of a folder"),
        ({"period": "soon"}, "period='soon' is not a duration"),
        ({"keep": "soon"}, "keep='soon' is not a length of time such as '90d', '12w' or '3mo'"),
        ({"keep": 90}, "keep=90 is not a length of time"),
        (
            {"keep": "23h"},
            "keep='23h' is less than a day: files of the last hours may be written now",
        ),
        ({"period": "1d"}, "period='1d' is not between 1 second and 1 hour"),
    ],
)
def test_a_wrong_setting_is_refused_where_it_is_declared(options: Any, says: str) -> None:
    with pytest.raises(DeclarationError) as failure:
        tm.log(**options)
    assert says in str(failure.value)
    assert "test_prediction_log.py:" in str(failure.value)


def test_the_contract_of_a_log() -> None:
    found = tm.prediction_log(Loans)
    spec = spec_of(found)
    assert spec.title == "LoansLog 2.1.0"
    assert spec.names == (*OWN_COLUMNS, "day", "loan", "purpose", "amount", "prediction")
    assert spec.key == ("log_id", "log_row")
    assert (spec.partitioning.column, spec.partitioning.grain) == ("log_time", Grain.DAY)
    # A next version of the model, and of the contract, may have other bounds and columns.
    loan = spec.column("loan")
    assert (loan.nullable, loan.optional, loan.min, loan.unit) == (True, True, None, "number")
    assert spec.rules == ()
    assert spec.place.startswith("test_prediction_log.py:")


def test_personal_data_that_is_hashed_is_text() -> None:
    spec = spec_of(tm.prediction_log(Loans, tm.log(pii="hash")))
    assert (spec.column("email").dtype.name, spec.column("email").pii) == ("String", "email")


def test_a_log_may_be_partitioned_by_a_column_of_requests() -> None:
    spec = spec_of(tm.prediction_log(Loans, by="day"))
    assert spec.partitioning.column == "day"
    assert not spec.column("day").optional


def test_classes_have_probabilities() -> None:
    spec = spec_of(tm.prediction_log(Loans, classes=["a", "b", "c"]))
    assert spec.names[-4:] == ("prediction", "probability_a", "probability_b", "probability_c")
    assert spec.column("prediction").dtype.name == "String"
    # The answer for two classes is a probability.
    assert (
        spec_of(tm.prediction_log(Loans, classes=[0, 1])).column("prediction").dtype.name
        == "Float64"
    )


def test_a_subclass_adds_rules() -> None:
    class Requests(tm.prediction_log(Loans), version="1.0.0", key=("log_id", "log_row")):  # type: ignore[misc, call-arg]
        drift = tm.DriftAlarm(reference="30d")

    assert spec_of(Requests).title == "Requests 1.0.0"
    assert len(spec_of(Requests).drift_alarms) == 1


def test_a_log_by_a_column_that_is_no_partition_is_refused() -> None:
    with pytest.raises(
        DeclarationError, match="by='loan' is no column of Loans that partitions it"
    ):
        tm.prediction_log(Loans, by="loan")


class Stacked(tm.Contract):
    prediction = tm.Float64()
    log_time = tm.Int64()


def test_columns_with_names_of_the_log_are_refused() -> None:
    with pytest.raises(DeclarationError) as failure:
        tm.prediction_log(Stacked)
    assert "column 'prediction' has the name of a column of the log" in str(failure.value)
    assert "column 'log_time' has the name of a column of the log" in str(failure.value)


def test_carried_columns_are_columns_of_the_input() -> None:
    setting = tm.log(carry=["loan", "lone", "email"])
    found = [message for message, _ in log_faults(setting, [spec_of(Loans)])]
    assert found == [
        ": log: carry='lone' is no column of its input",
        ": log: carry='email' holds personal data (email), which is left out",
    ]
    assert [*log_faults(tm.log(carry="email", pii="hash"), [spec_of(Loans)])] == []
    [first, _] = log_faults(tm.log(), [spec_of(Stacked)])
    assert first[0] == ": log: column 'prediction' has the name of a column of the log; rename it"
