"""Results for programs: with `--json` or `--markdown`, stdout has only the document."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import Any, TypeVar

import click

from tidemill.cli.terminal.output import print_json, print_text, redactor
from tidemill.core.json_values import to_json_values
from tidemill.core.redaction import Redact

_META = "tidemill.printed"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def keep_apart(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    """Redirect other output to stderr until the document is written."""
    if value:
        keep_output_apart(ctx)
    return value


def keep_output_apart(ctx: click.Context) -> None:
    """Redirect to stderr what the workflow prints until the command prints its result."""
    if _META not in ctx.meta:
        ctx.meta[_META] = ctx.with_resource(_printed_to_stderr())


def release_output() -> None:
    """Let the command print its result to stdout again."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and _META in ctx.meta:
        ctx.meta[_META].close()


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=keep_apart,
    help="Write one JSON document to stdout, and the text to stderr.",
)  # fmt: skip


def markdown_option(text: str) -> Callable[[_Command], _Command]:
    """The option `--markdown`, with which stdout has only the Markdown; `text` is its help."""
    return click.option("--markdown", is_flag=True, callback=keep_apart, help=text)


def document(schema: str, body: Mapping[str, Any], mask: Redact = str) -> str:
    """`body` as JSON under the name of its schema, such as "tidemill.plan/1"; `mask` removes secrets."""
    return json.dumps(
        {"schema": schema, **to_json_values(body, mask)}, ensure_ascii=False, allow_nan=False
    )


def print_result(
    text: str,
    as_json: bool,
    schema: str,
    body: Callable[[], Mapping[str, Any]],
    *,
    data: bool = False,
) -> None:
    """Print `text`; with --json print it to stderr, and the document of `body()` to stdout.

    Results with rows of tables (`data`) keep what looks like a credential in them; see `print_text`.
    """
    if not as_json:
        release_output()
    print_text(text, err=as_json, data=data)
    if as_json:
        print_document(schema, body(), data=data)


def print_document(
    schema: str, body: Mapping[str, Any], *, data: bool = False, with_secret: bool = False
) -> None:
    """Print the document of a command to stdout; `with_secret` one that shows a new secret."""
    release_output()
    mask = redactor().mask if data else redactor().redact
    print_json(document(schema, body, str if with_secret else mask))


def text_width() -> int:
    """The number of columns for text: of the terminal, or 120 in a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 120


@contextmanager
def _printed_to_stderr() -> Iterator[ExitStack]:
    """Redirect stdout to stderr until the stack is closed, also for subprocesses and C code."""
    with ExitStack() as undo:
        stdout = sys.stdout
        with suppress(OSError, ValueError):
            number = stdout.fileno()
            stdout.flush()
            undo.callback(os.close, kept := os.dup(number))
            undo.callback(os.dup2, kept, number)
            # Code that kept a reference to the stream may have written to it.
            undo.callback(stdout.flush)
            os.dup2(sys.stderr.fileno(), number)
        undo.enter_context(redirect_stdout(sys.stderr))
        yield undo
