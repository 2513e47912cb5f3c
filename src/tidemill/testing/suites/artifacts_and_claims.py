"""Conformance suites for object stores and claims.

Subclass a suite in a test module and define the fixture it names: `ledger` or `artifacts` is a fresh,
empty adapter for each test; `new_claims` is a function that creates another holder of claims. Only pytest
is needed.
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


def put(artifacts: Artifacts, payload: bytes, suffix: str) -> str:
    """Store one object and return its name."""
    return artifacts.put_all([(payload, suffix)])[0]


class ArtifactsSuite:
    """Conformance tests for an object store; the fixture `artifacts` is an empty one."""

    def test_bytes_come_back_under_their_name(self, artifacts: Artifacts) -> None:
        name = put(artifacts, b"one", ".parquet")
        assert name == hashlib.sha256(b"one").hexdigest() + ".parquet"
        assert artifacts.get(name) == b"one"
        assert put(artifacts, b"one", ".parquet") == name
        assert list(artifacts.names()) == [name]

    def test_several_are_stored_at_once(self, artifacts: Artifacts) -> None:
        put(artifacts, b"one", ".parquet")
        objects = [(b"two", ".txt"), (b"one", ".parquet"), (b"two", ".txt"), (b"", ".txt")]
        names = artifacts.put_all(objects)
        assert list(names) == [put(artifacts, payload, suffix) for payload, suffix in objects]
        assert [artifacts.get(name) for name in names] == [payload for payload, _ in objects]
        assert set(artifacts.names()) == set(names)
        assert list(artifacts.put_all([])) == []

    def test_a_suffix_is_part_of_the_name(self, artifacts: Artifacts) -> None:
        names = {put(artifacts, b"", suffix) for suffix in (".parquet", ".txt", "")}
        assert len(names) == 3
        assert set(artifacts.names()) == names
        assert [artifacts.get(name) for name in names] == [b""] * 3

    def test_the_uri_is_a_file_that_holds_the_bytes(self, artifacts: Artifacts) -> None:
        path = Path(artifacts.uri(put(artifacts, b"one", ".parquet")))
        assert path.is_absolute()
        assert path.suffix == ".parquet"
        assert path.read_bytes() == b"one"

    def test_objects_are_fetched_before_they_are_read(self, artifacts: Artifacts) -> None:
        name = put(artifacts, b"one", ".parquet")
        artifacts.fetch([name, samples.object_name("gone")])
        assert Path(artifacts.uri(name)).read_bytes() == b"one"

    def test_missing_objects_are_listed(self, artifacts: Artifacts) -> None:
        here, gone = put(artifacts, b"one", ".parquet"), samples.object_name("gone")
        assert artifacts.find_missing([gone, here]) == {gone: "missing"}
        assert artifacts.find_missing([]) == {}
        assert artifacts.versions([gone, here]).keys() == {here}
        with pytest.raises(StorageError, match=f"{gone}.*run again"), artifacts.open(gone):
            pass
        with pytest.raises(StorageError, match=f"{gone}.*run again"):
            artifacts.get(gone)

    def test_parts_of_an_object_are_read(self, artifacts: Artifacts) -> None:
        name = put(artifacts, b"0123456789", ".txt")
        with artifacts.open(name) as stored:
            assert stored.size == 10
            assert [stored.read(2, 3), stored.read(0, 10), stored.read(8, 5)] == [
                b"234",
                b"0123456789",
                b"89",
            ]
            assert stored.version == artifacts.versions([name])[name]

    def test_no_object_is_damaged_at_first(self, artifacts: Artifacts) -> None:
        put(artifacts, b"one", ".txt")
        assert list(artifacts.names(damaged=True)) == []

    def test_removing_frees_bytes(self, artifacts: Artifacts) -> None:
        names = [put(artifacts, payload, ".txt") for payload in (b"one", b"four")]
        path = Path(artifacts.uri(names[0]))
        assert path.exists()
        assert artifacts.remove([*names, samples.object_name("gone")]) == 7
        assert artifacts.remove(names) == 0
        assert list(artifacts.names()) == []
        assert not path.exists()
        assert put(artifacts, b"one", ".txt") == names[0]
        assert artifacts.get(names[0]) == b"one"

    def test_threads_storing_the_same_objects_agree(self, artifacts: Artifacts) -> None:
        payloads = [bytes([number]) * 10_000 for number in range(5)]
        stored: list[str] = []

        def work() -> None:
            stored.extend(put(artifacts, payload, ".bin") for payload in payloads * 3)
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
    """Conformance tests for claims; the fixture `new_claims` creates holders that share keys."""

    # The first two may exclude each other: an adapter may treat keys with a common prefix as one.
    KEYS = tuple(digits.ljust(32, "0") for digits in ("abc1", "abc2", "0123", "fff"))

    def test_a_key_has_one_holder(self, new_claims: Callable[[], Claims]) -> None:
        one, other = new_claims(), new_claims()
        assert one.take(self.KEYS[0])
        assert not other.take(self.KEYS[0])
        one.release(self.KEYS[0])
        assert other.take(self.KEYS[0])
        assert not one.take(self.KEYS[0])

    def test_taking_again_changes_nothing(self, new_claims: Callable[[], Claims]) -> None:
        one, other = new_claims(), new_claims()
        assert [one.take(self.KEYS[0]) for _ in range(3)] == [True] * 3
        assert one.wait(self.KEYS[0], 0.0)
        one.release(self.KEYS[0])
        assert other.take(self.KEYS[0])

    def test_keys_without_a_common_prefix_are_independent(
        self, new_claims: Callable[[], Claims]
    ) -> None:
        one, two, three = new_claims(), new_claims(), new_claims()
        assert one.take(self.KEYS[1])
        assert two.take(self.KEYS[2])
        assert three.take(self.KEYS[3])

    def test_keys_with_a_common_prefix_are_released_separately(
        self, new_claims: Callable[[], Claims]
    ) -> None:
        one, other = new_claims(), new_claims()
        assert one.take(self.KEYS[0])
        assert one.take(self.KEYS[1])
        one.release(self.KEYS[0])
        assert not other.take(self.KEYS[1])
        one.release(self.KEYS[1])
        assert other.take(self.KEYS[0])
        assert other.take(self.KEYS[1])

    def test_only_the_holder_can_release_a_key(self, new_claims: Callable[[], Claims]) -> None:
        one, other = new_claims(), new_claims()
        other.release(self.KEYS[0])
        assert one.take(self.KEYS[0])
        other.release(self.KEYS[0])
        assert not other.take(self.KEYS[0])
        one.release(self.KEYS[0])
        one.release(self.KEYS[0])
        assert other.take(self.KEYS[0])

    def test_waiting_for_a_free_key_takes_it(self, new_claims: Callable[[], Claims]) -> None:
        one, other = new_claims(), new_claims()
        assert one.wait(self.KEYS[0], 0.0)
        assert not other.take(self.KEYS[0])

    def test_waiting_times_out(self, new_claims: Callable[[], Claims]) -> None:
        one, other = new_claims(), new_claims()
        assert one.take(self.KEYS[0])
        assert not other.wait(self.KEYS[0], 0.02)
        assert not other.wait(self.KEYS[0], 0.0)

    def test_a_waiting_holder_gets_a_released_key(self, new_claims: Callable[[], Claims]) -> None:
        one, other = new_claims(), new_claims()
        assert one.take(self.KEYS[0])
        got: list[bool] = []
        thread = Thread(target=lambda: got.append(other.wait(self.KEYS[0], 60.0)))
        thread.start()
        one.release(self.KEYS[0])
        thread.join()
        assert got == [True]
        assert not one.take(self.KEYS[0])

    def test_threads_never_hold_a_key_together(self, new_claims: Callable[[], Claims]) -> None:
        busy: list[str] = []
        met: list[str] = []

        def work(claims: Claims) -> None:
            for key in self.KEYS * 10:
                assert claims.wait(key, 60.0)
                met.extend(other for other in busy if other == key)
                busy.append(key)
                busy.remove(key)
                claims.release(key)

        threads = [Thread(target=work, args=(new_claims(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert met == []
        assert [new_claims().take(key) for key in self.KEYS[1:]] == [True] * 3
