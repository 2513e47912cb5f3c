"""Send runs to other tools as events of OpenLineage, while they run or afterwards."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tidemill.core.errors import SendError, TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import url_secrets
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import LineageDropped
from tidemill.ledger.run import Receipt
from tidemill.ledger.workflow_scope import split_name
from tidemill.lineage.io.event_queue import EventQueue, SentEvents
from tidemill.lineage.io.followed_ledger import FollowedLedger
from tidemill.lineage.io.repository import find_code
from tidemill.lineage.io.run_follower import RunFollower, events_of_run
from tidemill.lineage.openlineage.dataset_names import Places
from tidemill.lineage.openlineage.event_text import encode_event
from tidemill.lineage.openlineage.facets import CodeLocation, Json
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.ports.lineage import LineageTransport
from tidemill.ports.runtime import Runtime
from tidemill.project.openlineage_settings import (
    OpenLineageSettings,
    lineage_url,
    resolve_variable,
)
from tidemill.project.workspace import Workspace
from tidemill.sources.io.file_listing import call_ingest
from tidemill.workflow.loaders import Dbt
from tidemill.workflow.source import Output, Source
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageStatus:
    """Where the events of an environment are sent, and those that weren't at the end of their runs.

    `target` is "" if nothing is sent; `lost` has the newest run first.
    """

    target: str
    namespace: str
    lost: tuple[LineageDropped, ...] = ()


class OpenLineage:
    """Makes the events of runs, and sends them to where the settings say."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def settings(self) -> OpenLineageSettings:
        """The settings, or the default ones."""
        return self._workspace.settings.openlineage or OpenLineageSettings()

    def events(self, run: str) -> Iterator[Json]:
        """The events of a run of this workflow, by its id."""
        made = events_of_run(self._workspace.tools.ledger, run, self.context)
        return (make() for make in made)

    def lines(self, run: str) -> Iterator[str]:
        """The same as they are sent: a JSON document a line."""
        for event in self.events(run):
            yield encode_event(event).decode()

    def send(self, run: str) -> SentEvents:
        """Send the events of a run again, however long it takes.

        UsageError without settings that say where to, AccessError for who may not run.
        """
        self._workspace.require(Permission.RUN)
        if not self.settings.sends:
            raise UsageError(
                "the settings don't say where to send events: set url, file or command in "
                "[tool.tidemill.openlineage]"
            )
        queue = EventQueue(self.open_transport(), most_waiting=1_000_000)
        for make in events_of_run(self._workspace.tools.ledger, run, self.context):
            queue.put(run, make)
        return queue.finish(None).get(run, SentEvents())

    def status(self) -> LineageStatus:
        """Where events are sent, and which weren't at the end of their runs."""
        self._workspace.require(Permission.READ)
        facts = self._workspace.tools.ledger.events(kinds=(LineageDropped.__name__,))
        ours = (fact.event for fact in facts if isinstance(fact.event, LineageDropped))
        lost = tuple(event for event in ours if event.environment == self._workspace.environment)
        settings = self.settings
        return LineageStatus(
            target=settings.target if settings.sends else "",
            namespace=self.context.places.namespace_of(self._workspace.environment),
            lost=lost[::-1],
        )

    def open_transport(self) -> LineageTransport:
        """Open what the settings name; UsageError for a URL, in a variable, that is none."""
        settings, root = self.settings, self._workspace.root
        if settings.file:
            return _transport("file_transport", "FileTransport", root / settings.file)
        if settings.command:
            return _transport("command_transport", "CommandTransport", settings.command, root)
        key = resolve_variable(settings.api_key)
        self._workspace.redactor.learn({key} - {""})
        return _transport(
            "http_transport",
            "HttpTransport",
            lineage_url(settings),
            api_key=key,
            compress=settings.gzip,
            timeout_s=settings.timeout,
            agent=f"tidemill/{_version()}",
        )

    @cached_property
    def context(self) -> LineageContext:
        """The declaration of the workflow, and where it and its data are."""
        space = self._workspace
        return LineageContext(
            flow=space.flow,
            recipes=space.recipes,
            places=Places(
                namespace=self.settings.namespace,
                root=space.root.as_posix(),
                resolve=self._resolved,
                workflow_of=self._workflow_of,
                table_of=self._table_of,
            ),
            version=_version(),
            source_of=cache(_source_of),
            code_of=self._code_of,
            redact=space.redactor.redact,
        )

    def _resolved(self, url: str) -> str:
        found = resolve_variable(url)
        self._workspace.redactor.learn(url_secrets(found))
        return found

    def _workflow_of(self, source: Output[Any]) -> str:
        """The workflow of an output, if it is declared, or the only one of its project."""
        if source.workflow:
            return source.workflow
        with suppress(TidemillError):
            ledger = self._workspace.tools.external_sources.project(source.project)[0]
            known = map(split_name, ledger.state("").environments)
            prefixes = {prefix for prefix, name in known if name == source.env}
            if len(prefixes) == 1:
                return unquote(prefixes.pop().rstrip("/"))
        return ""

    def _table_of(self, source: Dbt[Any]) -> tuple[str, ...]:
        """The names of a model's table; none if dbt's files don't have it."""
        reader: Any = import_module("tidemill.sources.io.dbt_model")
        with suppress(TidemillError):
            names: tuple[str, ...] = reader.find_model(
                replace(source, built=False), self._workspace.root
            ).names
            return names
        return ()

    @cached_property
    def _code(self) -> Mapping[Path, CodeLocation]:
        files = map(_file_of, self._workspace.flow.stages)
        return _code_in(self._workspace.root, frozenset(file for file in files if file))

    def _code_of(self, stage: Stage) -> CodeLocation | None:
        file = _file_of(stage)
        return self._code.get(file) if file is not None else None


@cache
def _code_in(root: Path, files: frozenset[Path]) -> Mapping[Path, CodeLocation]:
    """Where the code is that this process has imported; git is asked once."""
    return find_code(root, files)


def _file_of(stage: Stage) -> Path | None:
    code = getattr(stage.function, "__code__", None)
    return Path(code.co_filename) if code is not None else None


def _source_of(stage: Stage) -> Source[Any] | None:
    try:
        return call_ingest(stage)
    except TidemillError:
        return None


def _transport(module: str, name: str, *given: Any, **options: Any) -> LineageTransport:
    """Open a transport; only the one that is used is imported."""
    kind = getattr(import_module(f"tidemill.adapters.openlineage.{module}"), name)
    found: LineageTransport = kind(*given, **options)
    return found


@cache
def _version() -> str:
    return importlib.metadata.version("tidemill")


class _RefusingTransport:
    """Stands for a transport that can't be opened, which is no reason not to run."""

    confirms = True

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def send(self, event: bytes) -> None:
        raise SendError(self._reason)

    def abort(self) -> None:
        """Do nothing: nothing takes time."""

    def close(self) -> None:
        """Do nothing: nothing was sent."""


def _open_or_refuse(service: OpenLineage) -> LineageTransport:
    try:
        return service.open_transport()
    except UsageError as error:
        return _RefusingTransport(str(error))


class FollowedRun:
    """Sends what happens in a run; `tools` are those of the workspace, with a ledger that is followed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._service = OpenLineage(workspace)
        tools = workspace.tools
        self._queue = EventQueue(_open_or_refuse(self._service))
        follower = RunFollower(tools.ledger, self._queue, lambda: self._service.context)
        ledger = FollowedLedger(tools.ledger, follower.notify, tools.redactor.redact)
        self.tools: Runtime = replace(tools, ledger=ledger)

    def finish(self, receipt: Receipt | None) -> Receipt | None:
        """Send what is left, within the time that the settings allow; note in the receipt what is lost."""
        sent = self._queue.finish(self._service.settings.flush)
        lost = [self._lost(run, found) for run, found in sent.items() if found.dropped]
        if lost:
            tools = self._workspace.tools
            # The run has ended; what is shown of it must not fail.
            with suppress(TidemillError):
                tools.ledger.append(lost, now=tools.clock())
        if receipt is None:
            return None
        return replace(receipt, messages=(*receipt.messages, *(each.message for each in lost)))

    def _lost(self, run: str, found: SentEvents) -> LineageDropped:
        return LineageDropped(
            run=run,
            environment=self._workspace.environment,
            events=found.dropped,
            total=found.sent + found.dropped,
            reason=self.tools.redactor.redact(found.reason),
        )
