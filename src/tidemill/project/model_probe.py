"""Load model files in a process of their own before this process does, and remember those that load.

A damaged file of some libraries ends the process that loads it. So a file is first loaded by a process
that may die, with limits on memory and time, where it has to predict its golden rows.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tidemill.adapters.codec.events import encode
from tidemill.adapters.files.disk import open_private
from tidemill.core.errors import StorageError
from tidemill.core.extras import package_of
from tidemill.core.fingerprint import fingerprint
from tidemill.core.python_command import python_module
from tidemill.ports.formats import ModelFormat
from tidemill.workflow.model import Artifact

WORKER = "tidemill.project.model_probe_worker"
# Until the worker has imported the library.
_START_S = 120.0
_SECONDS, _BYTES_PER_S = 20.0, 10_000_000
_MEMORY, _MEMORY_PER_BYTE = 1 << 30, 8
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """What another process needs to have the same model formats."""

    home: str
    root: str
    model_formats: tuple[str, ...] = ()
    allow_pickle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedFile:
    """A model file to load, and the golden rows that it has to predict; `artifact` says how it is fed."""

    artifact: Artifact
    payload: bytes
    golden: bytes = b""


class SubprocessProbe:
    """Loads models in another process; which ones loaded is remembered in `home`/loaded."""

    def __init__(self, options: FormatOptions) -> None:
        self._options = options
        self._known = Path(options.home) / "loaded"

    def confirm(
        self, artifact: Artifact, form: ModelFormat, payload: bytes, golden: bytes, /
    ) -> None:
        """Load a model in another process, unless it is known to load; StorageError if it doesn't."""
        if self._mark(artifact, form).exists():
            return
        file = ProbedFile(artifact=artifact, payload=payload, golden=golden)
        [fault] = self.find_faults(form, [file])
        if fault:
            raise StorageError(
                f"loading its file of {len(payload):,} bytes in a process of its own failed: {fault}"
            )
        self.remember(artifact, form)

    def remember(self, artifact: Artifact, form: ModelFormat, /) -> None:
        """Record that a model loads with the installed version of its library."""
        path = self._mark(artifact, form)
        with suppress(OSError):  # then it is loaded in another process once more
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            open(path, "ab", opener=open_private).close()

    def find_faults(self, form: ModelFormat, files: Sequence[ProbedFile]) -> list[str]:
        """Load files of one format in another process, each on its own; return why each fails, or ""."""
        job = {
            "options": json.loads(encode(self._options)),
            "path": [*sys.path],
            "format": form.name,
            "files": [_described(file) for file in files],
        }
        head = json.dumps(job).encode() + b"\n"
        body = [part for file in files for part in (file.payload, file.golden)]
        limit_s = _START_S + sum(25 * _seconds(file) for file in files)
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                python_module(WORKER),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=_environment(),
                start_new_session=True,
            )
            try:
                answer, _ = process.communicate(b"".join([head, *body]), timeout=limit_s)
            except subprocess.TimeoutExpired:
                answer = b""
            finally:
                if process.poll() is None:
                    # With the child that loads a file.
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            faults = [str(json.loads(line)) for line in answer.splitlines()]
            if len(faults) < len(files):
                said.seek(0)
                last = said.read()[-1000:].decode(errors="replace").strip()
                why = f"the process that loads it ended: {last or process.returncode}"
                faults += [why] * (len(files) - len(faults))
        return faults

    def _mark(self, artifact: Artifact, form: ModelFormat) -> Path:
        versions = [[module, installed_version(module)] for module in form.modules]
        return self._known / fingerprint(
            "loaded", artifact.id, artifact.object, artifact.golden, form.name, versions
        )


def is_installed(module: str) -> bool:
    """Whether a module can be found, without importing it."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def installed_version(module: str) -> str:
    """The installed version of a module's package; "" if it isn't known."""
    for name in package_of(module):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ""


def _described(file: ProbedFile) -> dict[str, Any]:
    return {
        "artifact": encode(file.artifact),
        "payload": len(file.payload),
        "golden": len(file.golden),
        "seconds": _seconds(file),
        "memory": _MEMORY + _MEMORY_PER_BYTE * len(file.payload),
    }


def _seconds(file: ProbedFile) -> float:
    return _SECONDS + len(file.payload) / _BYTES_PER_S


def _environment() -> dict[str, str]:
    return {**os.environ, **dict.fromkeys(_THREADS, "1")}
