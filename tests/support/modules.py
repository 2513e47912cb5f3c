"""A project of real module files, imported afresh after every edit."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from tidemill.analysis.code.code_fingerprint import Code, code_of


class Project:
    """Modules in a folder that is first on the import path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(str(folder))

    def write(self, **sources: str) -> None:
        """Write modules; `pkg__mod` is `mod` of the package `pkg`."""
        for name, source in sources.items():
            path = self.folder / f"{name.replace('__', '/')}.py"
            if path.parent != self.folder:
                path.parent.mkdir(exist_ok=True)
                (path.parent / "__init__.py").touch()
            path.write_text(dedent(source), encoding="utf-8")

    def load(self, name: str = "main", **sources: str) -> ModuleType:
        """Write modules, forget all that was imported from the folder, and import one."""
        self.write(**sources)
        self.forget()
        importlib.invalidate_caches()
        return importlib.import_module(name.replace("__", "."))

    def forget(self) -> None:
        """Drop every module that was imported from the folder."""
        for known, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if file.startswith(str(self.folder)):
                del sys.modules[known]

    def function(self, source: str, name: str = "stage") -> Any:
        """What a module of this source calls `name`."""
        return getattr(self.load(main=source), name)

    def code(self, source: str, name: str = "stage") -> Code:
        """The code part of a function in a module of this source."""
        return code_of(self.function(source, name))

    def digest(self, source: str, name: str = "stage") -> str:
        """The digest of a function that is resolved and touches nothing."""
        code = self.code(source, name)
        assert (code.unresolved, code.hidden_inputs) == ((), ()), code
        return code.digest
