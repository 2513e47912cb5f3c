"""The bytes of an object come from a sound copy, else from the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.core.errors import StorageError
from tidemill.serving.io.stored_bytes import stored_bytes
from tidemill.testing.doubles import MemoryArtifacts


class Away(MemoryArtifacts):
    """A store that has copies on this machine, and may be away itself."""

    is_away = False

    def get(self, name: str) -> bytes:
        if self.is_away:
            raise StorageError("the store is away")
        return super().get(name)


def test_a_copy_answers_while_the_store_is_away() -> None:
    store = Away()
    [name] = store.put_all([(b"a model", ".txt")])
    assert stored_bytes(store, name) == b"a model"
    store.is_away = True
    assert stored_bytes(store, name) == b"a model"


def test_a_copy_that_is_damaged_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Away()
    [name] = store.put_all([(b"a model", ".txt")])
    damaged = Path(store.uri(name)).with_name("damaged")
    damaged.write_bytes(b"a muddle")
    monkeypatch.setattr(store, "uri", lambda _: str(damaged))
    assert stored_bytes(store, name) == b"a model"
    store.is_away = True
    with pytest.raises(StorageError, match="away"):
        stored_bytes(store, name)
