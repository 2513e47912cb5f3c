"""Open the adapters of a project, and import Polars only when it is needed."""

from __future__ import annotations

import os
import platform
import secrets
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.adapters.files import memos, probes
from tidemill.adapters.search.optuna_sampler import OptunaSampler
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import Fault, StorageError
from tidemill.core.package_metadata import installed_version
from tidemill.core.python_command import inherited_path
from tidemill.core.redaction import Redactor
from tidemill.core.store_url import is_store_url
from tidemill.core.units import parse_bytes
from tidemill.ledger.io.home_files import make_home, open_private, require_usable
from tidemill.planning.hop_costs import HopCosts
from tidemill.ports.execution import Executor, TaskFunctions, TaskMeter, WorkerClass
from tidemill.ports.reuse import Memos
from tidemill.ports.runtime import Runtime
from tidemill.project.clock import project_clock
from tidemill.project.external_sources import OpenedSources
from tidemill.project.home_ledger import open_claims, open_ledger
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import SubprocessProbe
from tidemill.project.model_probe_server import FormatOptions
from tidemill.project.object_stores import open_artifacts, store_secrets
from tidemill.project.settings import Settings
from tidemill.project.sinks import open_sinks
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.reuse.recipe import Platform
from tidemill.runs.io.job import EngineOptions
from tidemill.sources.io.file_listing import Counted
from tidemill.sources.io.file_root import FileSet
from tidemill.steps.project_context import ProjectContext
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.sink import URL_SINKS
from tidemill.workflow.source import Source, SourceFile
from tidemill.workflow.stage import Flow, Stage

if TYPE_CHECKING:
    from tidemill.reuse.probe import Probe

# Training yields to serving; deferrable work yields to both.
_CLASSES = {
    "training": WorkerClass(niceness=10, deferrable=True),
    "deferrable": WorkerClass(niceness=15, deferrable=True),
}
# All workers of a run that may be preempted yield to all else on the machine.
_PREEMPTIBLE = {
    name: WorkerClass(niceness=10, deferrable=name != "default") for name in ("default", *_CLASSES)
}


def run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def count_rows(sets: Sequence[FileSet]) -> Sequence[Counted]:
    # Only changed files are opened, which needs Polars.
    from tidemill.sources.io.first_look import look_at_files

    return look_at_files(sets)


def list_tables(
    source: Source[Any], stage: Stage, tools: Runtime, known: Mapping[str, SourceFile]
) -> Mapping[str, SourceFile]:
    # Only sources other than files need Polars to be listed.
    from tidemill.sources.io.tables import list_table

    return list_table(source, stage, tools, known)


def probe(stage: Stage) -> Probe | None:
    # Only changed stages are called, which needs Polars.
    from tidemill.reuse.probe import probe

    return probe(stage)


def probe_before_scan(stage: Stage) -> Probe | None:
    # Probing starts threads of Polars, after which a fork can't look at files any more.
    import_module("tidemill.sources.io.first_look").prepare()
    return probe(stage)


def end_scan() -> None:
    """End the process that was prepared to look at files."""
    if (module := sys.modules.get("tidemill.sources.io.first_look")) is not None:
        module.end()


def compile_rules(spec: ContractSpec) -> list[Fault]:
    # Only Polars knows whether a rule can be evaluated.
    from tidemill.contracts.checks.rule_compilation import compile_faults

    return compile_faults(spec)


def this_platform() -> Platform:
    return Platform(
        engine=installed_version("polars"),
        python=sys.version.split()[0],
        machine=f"{platform.machine()} {sys.platform}",
        tidemill=installed_version("tidemill"),
    )


def open_shared_ledger(
    settings: Settings, redactor: Redactor, *, when_used: bool = False
) -> SqliteLedger:
    """Open the ledger of a home, which several workflows may share; a new home is made.

    With `when_used` a server is asked only by the first use.
    """
    home = settings.root / settings.home
    require_usable(home)
    try:
        make_home(home, settings.home_group)
        ignore = home / ".gitignore"
        if not ignore.exists():
            with open(ignore, "w", encoding="utf-8", opener=open_private) as file:
                file.write("*\n")
    except OSError as error:
        raise StorageError(f"{home} can't be written: {error.strerror}") from error
    return open_ledger(settings, redactor, when_used=when_used)


def open_tools(
    settings: Settings,
    flow: Flow,
    redactor: Redactor,
    *,
    trusts: Callable[[str], bool] | None = None,
    when_used: bool = False,
) -> Runtime:
    """Open the adapters; with `when_used` the server of a ledger is asked only by the first use.

    With `trusts` only results of people whom it accepts are reused.
    """
    root, home = settings.root, settings.root / settings.home
    memo = root / (settings.memo or home / "memo")
    options = FormatOptions(
        home=str(home),
        root=str(root),
        model_formats=tuple(settings.model_formats),
        allow_pickle=settings.allow_pickle,
    )
    shared = open_shared_ledger(settings, redactor, when_used=when_used)
    clock = project_clock(shared.clock)
    return Runtime(
        root=root,
        logs=logs_in(home),
        ledger=WorkflowLedger(shared, flow.name, flow.names, settings.retention, trusts),
        artifacts=open_artifacts(settings, clock),
        claims=open_claims(settings),
        probes=probes.FileProbes(home),
        memos=memos.FileMemos(memo, below=None if settings.memo else home),
        formats=open_formats(options),
        model_probe=SubprocessProbe(options),
        sinks=open_sinks(flow),
        external_sources=_open_sources(settings, redactor, flow),
        sampler=OptunaSampler(),
        clock=clock,
        redactor=redactor,
    )


def _open_sources(settings: Settings, redactor: Redactor, flow: Flow) -> OpenedSources:
    """The external sources; the credentials of sinks are masked as theirs are."""
    sources = OpenedSources(settings, redactor)
    places = [stage.sink.folder for stage in flow.stages if stage.sink is not None]
    if settings.artifacts or any(map(is_store_url, places)):
        redactor.learn(store_secrets())
    for stage in flow.stages:
        if stage.sink is not None and stage.sink.format in URL_SINKS:
            sources.learn_secrets(stage.sink.folder)
    return sources


def memo_spaces(known: Memos) -> list[str]:
    """The names of the spaces of a memo store in files."""
    return known.spaces() if isinstance(known, memos.FileMemos) else []


def logs_in(home: Path) -> Path:
    """The folder with the logs of steps, one subfolder per run."""
    return home / "logs"


def engine_options(  # noqa: PLR0913 - what a run may use
    settings: Settings,
    flow: Flow,
    environment: str,
    run: str,
    *,
    careful: bool,
    secrets: Collection[str],
    profile: RunProfile | None = None,
    meter: TaskMeter | None = None,
) -> EngineOptions:
    """The engines on which a run's steps can execute besides its own thread; they mask `secrets`.

    The `profile` says how much of the machine they may use; the `meter` watches what steps use.
    """
    profile = profile or RunProfile(name="")
    cpus = settings.workers or machine_cpus()
    share = float(cpus)
    if profile.whole_machine:
        share = max(share, machine_cpus())
    elif profile.cpus:
        share = min(profile.cpus, machine_cpus())
    cpus = max(1, ceil(share))
    memory = 0 if profile.whole_machine or not settings.memory else parse_bytes(settings.memory)

    def processes(_: TaskFunctions) -> Executor:
        from tidemill.adapters.lanes.process_lane import ProcessLane

        return ProcessLane(
            max_workers=cpus,
            cpus=share,
            idle_s=settings.idle,
            gpus=settings.gpus,
            memory=memory,
            classes=_PREEMPTIBLE if profile.preemptible else _CLASSES,
            meter=meter,
            # Output that bypasses Python: of a subprocess, a C library, a crash.
            output=logs_in(settings.root / settings.home) / run,
        )

    def threads(functions: TaskFunctions) -> Executor:
        from tidemill.adapters.lanes.thread_lane import ThreadLane

        return ThreadLane(max_workers=cpus, idle_s=settings.idle, functions=functions)

    engines: dict[str, Callable[[TaskFunctions], Executor]] = {"thread": threads}
    # Other processes can only import a workflow that has a name.
    remote, hops = None, HopCosts()
    if ":" in settings.workflow:
        engines["process"] = processes
        if settings.executor:
            engine = import_module("tidemill.project.cluster_engine")
            classes = _PREEMPTIBLE if profile.preemptible else _CLASSES
            engines["cluster"] = engine.cluster_engine(
                settings, classes=classes, meter=meter, run=run
            )
            remote, hops = engine.remote_workers(settings, flow), engine.known_hops(settings)
    context = ProjectContext(
        root=str(settings.root),
        workflow=settings.workflow,
        home=settings.home,
        home_url=settings.home_url,
        memo=settings.memo,
        environment=environment,
        run=run,
        path=inherited_path(sys.path, os.getcwd()),
        argv=tuple(sys.argv),
        profiles=settings.profiles,
        secrets=tuple(sorted(secrets)),
        model_formats=tuple(settings.model_formats),
        allow_pickle=settings.allow_pickle,
        artifacts=settings.artifacts,
        artifacts_cache=settings.artifacts_cache,
    )
    return EngineOptions(
        engines=engines,
        context=context,
        cpus=cpus,
        careful=careful,
        memory=profile.memory,
        preemptible=profile.preemptible,
        remote=remote,
        hops=hops,
    )


def machine_cpus() -> int:
    """The number of CPUs that this process may use, by the machine and by its container."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, ceil(int(quota) / int(period)))
    return max(1, count)
