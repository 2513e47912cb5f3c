"""Examine a project and its machine, also if the project can't be opened: that is when people ask."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tidemill.adapters.sqlite.ledger_facts import LedgerFacts, look_at_ledger
from tidemill.core.counts import plural
from tidemill.core.errors import StorageError, TidemillError, describe_error
from tidemill.core.extras import modules_by_extra
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import Redactor
from tidemill.core.store_url import is_store_url
from tidemill.ledger.io.home_files import require_usable
from tidemill.notices.io.channels import channel_variables
from tidemill.operations.health import (
    Declared,
    HealthFinding,
    LedgerFile,
    Level,
    judge_clock,
    judge_disk,
    judge_installation,
    judge_ledger,
    judge_limits,
    judge_project,
    judge_surroundings,
)
from tidemill.operations.io.probes import (
    ClockWatch,
    probe_disk,
    probe_installation,
    probe_limits,
    text_encoding,
    unwritable,
)
from tidemill.project.external_sources import OpenedSources
from tidemill.project.home_ledger import ledger_file, open_shared
from tidemill.project.object_stores import probe_store
from tidemill.project.setting_faults import setting_faults
from tidemill.project.settings import Settings, find_settings, load_workflow
from tidemill.workflow.loaders import Dbt
from tidemill.workflow.seal import seal
from tidemill.workflow.source import Files, Query
from tidemill.workflow.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The settings and the workflow, as far as they can be read, and what is wrong with them."""

    settings: Settings
    workflow: Flow | None = None
    problem: str = ""
    import_s: float = 0.0


def examine(
    start: Path, workflow: str | None = None, *, connect: bool = False, full: bool = False
) -> list[HealthFinding]:
    """Examine the project in a folder, its home, its ledger and this machine; with `connect` its sources.

    With `full` the structure of a large ledger is checked as well, which takes minutes.
    Nothing is written but a probe file in the home, which is removed. It never raises for what it finds.
    """
    watch, found = ClockWatch(), _open(start, workflow)
    home = found.settings.root / found.settings.home
    disk, offset = probe_disk(home)
    path = home / "ledger.db"
    facts = look_at_ledger(path, full=full) if path.exists() else None
    findings = [
        *judge_installation(probe_installation(modules_by_extra())),
        *judge_limits(probe_limits()),
        *judge_surroundings(os.environ, text_encoding()),
        *judge_project(_declared(found)),
        *judge_disk(disk),
        *_restored_partly(home),
        *judge_ledger(None if facts is None else _ledger_file(path, facts)),
    ]
    if connect and found.workflow is not None:
        findings += _connections(found.settings, found.workflow)
    if connect and found.settings.home_url:
        findings.append(_shared_home(found.settings))
    if connect and found.settings.artifacts:
        findings.append(_object_store(found.settings))
    if connect and found.settings.executor:
        findings.append(_executor(found.settings))
    # The clock is looked at last, so that it is watched all the time.
    return [*findings, *judge_clock(watch.read(offset, facts.newest if facts else None))]


def _restored_partly(home: Path) -> Iterator[HealthFinding]:
    try:
        require_usable(home)
    except StorageError as error:
        yield HealthFinding(
            area="home",
            level=Level.FAULT,
            text=str(error),
            advice="until then no command works here",
        )


def _open(start: Path, workflow: str | None) -> _Found:
    settings = Settings(root=_root(start), workflow=workflow or "")
    began = time.monotonic()
    try:
        settings = find_settings(start, workflow)
        began = time.monotonic()
        flow = seal(load_workflow(settings))
    except TidemillError as error:
        return _Found(settings=settings, problem=str(error))
    except Exception as error:  # noqa: BLE001 - the module of users may raise anything
        problem = f"the workflow can't be imported: {describe_error(error)}"
        return _Found(settings=settings, problem=problem)
    return _Found(settings=settings, workflow=flow, import_s=time.monotonic() - began)


def _root(start: Path) -> Path:
    """The folder of the project whose settings can't be read."""
    folders = (start, *start.parents)
    return next((each for each in folders if (each / "pyproject.toml").is_file()), start)


def _declared(found: _Found) -> Declared:
    settings, flow = found.settings, found.workflow
    alerts = settings.alerts
    beat = [alerts.heartbeat] if alerts.heartbeat is not None else []
    named = [*settings.secrets, *sorted(channel_variables([*alerts.channels.values(), *beat]))]
    if settings.metrics.port and settings.metrics.token:
        named.append(settings.metrics.token)
    unset = [name for name in dict.fromkeys(named) if not os.environ.get(name)]
    outputs = {}
    for stage in flow.stages if flow is not None else ():
        folder = stage.sink.folder if stage.sink is not None else ""
        if folder and "://" not in folder and (why := unwritable(settings.root / folder)):
            outputs[folder] = why
    return Declared(
        place=f"workflow {flow.name} in {settings.root}" if flow is not None else "",
        problem=found.problem,
        import_s=found.import_s,
        stages=len(flow.stages) if flow is not None else 0,
        unset=unset,
        programs=_missing_programs(settings),
        settings=[str(fault) for fault in setting_faults(settings, flow)] if flow else [],
        outputs=outputs,
        is_alone=bool(alerts.channels) and not beat,
    )


def _missing_programs(settings: Settings) -> dict[str, str]:
    """The programs of channels that can't be started."""
    return {
        name: channel.command.arguments[0]
        for name, channel in settings.alerts.channels.items()
        if channel.command is not None and shutil.which(channel.command.arguments[0]) is None
    }


def _ledger_file(path: Path, facts: LedgerFacts) -> LedgerFile:
    return LedgerFile(
        path=str(path),
        problem=facts.problem,
        damage=facts.damage,
        checked=facts.checked,
        bytes=facts.bytes,
        log_bytes=facts.log_bytes,
        version=facts.version,
        known_version=facts.known_version,
        events=facts.events,
        leases=facts.leases,
    )


def _shared_home(settings: Settings) -> HealthFinding:
    """Try to reach the database of a home, and whether it has what this machine has seen of it."""
    try:
        ledger = open_shared(settings, Redactor(), when_used=True)
        try:
            if ledger_file(settings).exists():
                _ = ledger.copied
            text = f"{ledger.place} can be reached, and has {ledger.count:,} events"
            if not ledger.may_write:
                text += "; this user may only read them"
        finally:
            ledger.close()
    except TidemillError as error:
        return HealthFinding(area="shared home", level=Level.FAULT, text=str(error))
    return HealthFinding(area="shared home", level=Level.OK, text=text)


def _object_store(settings: Settings) -> HealthFinding:
    """Try to write and read an object, which is deleted then."""
    try:
        probe_store(settings)
    except TidemillError as error:
        return HealthFinding(area="objects", level=Level.FAULT, text=str(error))
    return HealthFinding(
        area="objects", level=Level.OK, text=f"{settings.artifacts} can be read and written"
    )


def _executor(settings: Settings) -> HealthFinding:
    """Try to reach the cluster on which steps run."""
    # Only projects with a cluster need what reaches it.
    engine = import_module("tidemill.project.cluster_engine")
    try:
        text = engine.probe_executor(settings)
    except TidemillError as error:
        return HealthFinding(area="executor", level=Level.FAULT, text=str(error))
    return HealthFinding(area="executor", level=Level.OK, text=text)


def _connections(settings: Settings, flow: Flow) -> Iterator[HealthFinding]:
    """Try to connect to each database and object store that a source reads: read names only."""
    opened = OpenedSources(settings)
    try:
        for stage in flow.stages:
            area, problem = f"source of {stage.name}", ""
            try:
                text = _connected(_source(stage), opened)
            except TidemillError as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - a driver may raise anything
                problem = describe_error(error)
            if problem:
                advice = "check the address, the network and the credentials"
                yield HealthFinding(area=area, level=Level.FAULT, text=problem, advice=advice)
            elif text:
                yield HealthFinding(area=area, level=Level.OK, text=text)
    finally:
        with suppress(Exception):
            opened.close()


def _connected(source: object, opened: OpenedSources) -> str:
    """What was found where a source is; "" for one that needs no connection."""
    if isinstance(source, Query):
        columns = opened.database(source.url, source.engine).columns(source.query)
        return f"connected; {plural(len(columns), 'column')}"
    if isinstance(source, Dbt):
        # Whether its model is current says a plan.
        opened.database(source.url, source.engine).columns("SELECT 1")
        return "connected"
    if isinstance(source, Files) and is_store_url(source.pattern):
        files = opened.file_store(source.pattern).list_files(source.pattern)
        return f"connected; {plural(len(files), 'file')}"
    return ""


def _source(stage: Stage) -> object:
    """What an ingest declares that it reads; its function takes nothing, and reads nothing yet."""
    if stage.kind is not Kind.INGEST or stage.function is None:
        return None
    return stage.function()
