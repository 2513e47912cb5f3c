"""Run steps on a cluster: which stages may go there, and what its workers are given."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tidemill.adapters.clusters.cluster_executor import ClusterExecutor, ClusterTerms
from tidemill.adapters.clusters.cluster_worker import WorkerTerms
from tidemill.adapters.clusters.host import machine_id, versions
from tidemill.adapters.clusters.node_variables import CODE_VARIABLE, HOME_VARIABLE
from tidemill.adapters.clusters.shipment import Archive, pack_files, project_files
from tidemill.adapters.files.hop_times import FileHopTimes
from tidemill.adapters.objectstore.owner import NOTES
from tidemill.adapters.sqlite.snapshot import copy_ledger
from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.core.store_url import FOLDER
from tidemill.core.units import parse_bytes
from tidemill.ledger.io.home_files import LEDGER_NAME, make_home
from tidemill.planning.hop_costs import HopCosts
from tidemill.planning.placement import RemoteWorkers
from tidemill.ports.execution import Executor, TaskFunctions, TaskMeter, WorkerClass
from tidemill.project.cluster_settings import CLASSES, SLURM, ClusterSettings
from tidemill.project.home_ledger import HOME_ID, home_id, ledger_file
from tidemill.project.settings import Settings
from tidemill.workflow.stage import Flow, Kind, Stage

_NAMES = {"tidemill": "Tidemill", "python": "Python", "polars": "Polars"}


def remote_workers(settings: Settings, flow: Flow) -> RemoteWorkers:
    """The workers of the cluster, and the stages that stay here.

    An ingest reads files and databases that this machine can reach, a delivery writes to them, and aggregates
    of folds are kept in the home.
    """
    held = cluster_settings(settings)
    return RemoteWorkers(
        cpus={name: held.shape(name).cpus for name in CLASSES},
        most=held.workers,
        here={stage.name for stage in flow.stages if _stays(stage)},
        near_memory=parse_bytes(settings.memory) if settings.memory else _half_of_memory(),
    )


def cluster_settings(settings: Settings) -> ClusterSettings:
    """The settings of the cluster that is used."""
    return settings.slurm if settings.executor == SLURM else settings.ray


def _half_of_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def known_hops(settings: Settings) -> HopCosts:
    """What hops to the cluster cost in earlier runs."""
    return HopCosts(_hop_times(settings).get(settings.executor))


def keep_hops(settings: Settings, hops: HopCosts) -> None:
    """Keep what hops to the cluster cost, for later runs."""
    _hop_times(settings).put(settings.executor, hops.hop_s)


def _hop_times(settings: Settings) -> FileHopTimes:
    return FileHopTimes(settings.root / settings.home)


def _stays(stage: Stage) -> bool:
    return stage.kind in (Kind.INGEST, Kind.DELIVER) or any(
        item.fold is not None for item in stage.inputs
    )


def cluster_engine(
    settings: Settings,
    *,
    classes: Mapping[str, WorkerClass],
    meter: TaskMeter | None,
    run: str,
) -> Callable[[TaskFunctions], Executor]:
    """What opens the executor; then UsageError if the cluster can't be reached, or an extra is missing."""

    # Each step asks anew, and an address that doesn't answer takes seconds.
    @cache
    def connection() -> tuple[Any, str]:
        try:
            return _connect(settings), ""
        except UsageError as error:
            return None, str(error)

    def opened(_: TaskFunctions) -> Executor:
        connected, problem = connection()
        if problem:
            raise UsageError(problem)
        held = cluster_settings(settings)
        return ClusterExecutor(
            connected,
            ClusterTerms(
                workers=held.workers,
                default=held.worker,
                shapes=held.classes,
                idle_s=settings.idle,
                pending_s=held.pending,
                meter=meter,
            ),
            WorkerTerms(
                classes=classes,
                idle_s=settings.idle,
                markers=_markers(settings),
                admit=_Admission(settings, run),
            ),
        )

    return opened


def _connect(settings: Settings) -> Any:
    """A connection to the cluster; only one whose kind is used is imported."""
    name = SLURM if settings.executor == SLURM else "ray"
    try:
        module = import_module(f"tidemill.adapters.{name}.cluster")
    except ModuleNotFoundError as error:
        raise UsageError(f"executor needs {error.name}: {install_command('ray')}") from error
    if name == SLURM:
        return module.SlurmCluster(settings.slurm.job)
    return module.RayCluster(settings.executor)


def probe_executor(settings: Settings) -> str:
    """Connect to the cluster; what it has, or UsageError."""
    cluster = _connect(settings)
    try:
        return f"{settings.executor}: {cluster.describe(cluster_settings(settings).worker)}"
    finally:
        cluster.close()


def _markers(settings: Settings) -> tuple[str, ...]:
    """The file by which a worker shows that it has this home, and that of a folder with objects."""
    home = settings.root / settings.home
    make_home(home, settings.home_group)
    found = [str(home / HOME_ID)]
    if settings.artifacts.startswith(FOLDER):
        folder = Path(settings.artifacts.removeprefix(FOLDER))
        found.append(str(folder / NOTES / home_id(settings)))
    return tuple(found)


class _Admission:
    """Decides whether a worker may run steps, and gives it the project unless it has this machine's."""

    def __init__(self, settings: Settings, run: str) -> None:
        self._settings, self._run = settings, run
        self._home = settings.root / settings.home
        self._id = home_id(settings)
        self._archives = cache(self._pack)

    def __call__(
        self, facts: Mapping[str, Any], unpack: Callable[[str, bytes | None], str]
    ) -> tuple[Mapping[str, str], str]:
        refuse_other_versions(facts, versions())
        markers = facts["markers"]
        if (
            facts["machine"] == machine_id() != ""
            and markers[str(self._home / HOME_ID)] == self._id
        ):
            return {}, str(self._home / "logs" / self._run)
        self._refuse_unreadable_objects(facts)
        code, home = (_send_archive(archive, unpack) for archive in self._archives())
        return {CODE_VARIABLE: code, HOME_VARIABLE: home}, ""

    def _refuse_unreadable_objects(self, facts: Mapping[str, Any]) -> None:
        url, where = self._settings.artifacts, facts["address"]
        if not url:
            raise UsageError(
                f"the node {where} of the cluster {self._settings.executor} is another machine and can't "
                f"read the objects in {self._home}: keep them where all nodes can, such as "
                'artifacts = "s3://BUCKET/PATH" in [tool.tidemill]'
            )
        if url.startswith(FOLDER) and None in [*facts["markers"].values()][1:]:
            raise UsageError(
                f"the node {where} of the cluster {self._settings.executor} can't read the objects at {url}: "
                "mount the folder there under the same path, or use an object store"
            )

    def _pack(self) -> tuple[Archive, Archive]:
        """The project's files, and the state of its home as far as steps read it."""
        skipped = {self._home.resolve(), (self._settings.root / self._settings.memo).resolve()}
        skipped -= {self._settings.root.resolve()}
        code = pack_files(
            project_files(self._settings.root, lambda path: path.resolve() in skipped)
        )
        with tempfile.TemporaryDirectory() as folder:
            state = [(HOME_ID, self._home / HOME_ID)]
            # Workers open a ledger that machines share by themselves, and keep their copy beside the id.
            if not self._settings.home_url:
                state.append((LEDGER_NAME, Path(folder) / LEDGER_NAME))
                copy_ledger(ledger_file(self._settings), state[-1][1])
            home = pack_files(iter(state))
        return code, home


def _send_archive(archive: Archive, unpack: Callable[[str, bytes | None], str]) -> str:
    """The folder of an archive on a node, which is sent unless the node has it."""
    return unpack(archive.digest, None) or unpack(archive.digest, archive.data)


def refuse_other_versions(facts: Mapping[str, Any], own: Mapping[str, str]) -> None:
    """Raise UsageError for a worker with other versions, whose results could differ."""
    theirs = facts["versions"]
    other = [
        f"{_NAMES[name]} {theirs.get(name) or 'missing'} instead of {version}"
        for name, version in own.items()
        if theirs.get(name) != version
    ]
    if other:
        raise UsageError(
            f"the node {facts['address']} of the cluster has {', '.join(other)}: results could differ; give "
            "its workers the environment of this project"
        )
