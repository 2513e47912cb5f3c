"""Print text and documents: without secrets, and without characters that control the terminal.

Every command prints through this module.
"""

from __future__ import annotations

import re
import sys
from typing import cast

import click

from tidemill.core.printable import ascii_json, printable_json, printable_lines
from tidemill.core.redaction import Redactor

_META = "tidemill.redactor"
# What sets a colour, and can do nothing else.
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_PATTERNS = Redactor()


def use_redactor(redactor: Redactor) -> None:
    """Mask the secrets of a project in all that the command prints from now on."""
    click.get_current_context().meta[_META] = redactor


def redactor() -> Redactor:
    """The redactor of the command's project; before one is open, or without a command, that of no project."""
    context = click.get_current_context(silent=True)
    return _PATTERNS if context is None else cast(Redactor, context.meta.get(_META, _PATTERNS))


def print_text(text: str, *, err: bool = False, data: bool = False, end: str = "\n") -> None:
    """Print lines of text to stdout, or to stderr.

    Secrets are masked: in rows of a table (`data`) only the project's own, in other text also whatever
    stands where credentials stand.
    """
    mask = redactor().mask if data else redactor().redact
    click.echo(printable_lines(mask(text)) + end, nl=False, err=err)


def print_coloured(text: str) -> None:
    """Print lines of text in which a command set colours to stdout, as `print_text` does."""
    parts = _COLOUR.split(redactor().redact(text))
    # Every second part is a colour.
    shown = (part if n % 2 else printable_lines(part) for n, part in enumerate(parts))
    click.echo("".join(shown), color=True)


def print_secret(text: str) -> None:
    """Print a secret that a command creates to stdout, as it is: nothing else shows it."""
    click.echo(text)


def print_error(text: str) -> None:
    """Print an error message to stderr."""
    head = click.style("error:", fg="red", bold=True)
    click.echo(f"{head} {printable_lines(redactor().redact(text))}", err=True)


def print_json(document: str) -> None:
    """Print a JSON document to stdout; characters without a glyph become JSON escapes.

    So do those that the encoding of stdout doesn't have.
    """
    text = printable_json(document)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        text = ascii_json(text)
    click.echo(text)
