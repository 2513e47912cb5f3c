"""Open the project that the command line names, and show errors of the user's module as theirs."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tidemill.cli.garbage import leave_out_all
from tidemill.cli.lazy_group import project_location
from tidemill.cli.terminal.output import print_error, print_text, use_redactor
from tidemill.core.errors import TidemillError
from tidemill.core.extras import install_command
from tidemill.project.project import open_project
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.user_errors import user_frames

if TYPE_CHECKING:
    from tidemill.project.project import Project


@contextmanager
def project_session(environment: str = "", *, begins: bool = False) -> Iterator[Project]:
    """Open the project, and close it at the end; exit 1 when importing its workflow raises.

    `environment` is that of a command whose arguments name it, which takes no `--env`. A command that
    `begins` environments begins a new one only with `--create`, so that a misspelt one is an error.
    """
    at = project_location()
    if environment and at.environment != PRODUCTION:
        raise click.UsageError("--env can't be used here: the arguments name the environments")
    env = environment or at.environment
    try:
        project = open_project(
            at.project,
            workflow=at.workflow,
            env=env,
            sample=at.sample,
            profile=at.profile,
            params=at.params,
        )
    except TidemillError:
        raise
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        print_text(user_traceback(error), err=True)
        print_error(_import_error_text(error))
        click.get_current_context().exit(1)
    if at.token:
        project.workspace.use_token(at.token)
    use_redactor(project.workspace.redactor)
    # What was imported stays.
    leave_out_all()
    try:
        if begins and not at.create and project.environment != PRODUCTION:
            project.environments.require(project.environment)
        yield project
    finally:
        project.close(_print_warning)


def _print_warning(text: str) -> None:
    print_text(f"warning: {text}", err=True)


def user_traceback(error: BaseException) -> str:
    """The traceback of an error without the frames of Tidemill and of the import machinery."""
    frames = user_frames(error)
    head = ["Traceback (most recent call last):\n"] if frames else []
    lines = [*head, *traceback.format_list(frames), *traceback.format_exception_only(error)]
    return "".join(lines).rstrip()


def _import_error_text(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        command = install_command(error.name or "")
        return f"the workflow imports {error.name!r}, which isn't installed: `{command}`, or correct the name"
    return f"the workflow can't be imported: it raised {type(error).__name__}"
