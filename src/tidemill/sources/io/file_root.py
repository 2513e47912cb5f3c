"""Where the files of a source are on this machine: in the project's folder, or copies of an object store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.store_url import is_store_url
from tidemill.ports.runtime import Runtime
from tidemill.workflow.source import Files, SourceFile
from tidemill.workflow.stage import Stage


class FileRoot(Protocol):
    """What the path of a source's file is joined to; the project's folder is one."""

    def __truediv__(self, path: str, /) -> Path:
        """The path of a file on this machine."""


@dataclass(frozen=True, slots=True)
class CopiedFiles:
    """Copies of files, by the URLs of these."""

    copies: Mapping[str, Path]

    def __truediv__(self, path: str, /) -> Path:
        return self.copies[path]


class FileSet(NamedTuple):
    """Some files of a stage's source."""

    source: Files[Any]
    stage: Stage
    root: FileRoot
    paths: Sequence[str]


def is_stored(source: Files[Any]) -> bool:
    """Whether the files of a source are in an object store."""
    return is_store_url(source.pattern)


def file_root(source: Files[Any], tools: Runtime, files: Iterable[SourceFile]) -> FileRoot:
    """Where some files of a source are; those of an object store are fetched if they aren't here yet.

    Raises SourceError for one that can't be fetched, or isn't what it was.
    """
    if not is_stored(source):
        return tools.root
    store = tools.external_sources.file_store(source.pattern)
    # The folders of a path may hold values of columns.
    folders = bool(source.options.get("hive_partitioning"))
    return CopiedFiles(store.copies({file.path: file.digest for file in files}, folders=folders))
