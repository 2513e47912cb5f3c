from __future__ import annotations

from tidemill.testing.records import access_token


def test_a_token_opens_its_endpoints_or_all() -> None:
    assert access_token().opens("delays")
    assert not access_token().opens("demand")
    assert access_token(endpoints=()).opens("demand")


def test_a_token_expires() -> None:
    assert not access_token().has_expired(999.9)
    assert access_token().has_expired(1000.0)
