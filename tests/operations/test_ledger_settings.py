import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.ledger_settings import parse_ledger_settings


def test_when_events_are_compacted() -> None:
    assert parse_ledger_settings({}, "here]").compact_after_s == 14 * 86_400
    assert parse_ledger_settings({"compact_after": "90d"}, "here]").compact_after_s == 90 * 86_400


@pytest.mark.parametrize("value", ["14", "0d", "2w", 14, "", "-1d", "100000d", None])
def test_a_time_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"here\] compact_after = .* is not a number of days"):
        parse_ledger_settings({"compact_after": value}, "here]")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(UsageError, match=r"here\] compact_afer: did you mean .?compact_after"):
        parse_ledger_settings({"compact_afer": "14d"}, "here]")
