"""Deliver partitions as Parquet files in a folder, replacing each file atomically."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from tidemill.adapters.files.disk import sync_folder
from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts


def deliver(effect: Effect, root: Path, artifacts: Artifacts) -> Mapping[str, str]:
    """Write or remove one file, idempotently; StorageError names the file."""
    target = root / effect.target / f"{quote(effect.partition, safe='')}.parquet"
    try:
        if effect.action == "remove":
            target.unlink(missing_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace_file(target, artifacts.get(effect.object))
    except OSError as error:
        raise StorageError(
            f"{effect.stage} {effect.partition} can't be delivered to {target}: {error.strerror}; "
            "it stays queued, and the next run will deliver it"
        ) from error
    return {"file": str(target.relative_to(root)) if target.is_relative_to(root) else str(target)}


def _replace_file(target: Path, payload: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(str(target.parent))
