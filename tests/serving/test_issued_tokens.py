"""The tokens of an environment follow from events."""

from __future__ import annotations

from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped, Event, RecordedEvent
from tidemill.serving.issued_tokens import issued_tokens
from tidemill.testing.records import access_token, token_created_event, token_revoked_event

ONE, TWO = access_token("1" * 10), access_token("2" * 10)


def facts(*events: Event, since: int = 0) -> list[RecordedEvent]:
    return [
        RecordedEvent(seq=seq, at=10.0 * seq, event=event)
        for seq, event in enumerate(events, 1 + since)
    ]


def test_tokens_are_created_and_revoked() -> None:
    found = issued_tokens(
        facts(token_created_event(ONE), token_created_event(TWO), token_revoked_event(ONE.id)),
        "prod",
    )
    assert [found[key].token for key in (ONE.id, TWO.id)] == [ONE, TWO]
    assert (found[ONE.id].at, found[ONE.id].revoked) == (10.0, 30.0)
    assert (found[ONE.id].revoked_by, found[ONE.id].reason) == ("ana", "left the team")
    assert [each.is_valid(500.0) for each in found.values()] == [False, True]
    assert [each.is_valid(1000.0) for each in found.values()] == [False, False]


def test_the_first_revocation_counts_and_unknown_ones_do_nothing() -> None:
    found = issued_tokens(
        facts(
            token_revoked_event(ONE.id),
            token_created_event(ONE),
            token_revoked_event(ONE.id),
            token_revoked_event(ONE.id),
        ),
        "prod",
    )
    assert found[ONE.id].revoked == 30.0


def test_no_other_token_takes_the_place_of_one_with_its_id() -> None:
    other = access_token(ONE.id, content="other")
    found = issued_tokens(
        facts(token_created_event(ONE), token_revoked_event(ONE.id), token_created_event(other)),
        "prod",
    )
    assert found[ONE.id].token.digest == ONE.digest
    assert found[ONE.id].revoked is not None


def test_tokens_end_with_their_environment() -> None:
    dropped: list[Event] = [
        token_created_event(ONE, environment="dev"),
        EnvironmentDropped(environment="dev"),
        EnvironmentCreated(environment="dev"),
        token_created_event(TWO, environment="dev"),
    ]
    assert set(issued_tokens(facts(*dropped), "dev")) == {TWO.id}
    assert issued_tokens(facts(*dropped), "prod") == {}
