"""Name datasets as OpenLineage's naming conventions demand, so that other tools know the same tables.

https://openlineage.io/docs/spec/naming: a namespace for where the data is, and a name within it. No name
has a user, a password or a parameter of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from posixpath import basename, join, normpath, splitext
from typing import Any, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Effect
from tidemill.lineage.openlineage.query_tables import tables_of
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.loaders import Dbt
from tidemill.workflow.sink import table_parts
from tidemill.workflow.source import SUFFIXES, Delta, Files, Iceberg, Output, Query, Source

# Replaces `env:NAME` by the value of the variable; "" if it isn't set.
Resolve: TypeAlias = Callable[[str], str]

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.\-]*)://(?:[^/?#]*@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)", re.DOTALL
)
_GLOB = re.compile(r"[*?\[]")
_PORTS = {"postgres": 5432, "mysql": 3306, "mssql": 1433, "redshift": 5439, "trino": 8080}
_SCHEMES = {
    "postgresql": "postgres",
    "sqlserver": "mssql",
    "gcs": "gs",
    "s3a": "s3",
    "mariadb": "mysql",
}
# The schema of a table that names none.
_DEFAULT_SCHEMAS = {"postgres": "public", "redshift": "public", "mssql": "dbo"}
# Databases that are one file.
_IN_FILES = ("sqlite", "duckdb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The identity of a dataset; `layer` and `format` say how it is stored, if that is known."""

    namespace: str
    name: str
    layer: str = ""
    format: str = ""


def _unknown_table(_source: Dbt[Any]) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What names depend on: the namespace, the project's folder, and the environment's variables.

    `workflow_of` returns the workflow of an output of another project; "" if it isn't known. `table_of`
    returns the names of a dbt model's table; none if they aren't known.
    """

    namespace: str
    root: str
    resolve: Resolve
    workflow_of: Callable[[Output[Any]], str]
    table_of: Callable[[Dbt[Any]], tuple[str, ...]] = _unknown_table

    def namespace_of(self, environment: str) -> str:
        """The namespace of an environment: production has the plain one."""
        if environment == PRODUCTION:
            return self.namespace
        return f"{self.namespace}/{environment}"

    def stage(self, environment: str, workflow: str, stage: str) -> Dataset:
        """The dataset that a stage publishes."""
        namespace = self.namespace_of(environment)
        return Dataset(namespace=namespace, name=f"{workflow}.{stage}", layer="tidemill")

    def sources(self, source: Source[Any]) -> tuple[Dataset, ...]:
        """The datasets that a source reads; none for a function, which doesn't say what it reads."""
        if isinstance(source, Files):
            return (self._path(_fixed_part(source.pattern), "file", _file_format(source)),)
        if isinstance(source, Delta):
            return (self._path(source.path, "delta", "parquet"),)
        if isinstance(source, Iceberg):
            return (self._iceberg(source.uri, source.catalog, source.table),)
        if isinstance(source, Query):
            found = tables_of(source.query) or ((),)
            return tuple(self._table(source.url, table) for table in found)
        if isinstance(source, Dbt):
            return (self._table(source.url, self.table_of(source) or (source.model,)),)
        return (self._output(source),) if isinstance(source, Output) else ()

    def sink(self, effect: Effect) -> Dataset | None:
        """The dataset that an effect delivers to; None for a function, which doesn't say where."""
        if effect.format == "parquet":
            return self._path(effect.target, "file", "parquet")
        if effect.format == "delta":
            return self._path(effect.target, "delta", "parquet")
        if effect.format == "iceberg":
            return self._iceberg(effect.target, effect.catalog, effect.table)
        if effect.format in _IN_FILES:
            path = f"{effect.format}:///{effect.target}"
            return self._table(path, (effect.table,), layer=effect.format)
        if effect.format == "postgres":
            return self._table(
                effect.target, table_parts("postgres", effect.table), layer="postgres"
            )
        return None

    def _output(self, source: Output[Any]) -> Dataset:
        if workflow := self.workflow_of(source):
            return self.stage(source.env, workflow, source.stage)
        return self._path(join(source.project, source.stage), "tidemill", "parquet")

    def _path(self, path: str, layer: str, format: str) -> Dataset:
        """A file or folder: local, or an object below a URL."""
        url = _URL.match(path)
        if url is not None and url["scheme"] != "file":
            scheme = url["scheme"].lower()
            namespace = f"{_SCHEMES.get(scheme, scheme)}://{url['host']}"
            name = url["path"].strip("/") or "/"
            return Dataset(namespace=namespace, name=name, layer=layer, format=format)
        return Dataset(
            namespace="file",
            name=normpath(join(self.root, url["path"] if url else path)),
            layer=layer,
            format=format,
        )

    def _iceberg(self, uri: str, catalog: str, table: str) -> Dataset:
        if not (uri or catalog):
            return self._path(table, "iceberg", "parquet")
        found = self._table(uri, (table,)) if uri else None
        namespace = found.namespace if found else f"iceberg://{catalog}"
        return Dataset(namespace=namespace, name=table, layer="iceberg", format="parquet")

    def _table(self, place: str, table: tuple[str, ...], layer: str = "") -> Dataset:
        """A table of a database, by its URL; the whole database if the table isn't known."""
        resolved = self.resolve(place)
        url = _URL.match(resolved)
        if url is None:
            # A variable that isn't set here; it never shows a value.
            hidden = place if place.startswith("env:") else "unknown"
            return Dataset(namespace=hidden, name=".".join(table) or "(query)", layer=layer)
        scheme = url["scheme"].lower().partition("+")[0]
        scheme = _SCHEMES.get(scheme, scheme)
        if scheme in _IN_FILES:
            path = normpath(join(self.root, url["path"].removeprefix("/")))
            namespace, within = f"{scheme}://{path}", []
        else:
            within = [part for part in url["path"].split("/") if part]
            namespace = f"{scheme}://{_with_port(scheme, url['host'])}"
        if scheme == "bigquery":
            namespace, within = "bigquery", [url["host"], *within]
            table = tuple(".".join(table).split(".")) if table else ()
        elif table and scheme in _DEFAULT_SCHEMAS:
            within = [*within[:1], *(within[1:] or [_DEFAULT_SCHEMAS[scheme]])]
        kept = within[: max(0, len(within) + 1 - len(table))] if table else within
        name = ".".join([*kept, *table]) or "main"
        return Dataset(namespace=namespace, name=name, layer=layer)


def _with_port(scheme: str, host: str) -> str:
    host = host or "localhost"
    port = _PORTS.get(scheme)
    return host if port is None or re.search(r":\d+$", host) else f"{host.rstrip(':')}:{port}"


def _fixed_part(pattern: str) -> str:
    """The file, or the folder above the first part of a pattern with a wildcard."""
    parts = pattern.split("/")
    fixed = next((at for at, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    return "/".join(parts[:fixed]) or ("/" if pattern.startswith("/") else ".")


def _file_format(source: Files[Any]) -> str:
    suffix = splitext(basename(source.pattern))[1].lower()
    return source.format or SUFFIXES.get(suffix) or ""
