"""The option that names a file with the token of who acts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tidemill.cli.lazy_group import remember


def use_token_file(context: click.Context, option: click.Parameter, path: Path | None) -> Any:
    """Remember the token in the file; click.BadParameter for a file without one."""
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} can't be read: {error}", context, option) from error
    if not text:
        raise click.BadParameter(f"{path} is empty: it must hold a token", context, option)
    return remember(context, "token", text)
