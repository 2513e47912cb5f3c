"""Compose `tidemill up` for a project; nothing here imports its workflow, which the processes of `up` do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tidemill.core.errors import StorageError, UsageError
from tidemill.core.redaction import Redactor
from tidemill.operations.io.home_watch import ledger_identity
from tidemill.operations.io.job_channel import ChildOptions
from tidemill.operations.io.up import UpLoop, UpOptions
from tidemill.operations.up_report import workflow_place
from tidemill.ports.ledger import Ledger
from tidemill.project.clock import project_clock
from tidemill.project.composition import open_shared_ledger
from tidemill.project.settings import Settings, configured_secrets, find_settings
from tidemill.workflow.environment import check_environment_name

_WORKER = "tidemill.project.up_worker"
_LISTENER = "tidemill.project.listen_worker"
_LEDGER = "ledger.db"


def run_up(  # noqa: PLR0913 - the options of a command
    start: Path,
    *,
    workflow: str | None = None,
    environment: str,
    command: str,
    once: bool = False,
    serve: bool | None = None,
    console: bool | None = None,
    say: Callable[[str], None],
) -> int:
    """Watch, run, serve and clean up until this process is told to stop; return the exit code.

    `start` is a folder of the project. With `once` it does what is due and ends, serving nothing. Without a
    choice, endpoints are served, and the `console` is opened if its libraries are installed, as the settings
    say. `say` gets lines about what happens. Raises UsageError without a project, ConflictError if another
    one works and this one was to work `once`, StorageError when the home can't be used, or is moved.
    """
    settings = find_settings(start.resolve(), workflow)
    if ":" not in settings.workflow:
        raise UsageError(f"workflow {settings.workflow!r} is not module:name, such as flights:flow")
    environment = check_environment_name(environment)
    wanted = settings.up.serve if serve is None else serve
    shown = settings.console.up and can_show_console() if console is None else console
    command_line = ("tidemill", "-C", str(settings.root), *_workflow_option(workflow))
    redactor = Redactor(configured_secrets(settings))
    ledger, file = _open_ledger(settings, redactor)
    options = UpOptions(
        root=settings.root,
        ledger=ledger,
        ledger_file=file,
        settings=replace(settings.up, serve=wanted and not once),
        child=ChildOptions(
            root=str(settings.root),
            workflow=workflow,
            environment=environment,
            ledger=ledger_identity(file),
        ),
        worker=_WORKER,
        listener=_LISTENER,
        server=(*command_line, "--env", environment, "serve"),
        console=(*command_line, "console") if shown and not once else (),
        place=workflow_place(str(settings.root), settings.workflow),
        command=command,
        once=once,
        clock=project_clock(),
        say=lambda text: say(redactor.redact(text)),
    )
    with ExitStack() as stack:
        if settings.metrics.port and not once:
            # A supervisor that shows no metrics stays smaller.
            module = import_module("tidemill.project.metrics_page")
            page = stack.enter_context(module.open_metrics_page(settings, ledger, environment))
            say(f"metrics: {page.address}")
        return UpLoop(options).run()


def can_show_console() -> bool:
    """Whether what the console needs is installed."""
    return all(find_spec(name) is not None for name in ("jinja2", "starlette", "uvicorn"))


def _workflow_option(workflow: str | None) -> tuple[str, ...]:
    return () if workflow is None else ("-w", workflow)


def _open_ledger(settings: Settings, redactor: Redactor) -> tuple[Ledger, Path]:
    """Open the ledger of the home, and make its file if there is none."""
    ledger, home = open_shared_ledger(settings, redactor), settings.root / settings.home
    # The file is created by the first use.
    next(iter(ledger.events(limit=1)), None)
    file = home / _LEDGER
    if not file.is_file():
        raise StorageError(f"{file} can't be created")
    return ledger, file
