"""What every adapter of a seam promises, as test classes.

Subclass a suite in a test module and give it the fixture that it names (`ledger`, `artifacts`,
`claimant`): an empty adapter, made anew for each test, or a function that makes one more holder of
claims. Nothing but pytest is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from tidemill.core.errors import StorageError
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.reuse import Claims
from tidemill.testing import records as samples
from tidemill.testing.suites.ledger import LedgerSuite

__all__ = ["ArtifactsSuite", "ClaimsSuite", "LedgerSuite"]


class ArtifactsSuite:
    """Every promise of a store of objects; the fixture `artifacts` gives an empty one."""

    def test_bytes_come_back_under_their_name(self, artifacts: Artifacts) -> None:
        name = artifacts.put(b"one", ".parquet")
        assert name == hashlib.sha256(b"one").hexdigest() + ".parquet"
        assert artifacts.get(name) == b"one"
        assert artifacts.put(b"one", ".parquet") == name
        assert list(artifacts.names()) == [name]

    def test_several_are_stored_at_once(self, artifacts: Artifacts) -> None:
        artifacts.put(b"one", ".parquet")
        objects = [(b"two", ".txt"), (b"one", ".parquet"), (b"two", ".txt"), (b"", ".txt")]
        names = artifacts.put_all(objects)
        assert list(names) == [artifacts.put(payload, suffix) for payload, suffix in objects]
        assert [artifacts.get(name) for name in names] == [payload for payload, _ in objects]
        assert set(artifacts.names()) == set(names)
        assert list(artifacts.put_all([])) == []

    def test_a_suffix_is_part_of_the_name(self, artifacts: Artifacts) -> None:
        names = {artifacts.put(b"", suffix) for suffix in (".parquet", ".txt", "")}
        assert len(names) == 3
        assert set(artifacts.names()) == names
        assert [artifacts.get(name) for name in names] == [b""] * 3

    def test_the_uri_is_a_file_that_holds_the_bytes(self, artifacts: Artifacts) -> None:
        path = Path(artifacts.uri(artifacts.put(b"one", ".parquet")))
        assert path.is_absolute()
        assert path.suffix == ".parquet"
        assert path.read_bytes() == b"one"

    def test_what_is_missing_is_named(self, artifacts: Artifacts) -> None:
        here, gone = artifacts.put(b"one", ".parquet"), samples.object_name("gone")
        assert list(artifacts.missing([gone, here])) == [gone]
        assert list(artifacts.missing([])) == []
        with pytest.raises(StorageError, match=f"{gone}.*run again"):
            artifacts.get(gone)

    def test_removing_frees_bytes(self, artifacts: Artifacts) -> None:
        names = [artifacts.put(payload, ".txt") for payload in (b"one", b"four")]
        path = Path(artifacts.uri(names[0]))
        assert path.exists()
        assert artifacts.remove([*names, samples.object_name("gone")]) == 7
        assert artifacts.remove(names) == 0
        assert list(artifacts.names()) == []
        assert not path.exists()
        assert artifacts.put(b"one", ".txt") == names[0]
        assert artifacts.get(names[0]) == b"one"

    def test_threads_that_store_the_same_agree(self, artifacts: Artifacts) -> None:
        payloads = [bytes([number]) * 10_000 for number in range(5)]
        stored: list[str] = []

        def work() -> None:
            stored.extend(artifacts.put(payload, ".bin") for payload in payloads * 3)
            stored.extend(artifacts.put_all([(payload, ".bin") for payload in payloads * 2]))

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stored) == 100
        assert set(stored) == set(artifacts.names())
        assert sorted(artifacts.get(name) for name in set(stored)) == payloads


class ClaimsSuite:
    """Every promise of claims; the fixture `claimant` makes holders that share them."""

    # The first two may exclude each other: an adapter may keep keys that begin alike in one place.
    KEYS = tuple(digits.ljust(32, "0") for digits in ("abc1", "abc2", "0123", "fff"))

    def test_a_key_has_one_holder(self, claimant: Callable[[], Claims]) -> None:
        one, other = claimant(), claimant()
        assert one.take(self.KEYS[0])
        assert not other.take(self.KEYS[0])
        one.give(self.KEYS[0])
        assert other.take(self.KEYS[0])
        assert not one.take(self.KEYS[0])

    def test_taking_again_changes_nothing(self, claimant: Callable[[], Claims]) -> None:
        one, other = claimant(), claimant()
        assert [one.take(self.KEYS[0]) for _ in range(3)] == [True] * 3
        assert one.wait(self.KEYS[0], 0.0)
        one.give(self.KEYS[0])
        assert other.take(self.KEYS[0])

    def test_keys_that_begin_differently_are_free_of_each_other(
        self, claimant: Callable[[], Claims]
    ) -> None:
        one, two, three = claimant(), claimant(), claimant()
        assert one.take(self.KEYS[1])
        assert two.take(self.KEYS[2])
        assert three.take(self.KEYS[3])

    def test_keys_that_begin_alike_are_given_one_by_one(
        self, claimant: Callable[[], Claims]
    ) -> None:
        one, other = claimant(), claimant()
        assert one.take(self.KEYS[0])
        assert one.take(self.KEYS[1])
        one.give(self.KEYS[0])
        assert not other.take(self.KEYS[1])
        one.give(self.KEYS[1])
        assert other.take(self.KEYS[0])
        assert other.take(self.KEYS[1])

    def test_what_is_not_ours_is_not_given(self, claimant: Callable[[], Claims]) -> None:
        one, other = claimant(), claimant()
        other.give(self.KEYS[0])
        assert one.take(self.KEYS[0])
        other.give(self.KEYS[0])
        assert not other.take(self.KEYS[0])
        one.give(self.KEYS[0])
        one.give(self.KEYS[0])
        assert other.take(self.KEYS[0])

    def test_waiting_for_what_is_free_takes_it(self, claimant: Callable[[], Claims]) -> None:
        one, other = claimant(), claimant()
        assert one.wait(self.KEYS[0], 0.0)
        assert not other.take(self.KEYS[0])

    def test_waiting_ends(self, claimant: Callable[[], Claims]) -> None:
        one, other = claimant(), claimant()
        assert one.take(self.KEYS[0])
        assert not other.wait(self.KEYS[0], 0.02)
        assert not other.wait(self.KEYS[0], 0.0)

    def test_the_one_that_waits_gets_what_is_given(self, claimant: Callable[[], Claims]) -> None:
        one, other = claimant(), claimant()
        assert one.take(self.KEYS[0])
        got: list[bool] = []
        thread = Thread(target=lambda: got.append(other.wait(self.KEYS[0], 60.0)))
        thread.start()
        one.give(self.KEYS[0])
        thread.join()
        assert got == [True]
        assert not one.take(self.KEYS[0])

    def test_threads_never_hold_a_key_together(self, claimant: Callable[[], Claims]) -> None:
        busy: list[str] = []
        met: list[str] = []

        def work(claims: Claims) -> None:
            for key in self.KEYS * 10:
                assert claims.wait(key, 60.0)
                met.extend(other for other in busy if other == key)
                busy.append(key)
                busy.remove(key)
                claims.give(key)

        threads = [Thread(target=work, args=(claimant(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert met == []
        assert [claimant().take(key) for key in self.KEYS[1:]] == [True] * 3
