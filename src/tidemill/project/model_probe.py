"""Load model files in a process of their own before this process does, and remember those that load.

A damaged file of some libraries ends the process that loads it. So a file is first loaded by a process
that may die, with limits on memory and time, where it has to predict its golden rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from tidemill.adapters.codec.events import encode
from tidemill.core.errors import StorageError
from tidemill.core.extras import package_of
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload, byte_count
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ports.formats import GoldenCheck, ModelFormat
from tidemill.project.model_formats import own_format_codes
from tidemill.project.model_probe_server import FormatOptions, ProbeRequest, ProbeServer
from tidemill.workflow.model import Artifact

_SECONDS, _BYTES_PER_S = 20.0, 10_000_000
# The limit is on CPU time; on a busy machine, or waiting, a load may take this many times as long.
_IDLE = 20
_MEMORY, _MEMORY_PER_BYTE = 1 << 30, 8

# Loading these imports nothing of a project. All projects that this process opens share their processes.
_OF_NO_PROJECT = frozenset({"lightgbm", "onnx", "sklearn", "xgboost"})
_shared: dict[str, ProbeServer] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedFile:
    """A model file to load, and the golden rows that it has to predict; `artifact` says how it is fed."""

    artifact: Artifact
    payload: Payload
    golden: bytes = b""


class SubprocessProbe:
    """Loads models in another process; which ones loaded is remembered in `home`/loaded.

    The process imports the library of a format once, and serves until it isn't used for a minute.
    """

    def __init__(self, options: FormatOptions) -> None:
        self._options = options
        self._known = Path(options.home) / "loaded"
        self._servers: dict[str, ProbeServer] = {}

    def confirm(
        self, artifact: Artifact, form: ModelFormat, payload: Payload, golden: bytes, /
    ) -> None:
        """Load a model in another process, unless it is known to load; StorageError if it doesn't."""
        if not self._mark(artifact, form).exists():
            self.measure(artifact, form, payload, golden)
            self.remember(artifact, form)

    def measure(
        self, artifact: Artifact, form: ModelFormat, payload: Payload, golden: bytes, /
    ) -> float:
        """Load a model in another process; return the largest difference of its predictions."""
        file = ProbedFile(artifact=artifact, payload=payload, golden=golden)
        [found] = self.check(form, [file])
        if found.fault:
            raise StorageError(
                f"loading its {form.name} file of {byte_count(payload):,} bytes in a process of its own "
                f"failed: {found.fault}"
            )
        return found.difference

    def remember(self, artifact: Artifact, form: ModelFormat, /) -> None:
        """Record that a model loads with the installed version of its library."""
        path = self._mark(artifact, form)
        with suppress(OSError):  # then it is loaded in another process once more
            make_private_folder(path.parent, below=path.parent.parent)
            open(path, "ab", opener=open_private).close()

    def check(self, form: ModelFormat, files: Sequence[ProbedFile]) -> list[GoldenCheck]:
        """Load files of one format in another process, each in a fork of it."""
        server = self._server(form.name)
        return [server.check(_request(file)) for file in files]

    def close(self) -> None:
        """End the processes but those that others share, which end when they are idle."""
        while self._servers:
            self._servers.popitem()[1].close()

    def _server(self, form: str) -> ProbeServer:
        if form in _OF_NO_PROJECT:
            return _shared.setdefault(form, ProbeServer(FormatOptions(home="", root=""), form))
        return self._servers.setdefault(form, ProbeServer(self._options, form))

    def _mark(self, artifact: Artifact, form: ModelFormat) -> Path:
        versions = [[module, installed_version(module)] for module in form.modules]
        versions += map(list, own_format_codes([form]).items())
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


def _request(file: ProbedFile) -> ProbeRequest:
    size = byte_count(file.payload)
    seconds = int(_SECONDS + size / _BYTES_PER_S)
    return ProbeRequest(
        parts=(encode(file.artifact).encode(), file.payload, file.golden),
        seconds=seconds,
        patience=_IDLE * seconds,
        memory=_MEMORY + _MEMORY_PER_BYTE * size,
    )
