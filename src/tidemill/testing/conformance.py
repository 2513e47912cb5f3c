"""What every adapter of a seam promises, as test classes.

Subclass a suite in a test module and give it the fixture that it names (`ledger`, `artifacts`): an
empty adapter, made anew for each test. Nothing but pytest is needed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Thread

import pytest

from tidemill.domain.errors import StorageError
from tidemill.ports import Artifacts
from tidemill.testing import samples
from tidemill.testing.ledger_suite import LedgerSuite

__all__ = ["ArtifactsSuite", "LedgerSuite"]


class ArtifactsSuite:
    """Every promise of a store of objects; the fixture `artifacts` gives an empty one."""

    def test_bytes_come_back_under_their_name(self, artifacts: Artifacts) -> None:
        name = artifacts.put(b"one", ".parquet")
        assert name == hashlib.sha256(b"one").hexdigest() + ".parquet"
        assert artifacts.get(name) == b"one"
        assert artifacts.put(b"one", ".parquet") == name
        assert list(artifacts.names()) == [name]

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
            stored.extend(artifacts.put(payload, ".bin") for payload in payloads * 5)

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stored) == 100
        assert set(stored) == set(artifacts.names())
        assert sorted(artifacts.get(name) for name in set(stored)) == payloads
