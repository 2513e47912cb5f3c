"""What an environment may be called."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.workflow.environment import PRODUCTION, Environment, check_environment_name


@pytest.mark.parametrize("name", [PRODUCTION, "dev-ana", "_", "7", "v1.2", "a" * 64, "A..b"])
def test_names(name: str) -> None:
    assert check_environment_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "x/y", "x\\y", ".x", "-x", " ", "a b", "a\n", "a\0", "café", "a" * 65],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(
        UsageError, match="is not a valid name of an environment: use 1 to 64"
    ) as caught:
        check_environment_name(name)
    assert str(caught.value).startswith(repr(name))


def test_a_name_that_is_far_too_long_is_cut() -> None:
    with pytest.raises(UsageError, match=r"^'a{40}'\.\.\. \(300 characters\) is not a valid name"):
        check_environment_name("a" * 300)


def test_one_expires_when_its_time_is_over() -> None:
    assert not Environment(name="dev").has_expired(1e12)
    assert [Environment(name="dev", expires=5.0).has_expired(now) for now in (4.9, 5.0, 6.0)] == [
        False, True, True,
    ]  # fmt: skip
