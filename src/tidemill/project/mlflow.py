"""Mirror the versions of models to a server of MLflow: after runs and moves, or when it is asked for.

The mirror follows the ledger. A file in the home has the number of the event up to which everything is
mirrored, so that the server isn't asked if no model changed since; it is written only after all of it is
there. A server that is away is asked again by the next run.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from tidemill.core.errors import ConflictError, TidemillError, UsageError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.core.payload import Payload
from tidemill.governance.permissions import Permission
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.models.io.mlflow_mirror import MirrorReport, MlflowMirror
from tidemill.models.mlflow.accepted_text import accepted_name, alias_of
from tidemill.models.mlflow.mirrored_version import MirroredModel, mirror_version, owner_of
from tidemill.ports.ledger import Lease, State
from tidemill.project.mlflow_server import open_server
from tidemill.project.mlflow_settings import MlflowSettings
from tidemill.project.models import Models
from tidemill.project.openlineage_settings import resolve_variable
from tidemill.project.workspace import Workspace
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind

_LEASE, _LEASE_S = "mlflow", 600.0
# Faults that a run shows.
_SHOWN = 3
# What can change what is mirrored, beside what models and their evaluations publish.
_KINDS = (
    "Decided",
    "Delivered",
    "EnvironmentCreated",
    "EnvironmentDropped",
    "ReviewOpened",
    "ReviewClosed",
    "SweepConfirmed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mirrored:
    """Everything up to the event with the number `after` is on the server."""

    after: int


class Mlflow:
    """Mirrors the models of a workspace's environment."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def mirror(self) -> MirrorReport:
        """Bring the server up to date, however long it takes; everything is compared.

        UsageError without settings, ConflictError while another process does it, SendError if the server is
        away, AccessError for who may not run.
        """
        self._workspace.require(Permission.RUN)
        settings = self._workspace.settings.mlflow
        if settings is None or not settings.mirrors(self._workspace.environment):
            raise UsageError(
                f"models of {self._workspace.environment} aren't mirrored: set tracking_uri, and "
                "environments if there are any, in [tool.tidemill.mlflow]"
            )
        return self._mirror(settings, within_s=None)

    def catch_up(self) -> tuple[str, ...]:
        """Mirror what changed, within the time of the settings; return what failed. Raises nothing."""
        space = self._workspace
        settings = space.settings.mlflow
        if settings is None or not settings.mirrors(space.environment):
            return ()
        try:
            if not self._is_behind(settings):
                return ()
            faults = self._mirror(settings, within_s=settings.within).faults
        except ConflictError:
            # Of another environment perhaps, or of an earlier state of this one.
            return (_waiting("another process mirrors just now"),)
        except TidemillError as error:
            return (_waiting(space.redactor.redact(str(error))),)
        # A run that succeeded mustn't fail by what is shown of it elsewhere.
        except Exception as error:  # noqa: BLE001
            return (f"MLflow: what changed waits ({type(error).__name__})",)
        more = (f"{len(faults) - _SHOWN} more",) if len(faults) > _SHOWN else ()
        shown = (*faults[:_SHOWN], *more)
        return tuple(f"MLflow: {space.redactor.redact(fault)}" for fault in shown)

    def _mirror(self, settings: MlflowSettings, *, within_s: float | None) -> MirrorReport:
        space, tools = self._workspace, self._workspace.tools
        holder = this_process("mlflow")
        lease = tools.ledger.acquire(_LEASE, holder, now=tools.clock(), ttl=_LEASE_S, dead=is_dead)
        try:
            with closing(open_server(settings, space.redactor, within_s=within_s)) as server:
                name = self._experiment(settings)
                mirror = MlflowMirror(server, name, self._load if settings.upload else None)
                return self._send(settings, mirror, lease)
        finally:
            tools.ledger.release(lease)

    def _load(self, artifact: Artifact) -> Payload:
        return self._workspace.tools.artifacts.get(artifact.object)

    def _send(self, settings: MlflowSettings, mirror: MlflowMirror, lease: Lease) -> MirrorReport:
        """Mirror one model after the other; the lease is renewed before each."""
        tools = self._workspace.tools
        state = tools.ledger.state(self._workspace.environment)
        for model in self._models(settings, state):
            lease = tools.ledger.renew(lease, now=tools.clock(), ttl=_LEASE_S)
            mirror.mirror([model])
        if not mirror.report.faults:
            self._store(settings, _Mirrored(after=state.seq))
        return mirror.report

    def _models(self, settings: MlflowSettings, state: State) -> Iterator[MirroredModel]:
        space = self._workspace
        workflow, environment = space.declared.name, space.environment
        prefix = f"{workflow}." if settings.prefix is None else settings.prefix
        existing = {each for each in state.environments if settings.mirrors(each)}
        for name, model in Models(space).items():
            registered = accepted_name(f"{prefix}{name}")
            yield MirroredModel(
                model=name,
                owner=owner_of(self._experiment(settings), registered),
                name=registered,
                environment=environment,
                versions=tuple(
                    mirror_version(version, workflow, environment, space.redactor.redact)
                    for version in reversed(model.versions)
                ),
                alias=alias_of(environment),
                live=self._live(state, name),
                aliases=frozenset(map(alias_of, existing | {environment})),
            )

    def _experiment(self, settings: MlflowSettings) -> str:
        return settings.experiment or self._workspace.declared.name

    def _live(self, state: State, name: str) -> str:
        """The version that predicts: the live one, or the last one of a model without gates."""
        if name in state.live:
            return state.live[name].artifact.id
        declared = {stage.name: stage for stage in self._workspace.flow.stages}
        head = state.heads.get(name)
        if head is None or name not in declared or declared[name].approval is not None:
            return ""
        artifact = head.partitions[WHOLE].product.artifact if WHOLE in head.partitions else None
        return artifact.id if artifact is not None else ""

    def _is_behind(self, settings: MlflowSettings) -> bool:
        """Whether anything that is mirrored may have changed since everything was."""
        try:
            after = msgspec.json.decode(self._file(settings).read_bytes(), type=_Mirrored).after
        except (OSError, msgspec.DecodeError):
            return True
        ledger = self._workspace.tools.ledger
        if any(ledger.events(kinds=_KINDS, after=after, limit=1)):
            return True
        kinds = ("Published", "Computed")
        return any(
            any(ledger.events(kinds=kinds, stage=stage.name, after=after, limit=1))
            for stage in self._workspace.flow.stages
            if stage.kind in (Kind.MODEL, Kind.EVALUATE)
        )

    def _file(self, settings: MlflowSettings) -> Path:
        """The file that says what is mirrored of an environment with these settings."""
        space = self._workspace
        about = (space.declared.name, space.environment, repr(settings))
        name = fingerprint("mlflow mirror", *about, resolve_variable(settings.tracking_uri))
        return space.home / "mlflow" / f"{name[:16]}.json"

    def _store(self, settings: MlflowSettings, done: _Mirrored) -> None:
        """Note that everything is mirrored; if the disk is full it is compared once more."""
        file = self._file(settings)
        beside = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        with suppress(OSError):
            make_private_folder(file.parent)
            with open(beside, "xb", opener=open_private) as stream:
                stream.write(msgspec.json.encode(done))
            os.replace(beside, file)


def _waiting(reason: str) -> str:
    return (
        f"MLflow: what changed waits ({reason}); the next run sends it, or `tidemill models mirror`"
    )
