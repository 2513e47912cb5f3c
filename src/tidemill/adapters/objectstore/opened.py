"""Open the object store of a URL; credentials come from the environment or the platform only."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from tidemill.adapters.objectstore.artifacts import StoreArtifacts
from tidemill.adapters.objectstore.object_cache import ObjectCache
from tidemill.core.errors import UsageError

SCHEMES = ("s3", "gs", "az", "file")
# A store that is away is an error after so long.
_RETRIES, _RETRIED_FOR = 5, timedelta(seconds=60)


def open_artifacts(
    url: str,
    cache: Path,
    limit: int,
    home_id: Callable[[], str],
    *,
    clock: Callable[[], float] = time.time,
) -> StoreArtifacts:
    """Objects of a home at `url`, with copies of up to about `limit` bytes in the folder `cache`.

    UsageError for a URL of another kind, or one with credentials in it. Nothing is asked of the store yet.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        wanted = ", ".join(f"{scheme}://..." for scheme in SCHEMES)
        raise UsageError(f"artifacts = {url!r} isn't a URL of an object store: use {wanted}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"artifacts = {parts.scheme}://... may have a bucket and a path only: credentials and options "
            "belong into the environment, such as AWS_ACCESS_KEY_ID"
        )
    place = url.rstrip("/")
    try:
        if parts.scheme == "file":
            store: ObjectStore = LocalStore.from_url(place, mkdir=True)
        else:
            store = from_url(
                place, retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRIED_FOR}
            )
    except (BaseError, OSError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise UsageError(f"artifacts = {url!r} can't be opened: {first}") from error
    return StoreArtifacts(store, place, ObjectCache(cache, limit, clock=clock), home_id)
