"""A workflow's modules, imported afresh after every edit, and seams that fail as if the process died."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.soundness.model import Flow
from tests.soundness.render import MODULE, MODULES, rendered
from tidemill.core.errors import StorageError
from tidemill.core.package_metadata import installed_version
from tidemill.project import composition
from tidemill.workflow.workflow import Workflow


class Modules:
    """The modules of a folder that is first on the import path, imported afresh after every edit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: dict[str, str] = {}
        self._flow: Workflow | None = None

    def load(self, flow: Flow) -> Workflow:
        texts = rendered(flow)
        if texts == self._texts and self._flow is not None:
            return self._flow
        for name, text in texts.items():
            (self._folder / f"{name}.py").write_text(text, encoding="utf-8")
        self._texts = texts
        self.forget()
        # Both know files by time and size, which an edit within a moment doesn't change.
        importlib.invalidate_caches()
        linecache.clearcache()
        found = importlib.import_module(MODULE).flow
        assert isinstance(found, Workflow)
        self._flow = found
        return found

    def forget(self) -> None:
        for name in MODULES:
            sys.modules.pop(name, None)


@contextmanager
def importing(folder: Path) -> Iterator[Modules]:
    """Make a folder the first place that modules come from, for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    modules = Modules(folder)
    try:
        yield modules
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path.remove(str(folder))
        modules.forget()


@contextmanager
def engines() -> Iterator[Callable[[str], None]]:
    """Let Polars say that it is of another version."""
    now = [""]

    def version(package: str) -> str:
        return now[0] if package == "polars" and now[0] else installed_version(package)

    def use(engine: str) -> None:
        now[0] = engine

    with mock.patch.object(composition, "installed_version", version):
        yield use


class Fuse:
    """A seam that fails for good at the n-th call that writes, as if the process had died there."""

    def __init__(self, seam: Any, calls: list[int]) -> None:
        self._seam = seam
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        if name not in ("append", "put_all"):
            return getattr(self._seam, name)
        self._calls[0] -= 1
        if self._calls[0] < 0:
            raise StorageError("the process died")
        return getattr(self._seam, name)
