"""A model that a server of MLflow registers, as the source of an ingest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import url_secrets
from tidemill.workflow.source import C, Source

_MODEL = re.compile(r"models:/([^/:@]+)(?:@([\w\-]+)|/([1-9][0-9]*))")


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowModel(Source[C]):
    """The files of a version of a model, a row for each: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Only the `files` whose paths match the pattern are read. `server` is the URL of the server ("": that of
    the settings).
    """

    model: str
    files: str = "*"
    # Not in the repr: it may contain a password.
    server: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if faults := [*_faults(self)]:
            raise DeclarationError("tm.mlflow_model", faults)

    def reader_parts(self) -> tuple[str, ...]:
        return ("mlflow model", self.files)

    @property
    def name(self) -> str:
        """The name of the registered model."""
        return self._parts[0]

    @property
    def alias(self) -> str:
        """The alias of the version; "" if its number is given."""
        return self._parts[1] or ""

    @property
    def number(self) -> str:
        """The number of the version; "" if its alias is given."""
        return self._parts[2] or ""

    @property
    def _parts(self) -> tuple[str, str | None, str | None]:
        found = _MODEL.fullmatch(self.model)
        assert found is not None, "it was checked"
        return found[1], found[2], found[3]


def mlflow_model(model: str, *, files: str = "*", server: str = "") -> MlflowModel[Any]:
    """Read the files of a version of a model that a server of MLflow registers, a row for each file.

    `model` is `models:/NAME@ALIAS` or `models:/NAME/VERSION`. The contract chooses among the columns `path`,
    `payload` (the bytes), `sha256`, `version` and `run` (of MLflow). Only files whose path matches `files`
    are read, such as `"*.lgb"`. `server` is a URL, or `env:NAME`; by default it is the server of
    `[tool.tidemill.mlflow]`, or that in MLFLOW_TRACKING_URI.

    Each plan asks which version the alias names: another one is a change, and so are other files. The files
    of a version that was read before aren't fetched again while they have the same sizes.
    Raises DeclarationError for a name without an alias or a version.
    """
    return MlflowModel(model=model, files=files, server=server)


def _faults(source: MlflowModel[Any]) -> Iterator[Fault]:
    if not isinstance(source.model, str) or not _MODEL.fullmatch(source.model):
        yield Fault(
            message=f"{source.model!r:.100} names no version of a model",
            hint="write models:/NAME@ALIAS or models:/NAME/VERSION",
        )
    if not isinstance(source.files, str) or not source.files:
        yield Fault(
            message=f"files={source.files!r:.100} is no pattern", hint='write files="*.lgb"'
        )
    if not isinstance(source.server, str) or url_secrets(source.server):
        yield Fault(
            message="the URL of the server has a user or a password",
            hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
