"""One endpoint of a running server: the version that answers, and the one before, which is kept warm."""

from __future__ import annotations

from typing import Any

from tidemill.serving import oip
from tidemill.serving.errors import NotFound, Unavailable
from tidemill.serving.io.loaded_version import LoadedVersion
from tidemill.serving.oip import Reply


class EndpointService:
    """The versions of one endpoint; only the thread of the event loop calls it.

    `fault` says why the version that should be live isn't; "" if it is.
    """

    def __init__(self, name: str, model: str) -> None:
        self.name = name
        self.model = model
        # The live version is an attribute of an instance, because replacing one of a class that another
        # thread calls has crashed Python.
        self.live: LoadedVersion | None = None
        self.previous: LoadedVersion | None = None
        self.fault = "it has no live version yet"

    @property
    def is_ready(self) -> bool:
        """Whether it can answer."""
        return self.live is not None

    @property
    def versions(self) -> list[LoadedVersion]:
        """The versions that can answer, the live one first."""
        return [version for version in (self.live, self.previous) if version is not None]

    def choose(self, version: str = "") -> LoadedVersion:
        """The version that answers a request: the live one, or one whose id is asked for.

        Unavailable if none is live, NotFound for a version that isn't loaded.
        """
        if not version:
            if self.live is None:
                raise Unavailable(f"{self.name} can't answer: {self.fault}", retry_after=5)
            return self.live
        for known in self.versions:
            if known.id == version:
                return known
        there = ", ".join(known.id for known in self.versions) or "none"
        raise NotFound(f"{self.name} has no version {version!r} loaded; there is {there}")

    def ready_reply(self, version: str = "") -> tuple[Reply, int]:
        """Whether it can answer, or one of its versions can, with the status of the reply."""
        if version:
            self.choose(version)
        is_ready = bool(version) or self.is_ready
        return oip.model_ready(self.name, is_ready), 200 if is_ready else 503

    def metadata(self, version: str = "") -> Reply:
        """Its inputs and outputs, as the Open Inference Protocol describes them."""
        chosen = self.choose(version)
        return oip.model_metadata(
            self.name,
            versions=[known.id for known in self.versions],
            platform=f"tidemill_{chosen.artifact.format}",
            columns=chosen.schema.columns,
            form=chosen.form,
        )

    def status(self) -> dict[str, Any]:
        """What answers, and what is wrong, as plain data."""
        return {
            "name": self.name,
            "model": self.model,
            "ready": self.is_ready,
            "fault": self.fault,
            "versions": [version.status() for version in self.versions],
        }

    async def install(self, version: LoadedVersion) -> None:
        """Let a version answer from now on; the one before stays warm, and the one before that is closed."""
        outgoing = self.previous
        self.live, self.previous, self.fault = version, self.live, ""
        if outgoing is not None:
            await outgoing.close()

    def reinstall(self, version: str) -> bool:
        """Let a version answer that is live or warm already; return whether there is such a one."""
        if self.live is not None and self.live.id == version:
            self.fault = ""
            return True
        if self.previous is None or self.previous.id != version:
            return False
        self.live, self.previous, self.fault = self.previous, self.live, ""
        return True

    async def close(self) -> None:
        """Close all versions."""
        for version in self.versions:
            await version.close()
        self.live = self.previous = None
