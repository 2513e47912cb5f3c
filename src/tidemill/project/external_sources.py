"""Open the databases, lakes and other projects that sources read from."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import SourceError, UsageError
from tidemill.core.redaction import Redactor, url_secrets
from tidemill.core.store_url import split_store_url
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger
from tidemill.ports.sources import Database, DltLoad, FileStore, Lake
from tidemill.project.home_ledger import has_ledger, open_ledger
from tidemill.project.object_stores import open_artifacts, open_file_store, store_secrets
from tidemill.project.settings import Settings, find_settings
from tidemill.workflow.source import SCHEMES, Delta, Engine, Iceberg

if TYPE_CHECKING:
    from tidemill.ports.tracking import TrackingServer
    from tidemill.workflow.loaders import Dlt


class OpenedSources:
    """Opens each external source of a project once, until `close`.

    The `redactor` learns the credentials in their URLs, and those of object stores.
    """

    def __init__(self, settings: Settings, redactor: Redactor | None = None) -> None:
        self._settings, self._root = settings, settings.root
        self._redactor = redactor or Redactor()
        self._stores: dict[str, FileStore] = {}
        self._servers: dict[str, TrackingServer] = {}
        self._databases: dict[tuple[str, Engine | None], Database] = {}
        self._lakes: dict[Delta[Any] | Iceberg[Any], Lake] = {}
        self._projects: dict[Path, tuple[Ledger, Artifacts]] = {}

    @property
    def has_snapshot(self) -> bool:
        """Whether a database is open; another process wouldn't see the same snapshot of it."""
        return bool(self._databases)

    def learn_secrets(self, url: str) -> None:
        """Mask the credentials of a URL from now on; nothing if its variable isn't set."""
        with suppress(SourceError):
            self._resolved(url)

    def database(self, url: str, engine: Engine | None = None) -> Database:
        """Open the database of a URL, read by an engine; the same one until `close`."""
        url = self._resolved(url)
        if (url, engine) not in self._databases:
            self._databases[url, engine] = self._open_database(url, engine)
        return self._databases[url, engine]

    def _resolved(self, url: str) -> str:
        found: str = _reader("tidemill.adapters.databases.urls").resolve_url(url)
        self._redactor.learn(url_secrets(found))
        return found

    def _open_database(self, url: str, engine: Engine | None) -> Database:
        scheme, _, rest = url.partition(":")
        # Three slashes start a relative path, four an absolute one.
        path = self._root / rest.removeprefix("///")
        if engine is None and scheme == "sqlite":
            location = _reader("tidemill.adapters.databases.urls").public_location(url)
            file: Database = _reader("tidemill.adapters.databases.sqlite").SqliteDatabase(
                path, location
            )
            return file
        if engine is None and scheme in ("postgresql", "postgres"):
            server: Database = _reader("tidemill.adapters.databases.postgres").PostgresDatabase(url)
            return server
        if engine is None and scheme not in SCHEMES:
            raise SourceError(
                f"the url of the database begins with none of {', '.join(SCHEMES)}; name an engine"
            )
        engines = _reader("tidemill.adapters.databases.engines")
        by_connectorx = engine == "connectorx" or (engine is None and scheme == "mysql")
        send = engines.connectorx if by_connectorx else engines.adbc
        found: Database = engines.EngineDatabase(url, send(url, path))
        return found

    def file_store(self, url: str) -> FileStore:
        """Open the object store that a URL names; the same one until `close`."""
        bucket, _ = split_store_url(url)
        if bucket not in self._stores:
            self._redactor.learn(store_secrets())
            try:
                self._stores[bucket] = open_file_store(self._settings, bucket)
            except UsageError as error:
                raise SourceError(str(error)) from error
        return self._stores[bucket]

    def project(self, path: str) -> tuple[Ledger, Artifacts]:
        """Open the ledger and the store of another project; SourceError if it doesn't exist."""
        folder = (self._root / path).resolve()
        if folder not in self._projects:
            try:
                settings = find_settings(folder, None)
            except UsageError:
                raise SourceError(f"{folder} is in no project with [tool.tidemill]") from None
            if not has_ledger(settings):
                home = settings.root / settings.home
                raise SourceError(f"nothing was run in {settings.root} yet: there is no {home}")
            try:
                self._projects[folder] = open_ledger(settings), open_artifacts(settings)
            except UsageError as error:
                raise SourceError(f"what {folder} stored can't be read: {error}") from error
        return self._projects[folder]

    def tracking_server(self, url: str) -> TrackingServer:
        """Open the tracking server at a URL, or that of the settings; the same one until `close`."""
        if url not in self._servers:
            module = _reader("tidemill.project.mlflow_server")
            try:
                server = module.open_server(self._settings.mlflow, self._redactor, uri=url)
            except UsageError as error:
                raise SourceError(str(error)) from error
            self._servers[url] = server
        return self._servers[url]

    def lake(self, source: Delta[Any] | Iceberg[Any]) -> Lake:
        """Open a lake table at its version, or the newest one; the same files until `close`."""
        if source not in self._lakes:
            if isinstance(source, Delta):
                found = _reader("tidemill.adapters.lakes.delta").open_delta(
                    self._root / source.path, source.version
                )
            else:
                self._resolved(source.uri)
                found = _reader("tidemill.adapters.lakes.iceberg").open_iceberg(source, self._root)
            self._lakes[source] = found
        return self._lakes[source]

    def load(self, source: Dlt[Any], state: str | None, *, nested: bool) -> DltLoad:
        """Load what a dlt resource returns after a state; SourceError if it fails."""
        reader = _reader("tidemill.adapters.dlt.resource")
        found: DltLoad = reader.load_resource(source, state, self._root, nested=nested)
        return found

    def close(self) -> None:
        """Close everything; later requests open it again."""
        for database in self._databases.values():
            database.end()
        for ledger, _ in self._projects.values():
            ledger.close()
        for server in self._servers.values():
            server.close()
        self._databases.clear()
        self._servers.clear()
        self._projects.clear()
        self._lakes.clear()
        self._stores.clear()


def _reader(name: str) -> Any:
    """Import a module that only projects need that read such a source."""
    return import_module(name)
