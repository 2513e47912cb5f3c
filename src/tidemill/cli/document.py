"""What `--json` writes: one document that names its schema, on stdout; text then goes to stderr."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout; text goes to stderr."
)


def document(schema: str, body: Mapping[str, Any]) -> str:
    """`body` as JSON under the name of its schema, such as "tidemill.plan/1"."""
    return json.dumps({"schema": schema, **plain(body)}, ensure_ascii=False, allow_nan=False)


def tell(text: str, as_json: bool, schema: str, body: Callable[[], Mapping[str, Any]]) -> None:
    """Show `text`; or it on stderr and the document that `body` gives on stdout."""
    if as_json:
        click.echo(text, err=True)
        click.echo(document(schema, body()))
    else:
        click.echo(text)


def room() -> int:
    """How many columns text may have: those of the terminal; 120 in a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 120


def plain(value: Any) -> Any:
    """Records, enums, times and sequences as what JSON has; NaN and infinities become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
