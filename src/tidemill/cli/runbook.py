"""`tidemill runbook`: write the runbook of the workflow from facts."""

from __future__ import annotations

from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, keep_output_apart, print_result
from tidemill.cli.terminal.output import redactor
from tidemill.core.errors import StorageError
from tidemill.operations.runbook import render_runbook


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write FILE, such as docs/runbook.md, in place of the terminal.")  # fmt: skip
@click.option("--check", is_flag=True,
              help="Exit with 1 if FILE differs, and leave it as it is.")  # fmt: skip
@click.option("--codeowners", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write FILE instead, by which GitHub and GitLab ask owners about changes.")  # fmt: skip
@click.option("--dated", is_flag=True, help="Say on which day it was written.")
@json_option
@project_options
def runbook(
    out: Path | None, check: bool, codeowners: Path | None, dated: bool, as_json: bool
) -> None:
    """Write the runbook of the workflow as Markdown, from its code, its settings and its history.

    Who answers for what; what each stage reads and promises and how long it takes; what failed, and how
    that ended; how to run again, release rows, roll back and restore; schedules, gates, approvals and alerts.
    It changes only with what it tells, so it can be committed.
    """
    if out is not None and codeowners is not None:
        raise click.UsageError("--out and --codeowners can't be combined")
    into = out or codeowners
    if check and into is None:
        raise click.UsageError("--check compares with a file: name it with --out")
    # On stdout it is a file like any other.
    keep_output_apart(click.get_current_context())
    with project_session() as project:
        facts = project.runbooks.facts(dated=dated)
        text = project.runbooks.code_owners() if codeowners is not None else render_runbook(facts)
    text = redactor().redact(text)
    shown, code = text.rstrip("\n"), 0
    if into is not None:
        shown, code = _written(into, text, check=check)
    print_result(shown, as_json, "tidemill.runbook/1", lambda: {"runbook": facts})
    click.get_current_context().exit(code)


def _written(out: Path, text: str, *, check: bool) -> tuple[str, int]:
    """Write or compare the file; return what to say, and the exit code."""
    try:
        known = out.read_text(encoding="utf-8") if out.exists() else None
        if known == text:
            return f"{out} is up to date", 0
        if check:
            return f"{out} differs from what would be written; leave --check away to write it", 1
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{out} can't be written: {reason}") from error
    return f"{out} written", 0
