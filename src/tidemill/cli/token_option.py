"""The option that names a file with the token of who acts."""

from __future__ import annotations

from typing import Any

import click

from tidemill.cli.lazy_group import remember


def use_token_file(context: click.Context, option: click.Parameter, path: str | None) -> Any:
    """Remember the token in the file; click.UsageError for a file without one.

    In the message of click.BadParameter, what follows `token` and a colon would be masked as a secret.
    """
    if path is None:
        return None
    name = option.opts[0]
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read().strip()
    except FileNotFoundError as error:
        raise click.UsageError(f"there is no file {path} ({name})", context) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise click.UsageError(f"{path} ({name}) can't be read: {why}", context) from error
    if not text:
        raise click.UsageError(f"{path} ({name}) is empty; it must hold a token", context)
    return remember(context, "token", text)
