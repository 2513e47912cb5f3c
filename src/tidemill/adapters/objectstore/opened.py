"""Open the object store of a URL; credentials come from the environment or the platform only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from obstore.exceptions import BaseError
from obstore.store import from_url

from tidemill.adapters.objectstore.artifacts import StoreArtifacts
from tidemill.adapters.objectstore.object_cache import ObjectCache
from tidemill.adapters.objectstore.source_copies import SourceCopies
from tidemill.adapters.objectstore.source_files import StoreFiles
from tidemill.core.errors import UsageError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

# What moves bytes may take long. All else is answered at once, and is an error after some 15 s: a transaction
# of the ledger waits for half a minute.
_TRANSFER: RetryConfig = {"max_retries": 10, "retry_timeout": timedelta(seconds=60)}
_QUICK: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=8)}
_TRANSFER_CLIENT: ClientConfig = {"connect_timeout": "5s", "timeout": "10min"}
_QUICK_CLIENT: ClientConfig = {"connect_timeout": "3s", "timeout": "8s"}

_PLAIN = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")


def open_artifacts(
    url: str,
    cache: Path,
    limit: int,
    home_id: Callable[[], str],
    *,
    clock: Callable[[], float] = time.time,
) -> StoreArtifacts:
    """Objects of a home at `url`, with copies of up to about `limit` bytes in the folder `cache`.

    UsageError if the environment lacks what it takes. Nothing is asked of the store yet.
    """
    try:
        opened = open_stores(url)
    except UsageError as error:
        raise UsageError(f"artifacts = {error}") from error
    copies = ObjectCache(cache, limit, clock=clock)
    return StoreArtifacts(opened.store, url, copies, home_id, quick=opened.quick)


def open_files(bucket: str, copies: Path, limit: int) -> StoreFiles:
    """Files in the bucket of a URL, with copies of up to about `limit` bytes in the folder `copies`.

    UsageError if the environment lacks what it takes. Nothing is asked of the store yet.
    """
    opened = open_stores(bucket)
    return StoreFiles(opened.store, opened.quick, bucket, SourceCopies(copies, limit))


class OpenedStores(NamedTuple):
    """A store for what moves bytes, and the same one for what is answered at once."""

    store: ObjectStore
    quick: ObjectStore


def open_stores(url: str) -> OpenedStores:
    """The store of a URL; UsageError as above."""
    # Options of a client take the place of all that the environment says of it.
    plain: ClientConfig = {"allow_http": any(map(_is_true, _PLAIN))}
    try:
        store = from_url(url, retry_config=_TRANSFER, client_options={**_TRANSFER_CLIENT, **plain})
        quick = from_url(url, retry_config=_QUICK, client_options={**_QUICK_CLIENT, **plain})
        return OpenedStores(store, quick)
    except (BaseError, OSError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise UsageError(
            f"{url!r} can't be opened: {first}; set the variables of its credentials, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AZURE_STORAGE_ACCOUNT_NAME"
        ) from error


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes")
