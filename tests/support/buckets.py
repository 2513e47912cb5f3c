"""The small workflow of `tides`, with its files in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.store import MemoryStore, ObjectStore

from tests.support.tides import CHAIN, Tides
from tidemill.adapters.objectstore import opened
from tools import object_store

BUCKET_URL = f"s3://{object_store.BUCKET}"


@contextmanager
def memory_stores() -> Iterator[None]:
    """Stores of this process in place of those of S3."""
    stores: dict[str, MemoryStore] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opened, "from_url", lambda url, **_: stores.setdefault(url, MemoryStore()))
        yield


class BucketTides(Tides):
    """The project, whose files have the keys `prefix/data/NAME` in a bucket."""

    def __init__(self, root: Path, prefix: str, text: str = CHAIN) -> None:
        super().__init__(root, text.replace('"data/', f'"{BUCKET_URL}/{prefix}/data/'))
        self.prefix = prefix
        self.store: ObjectStore = opened.open_stores(BUCKET_URL).store

    def put(self, name: str, frame: pl.DataFrame) -> Path:
        payload = BytesIO()
        frame.write_parquet(payload)
        self.put_bytes(name, payload.getvalue())
        return Path(name)

    def remove_missing(self) -> None:
        self.edit('data/*.parquet")', 'data/*.parquet", on_missing="remove")')

    def key(self, name: str) -> str:
        return f"{self.prefix}/data/{name}"

    def url(self, name: str) -> str:
        return f"{BUCKET_URL}/{self.key(name)}"

    def put_bytes(self, name: str, payload: bytes) -> None:
        obstore.put(self.store, self.key(name), payload, use_multipart=False)

    def delete(self, name: str) -> None:
        obstore.delete(self.store, self.key(name))
