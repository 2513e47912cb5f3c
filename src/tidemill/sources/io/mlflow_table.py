"""Read a version of a model that a server of MLflow registers: each of its files is a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import polars as pl

from tidemill.core.errors import RefusedError, SendError, SourceError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ports.tracking import TrackingServer
from tidemill.sources.io.file_listing import reading_id
from tidemill.workflow.mlflow_source import MlflowModel
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Stage

_COLUMNS: Mapping[str, Any] = {
    "path": pl.String,
    "payload": pl.Binary,
    "sha256": pl.String,
    "version": pl.Int64,
    "run": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """A registered version: `identity` differs between any two, `folder` is the URI of its files."""

    number: int
    run: str
    identity: str
    folder: str


class MlflowTable:
    """The version that the server names at the first look; `known` files of it aren't fetched again."""

    def __init__(
        self,
        source: MlflowModel[Any],
        stage: Stage,
        server: TrackingServer,
        known: Mapping[str, SourceFile],
    ) -> None:
        assert stage.output is not None
        self._source, self._contract = source, stage.output
        self._server, self._known = server, known
        self._reading = reading_id(source, stage)

    def list_files(self) -> dict[str, SourceFile]:
        for name in self._contract.required_columns:
            if name not in _COLUMNS:
                raise SourceError(
                    f"{self._source.model} has no column {name!r} of contract {self._contract.name} "
                    f"({did_you_mean(name, _COLUMNS)})"
                )
        found = {path: self._file(path, size) for path, size in self._sizes()}
        if not found:
            raise SourceError(
                f"{self._source.model} has no file {self._source.files!r}; nothing was removed"
            )
        return dict(sorted(found.items()))

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        rows = []
        for path, planned in files.items():
            payload = self._fetch(path)
            digest = hashlib.sha256(payload).hexdigest()
            if self._digest(path, digest) != planned.digest:
                raise SourceError(f"{self._source.model} changed during this run; run again")
            version = self._version
            rows.append((path, payload, digest, version.number, version.run))
        table = pl.DataFrame(rows, schema=_COLUMNS, orient="row")
        return table.select(name for name in self._contract.names if name in _COLUMNS)

    def _file(self, path: str, size: int) -> SourceFile:
        before, tag = self._known.get(path), self._version.identity
        if before is not None and (before.tag, before.size, before.reading) == (
            tag,
            size,
            self._reading,
        ):
            return before
        digest = hashlib.sha256(self._fetch(path)).hexdigest()
        return SourceFile(
            path=path,
            size=size,
            mtime_ns=0,
            digest=self._digest(path, digest),
            rows={WHOLE: 1},
            reading=self._reading,
            tag=tag,
        )

    def _digest(self, path: str, digest: str) -> str:
        return fingerprint("mlflow file", path, digest, self._version.number, self._version.run)

    def _fetch(self, path: str) -> bytes:
        with self._asking():
            return self._server.read_file(f"{self._version.folder}/{path}")

    def _sizes(self) -> Iterator[tuple[str, int]]:
        """The files of the version that match the pattern, in all of its folders."""
        folders = [""]
        while folders:
            folder = folders.pop()
            place = f"{self._version.folder}/{folder}".rstrip("/")
            with self._asking():
                found = self._server.list_files(place)
            for name, size in found.items():
                path = f"{folder}/{name.rpartition('/')[2]}".lstrip("/")
                if size is None:
                    folders.append(path)
                elif fnmatchcase(path, self._source.files):
                    yield path, size

    @cached_property
    def _version(self) -> _Version:
        source, call = self._source, self._server.call
        with self._asking():
            if source.alias:
                about = {"name": source.name, "alias": source.alias}
                found = call("GET", "registered-models/alias", about)["model_version"]
            else:
                about = {"name": source.name, "version": source.number}
                found = call("GET", "model-versions/get", about)["model_version"]
            name = {"name": str(found["name"]), "version": str(found["version"])}
            uri = str(call("GET", "model-versions/get-download-uri", name)["artifact_uri"])
            folder = self._folder(uri)
        created = str(found.get("creation_timestamp"))
        return _Version(
            number=int(name["version"]),
            run=str(found.get("run_id", "")),
            identity=fingerprint("mlflow version", *name.values(), created, folder),
            folder=folder,
        )

    def _folder(self, uri: str) -> str:
        """The URI of the files; another one may name them by their run."""
        scheme, _, rest = uri.partition(":/")
        if scheme == "runs":
            run, _, folder = rest.partition("/")
            answer = self._server.call("GET", "runs/get", {"run_id": run})
            return f"{answer['run']['info']['artifact_uri']}/{folder}"
        return uri

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            raise SourceError(f"{self._source.model}: {error}; nothing was removed") from error
        except SendError as error:
            raise SourceError(f"{self._source.model} can't be read: {error}") from error
