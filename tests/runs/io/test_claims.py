"""Claimed keys: each is given back exactly once, however the step and the run end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidemill.ledger.run import Attempt, Outcome
from tidemill.runs.io import claims as module
from tidemill.runs.io.claims import ClaimSet
from tidemill.testing.doubles import MemoryClaims


def attempt(outcome: Outcome) -> Attempt:
    return Attempt(stage="raw", partition="1", action="run", outcome=outcome)


class TestClaimed:
    @pytest.mark.parametrize(
        ("what", "kept"),
        [
            (attempt(Outcome.OK), True),
            (attempt(Outcome.BOUND), False),
            (attempt(Outcome.FAILED), False),
            (attempt(Outcome.SKIPPED), False),
            (None, False),
        ],
    )
    def test_a_key_is_kept_only_for_what_is_to_be_published(
        self, what: Attempt | None, kept: bool
    ) -> None:
        claims = MemoryClaims()
        other = MemoryClaims(claims)
        claimed = ClaimSet(claims)
        assert claimed.take("key")
        assert claimed.pass_on("key", what) == ("key" if kept else "")
        assert other.take("key") is not kept
        # The step after it claimed nothing.
        assert claimed.pass_on("key", attempt(Outcome.OK)) == ""
        if kept:
            claimed.release("key")
            assert other.take("key")

    def test_what_another_has_is_not_ours_to_give(self) -> None:
        claims = MemoryClaims()
        other = MemoryClaims(claims)
        claimed = ClaimSet(claims)
        assert other.take("key")
        assert not claimed.take("key")
        assert claimed.pass_on("key", attempt(Outcome.OK)) == ""
        claimed.release_all()
        assert not MemoryClaims(claims).take("key")

    @pytest.mark.parametrize("way", [ClaimSet.take, ClaimSet.wait], ids=["take", "wait"])
    def test_all_is_given_though_taking_was_interrupted(
        self, way: Callable[[ClaimSet, str], object]
    ) -> None:
        class Interrupted(MemoryClaims):
            def take(self, key: str) -> bool:
                super().take(key)
                raise KeyboardInterrupt

            def wait(self, key: str, timeout_s: float) -> bool:
                return self.take(key)

        claims = Interrupted()
        claimed = ClaimSet(claims)
        with pytest.raises(KeyboardInterrupt):
            way(claimed, "key")
        claimed.release_all()
        assert MemoryClaims(claims).take("key")

    def test_what_was_waited_for_is_given_like_what_was_taken(self) -> None:
        claims = MemoryClaims()
        claimed = ClaimSet(claims)
        claimed.wait("key")
        assert not MemoryClaims(claims).take("key")
        assert claimed.pass_on("key", None) == ""
        assert MemoryClaims(claims).take("key")

    def test_a_holder_that_never_moves_is_not_waited_for_without_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
        monkeypatch.setattr(module, "GIVEN_UP_S", 0.02)
        claims = MemoryClaims()
        asleep = MemoryClaims(claims)
        claimed = ClaimSet(claims)
        assert asleep.take("key")
        taken = []
        for _ in range(3):
            taken.append(claimed.take("key"))
            claimed.wait("key")
        assert taken == [False, False, True]
        # It is still not ours to give.
        claimed.release_all()
        assert not MemoryClaims(claims).take("key")
