"""`tidemill init`: create a project from a template."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import StorageError, UsageError

_TEMPLATE = "bakery"
_DAYS = 28
# The template has them under other names, because git and build tools would obey them there.
_RENAMED = {"gitignore": ".gitignore"}
_SKIPPED = ("__pycache__", ".tidemill")


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Create a project in FOLDER (default: here): a workflow, settings, and data to run it on.

    Overwrites no existing files.
    """
    try:
        written = create_project(folder)
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder} can't be written: {error.strerror}"
        ) from error
    for path in written:
        print_text(f"  {path}")
    print_text(f"  data/  {_DAYS} days of sales and weather\n\nnext:")
    for command in _next(folder):
        print_text(f"  {command}")


def create_project(folder: Path) -> list[str]:
    """Write the template and its data into `folder`; return the names of the files except the data.

    Raises UsageError when one of them exists.
    """
    texts = _texts(_name(folder))
    there = [name for name in (*texts, "data") if (folder / name).exists()]
    if there:
        raise UsageError(
            f"{folder} already has {', '.join(there)}, and init overwrites nothing; "
            "name another folder: tidemill init FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    # The project's own script, so that later days continue from here.
    runpy.run_path(str(folder / "new_day.py"))["add_days"](folder / "data", _DAYS)
    return sorted(texts)


def _texts(name: str) -> dict[str, str]:
    """The texts of the template's files, by their paths below the project."""
    template = files("tidemill") / "templates" / _TEMPLATE
    return {
        path: item.read_text(encoding="utf-8").replace("@NAME@", name)
        for path, item in _files_below(template)
    }


def _files_below(folder: Traversable, path: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        if item.name in _SKIPPED:
            continue
        name = f"{path}{_RENAMED.get(item.name, item.name)}"
        if item.is_dir():
            yield from _files_below(item, f"{name}/")
        else:
            yield name, item


def _name(folder: Path) -> str:
    """The folder's name in the form of a project's name."""
    words = re.findall(r"[a-z0-9]+", folder.absolute().name.lower())
    return "-".join(words) or _TEMPLATE


def _next(folder: Path) -> list[str]:
    commands = ["tidemill check", "tidemill plan", "tidemill run", "tidemill show features"]
    if folder.absolute() != Path.cwd():
        commands.insert(0, f"cd {shlex.quote(str(folder))}")
    if importlib.util.find_spec("lightgbm") is None:
        commands.insert(0, "pip install 'tidemill[lightgbm]'    # for the model")
    return commands
