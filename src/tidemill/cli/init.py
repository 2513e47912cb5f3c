"""`tidemill init`: create a project from a template."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import StorageError, UsageError

_TEMPLATE = "bakery"
# Each template is that of the bakery, with some files more or others.
_FLIGHTS = "flights"
_TEMPLATES = {"bakery": (_TEMPLATE,), "team": (_TEMPLATE, "team"), _FLIGHTS: (_FLIGHTS,)}
# The demo declares these rules in a later act.
_LATER = {(_FLIGHTS, "tidemill.rules.toml")}
_DAYS = 28
# A training of the flights takes 60 days that end four weeks before the newest one.
_FLIGHT_DAYS = date(2013, 1, 1), date(2013, 3, 31)
# The template has them under other names, because git and build tools would obey them there.
_RENAMED = {"gitignore": ".gitignore", "pre-commit-config.yaml": ".pre-commit-config.yaml"}
# Where each service looks for its workflow file.
_CI = {"github": ".github/workflows/tidemill.yml", "gitlab": ".gitlab-ci.yml"}
_SKIPPED = ("__pycache__", ".tidemill")


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--template", type=click.Choice([*_TEMPLATES]),
              help="The files to write: `team` adds owners, hooks before commits and CI; `flights` is the "
                   "workflow of the demo.  [default: bakery]")  # fmt: skip
@click.option("--ci", type=click.Choice([*_CI]),
              help="Write the workflow file of a CI service, also into an existing project.")  # fmt: skip
def init(folder: Path, template: str | None, ci: str | None) -> None:
    """Create a project in FOLDER (default: here): a workflow, settings, and data to run it on.

    Overwrites no existing files. With --ci alone, a FOLDER that has a project gets only the file for CI.
    """
    try:
        if ci is not None and template is None and _has_project(folder):
            print_text(f"  {add_ci(folder, ci)}")
            _tell_of_root(folder, ci)
            return
        written = create_project(folder, template or _TEMPLATE, ci or "")
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder} can't be written: {error.strerror}"
        ) from error
    for path in written:
        print_text(f"  {path}")
    print_text(f"  data/  {_described_data(template)}\n\nnext:")
    for command in _next(folder):
        print_text(f"  {command}")
    for service, name in _CI.items():
        if name in written:
            _tell_of_root(folder, service)


def _described_data(template: str | None) -> str:
    if template == _FLIGHTS:
        return f"flights out of New York and their weather, {_FLIGHT_DAYS[0]} to {_FLIGHT_DAYS[1]}"
    return f"{_DAYS} days of sales and weather"


def _has_project(folder: Path) -> bool:
    file = folder / "pyproject.toml"
    return file.is_file() and "[tool.tidemill]" in file.read_text(
        encoding="utf-8", errors="replace"
    )


def add_ci(folder: Path, service: str) -> str:
    """Write the workflow file of a CI service into a project; return its name.

    Raises UsageError when it exists.
    """
    name = _CI[service]
    if (folder / name).exists():
        raise UsageError(f"{folder / name} exists, and init overwrites nothing")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(_ci_text(service), encoding="utf-8")
    return name


def _tell_of_root(folder: Path, service: str) -> None:
    """Say where the workflow file belongs if the repository doesn't begin in the project."""
    place = folder.absolute()
    root = next((each for each in (place, *place.parents) if (each / ".git").exists()), place)
    if root == place:
        return
    inside = place.relative_to(root).as_posix()
    print_text(
        f"note: {_CI[service]} has an effect only in the root of the repository, {root}: move it there, let "
        f"its commands run in {inside}, and put {inside}/ before the paths of its artifacts",
        err=True,
    )


def _ci_text(service: str) -> str:
    return (files("tidemill") / "templates" / "ci" / f"{service}.yml").read_text(encoding="utf-8")


def create_project(folder: Path, template: str = _TEMPLATE, ci: str = "") -> list[str]:
    """Write a template and its data into `folder`; return the names of the files except the data.

    The project of a team has the file of a `ci` service in any case, by default that of GitHub. Raises
    UsageError when one of the files exists, SourceError without the data of the flights.
    """
    texts = _texts(template, _name(folder))
    if service := ci or ("github" if template == "team" else ""):
        texts[_CI[service]] = _ci_text(service)
    there = [name for name in (*texts, "data") if (folder / name).exists()]
    if there:
        raise UsageError(
            f"{folder} already has {', '.join(there)}, and init overwrites nothing; "
            "name another folder: tidemill init FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if template == _FLIGHTS:
        # First, because it may not be installed.
        first, last = _FLIGHT_DAYS
        write = import_module("tidemill.cli.demo_data").write_daily_files
        write(folder / "data", first=first, last=last)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    if template != _FLIGHTS:
        # The project's own script, so that later days continue from here.
        runpy.run_path(str(folder / "new_day.py"))["add_days"](folder / "data", _DAYS)
    return sorted(texts)


def _texts(template: str, name: str) -> dict[str, str]:
    """The texts of a template's files, by their paths below the project."""
    return {
        path: item.read_text(encoding="utf-8").replace("@NAME@", name)
        for folder in _TEMPLATES[template]
        for path, item in _files_below(files("tidemill") / "templates" / folder)
        if (folder, path) not in _LATER
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
