"""Open the sinks that deliveries go to; their libraries are imported when something is delivered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path

from tidemill.core.extras import install_command
from tidemill.core.store_url import is_store_url
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult, SinkWriter
from tidemill.workflow.stage import Flow

# Parquet files that are delivered before that is recorded.
_TOGETHER = 64
# Where the writers are that need Polars, and maybe an extra.
_WRITERS: Mapping[str, tuple[str, str]] = {
    "sqlite": ("tidemill.adapters.sinks.sqlite", "SqliteTables"),
    "duckdb": ("tidemill.adapters.sinks.duckdb", "DuckdbTables"),
    "postgres": ("tidemill.adapters.sinks.postgres", "PostgresTables"),
    "delta": ("tidemill.adapters.sinks.delta", "DeltaTables"),
    "iceberg": ("tidemill.adapters.sinks.iceberg", "IcebergTables"),
}


def open_sinks(flow: Flow) -> Mapping[str, SinkWriter]:
    """The writer of each format; functions are those of the workflow."""
    sinks = [stage.sink for stage in flow.stages if stage.sink is not None]
    functions = {sink.folder: sink.function for sink in sinks if sink.function is not None}
    late: dict[str, SinkWriter] = {name: _LateWriter(home) for name, home in _WRITERS.items()}
    # The ledger records each call before the next one, so that few are repeated after a crash.
    call = _LateWriter(("tidemill.adapters.sinks.call", "FunctionCalls"), functions, batch=1)
    folders = _LateWriter(("tidemill.adapters.sinks.parquet", "ParquetFolders"), batch=_TOGETHER)
    stores = _LateWriter(
        ("tidemill.adapters.objectstore.parquet_objects", "ParquetObjects"), batch=_TOGETHER
    )
    return {"parquet": _ParquetFiles(folders, stores), "call": call, **late}


class _LateWriter:
    """A writer whose module is imported when it is first used."""

    def __init__(self, home: tuple[str, str], *arguments: object, batch: int = 0) -> None:
        self._home, self._arguments, self.batch = home, arguments, batch

    @cached_property
    def _writer(self) -> SinkWriter:
        module, name = self._home
        writer: SinkWriter = getattr(import_module(module), name)(*self._arguments)
        return writer

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        return self._writer.deliver_all(effects, root, artifacts)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        try:
            return self._writer.find_obstacle(effect, root)
        except ModuleNotFoundError as error:
            # Others import their libraries later, and say so themselves.
            return f"it needs {error.name}; {install_command(error.name or '')}"

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        return self._writer.find_fault(effect, detail, root, artifacts)


class _ParquetFiles:
    """Writes Parquet files to a folder or to an object store."""

    batch = _TOGETHER

    def __init__(self, folders: SinkWriter, stores: SinkWriter) -> None:
        self._folders, self._stores = folders, stores

    def _writer(self, target: str) -> SinkWriter:
        return self._stores if is_store_url(target) else self._folders

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        return self._writer(effects[0].target).deliver_all(effects, root, artifacts)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        return self._writer(effect.target).find_obstacle(effect, root)

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        return self._writer(effect.target).find_fault(effect, detail, root, artifacts)
