"""What pages claim about commands and features agrees with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tidemill
from tests.docs.pages import ROOT
from tidemill.cli import cli

PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
# Commands that pages may name although they don't exist yet.
PLANNED = frozenset[str]()

_PYTHON = re.compile(r"^```python\n.*?^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_CALL = re.compile(r"(?<![\w.\[/'\"-])(?<!import )tidemill((?: [^\s|<>;&#`]+)+)")
_WORD = re.compile(r"[a-z][a-z-]*")
_OPTION = re.compile(r"(--?[a-zA-Z][\w-]*)(=.*)?")


def options_of(command: click.Command) -> dict[str, bool]:
    """The options of a command, and whether each takes a value."""
    found = {
        "--help": False,
        "-h": False,
    }  # not declared: every command gets them when it is called
    for option in command.params:
        if isinstance(option, click.Option):
            names = (*option.opts, *option.secondary_opts)
            found.update(dict.fromkeys(names, not (option.is_flag or option.count)))
    return found


def problem_of(words: list[str], command: click.Command = cli) -> str:
    """What is wrong with a command line, without the name of the program; "" if nothing is."""
    if not words:
        return ""
    word, rest = words[0], words[1:]
    if option := _OPTION.fullmatch(word):
        options = options_of(command)
        default = getattr(command, "_default", "")
        if option[1] not in options and default and isinstance(command, click.Group):
            known = command.get_command(click.Context(command), default)
            assert known is not None
            return problem_of(words, known)
        if option[1] not in options:
            return f"{command.name} has no option {option[1]}"
        return problem_of(rest[options[option[1]] and not option[2] :], command)
    if isinstance(command, click.Group) and _WORD.fullmatch(word):
        found = command.get_command(click.Context(command), word)
        if found is None:
            return "" if word in PLANNED else f"{command.name} has no command {word}"
        return problem_of(rest, found)
    return problem_of(rest, command)


def command_lines(text: str) -> Iterator[str]:
    """What pages show as command lines: in blocks and in code within sentences."""
    text = _PYTHON.sub("", text)
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _CALL.findall(line)
    for code in _CODE.findall(_BLOCK.sub("", text)):
        line = " ".join(code.split())
        yield from _CALL.findall(line)
        # `plan --why` is short for `tidemill plan --why`.
        name, _, options = line.partition(" ")
        if options.startswith("--") and name in cli.list_commands(click.Context(cli)):
            yield line


def words_of(line: str) -> list[str]:
    return [word.rstrip(".,:)") for word in line.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_commands_and_options_exist(page: Path) -> None:
    lines = command_lines(page.read_text(encoding="utf-8"))
    assert {line: found for line in lines if (found := problem_of(words_of(line)))} == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("run", ""),
        ("-w shop:flow run --again", ""),
        ("run flights --from 2013-03 --json", ""),
        ("run --train=delay_model", ""),
        ("runs logs last labels", ""),
        ("env create NAME", ""),
        ("contract", ""),
        ("--version", ""),
        ("serve --port 0", ""),
        ("publish", "cli has no command publish"),
        ("env remove x", "env has no command remove"),
        ("run --fast", "run has no option --fast"),
        ("-w shop:flow publish", "cli has no command publish"),
    ],
)
def test_a_command_line_is_judged(line: str, problem: str) -> None:
    assert problem_of(words_of(line)) == problem


def test_command_lines_of_a_page_are_found() -> None:
    text = """
Call `tidemill run
--again`, or `plan --why`. `import tidemill as tm` is Python, `pip install tidemill` is pip.

```console
$ cd shop && tidemill plan | head
```

```python
subprocess.run(["tidemill", "run"])  # tidemill run
```
"""
    assert [" ".join(line.split()) for line in command_lines(text)] == [
        "plan",
        "run --again",
        "plan --why",
    ]


def test_planned_commands_do_not_exist_yet() -> None:
    assert PLANNED.isdisjoint(cli.list_commands(click.Context(cli)))


def has_command(line: str) -> bool:
    return problem_of(line.split()) == ""


def has_module(path: str) -> bool:
    package = ROOT / "src" / "tidemill"
    return any(package.glob(f"{path}/*.py")) or (package / f"{path}.py").is_file()


def formats() -> set[str]:
    folder = ROOT / "src" / "tidemill" / "adapters" / "model_formats"
    return {file.stem for file in folder.glob("[a-z]*.py")}


# A denial, an example of it, and whether it is false by now. Who builds what is denied here finds the
# sentences that have to change.
DENIALS = {
    "promotion": (
        r"(?:nothing|nobody|no command|can't be)\s+promote",
        "Environments exist, but nothing promotes one to another.",
        has_command("promote"),
    ),
    "rollback": (
        r"no\s+(?:rollback|command to go back)",
        "There is no endpoint and no rollback command.",
        has_command("rollback"),
    ),
    "serving": (
        r"no\s+(?:endpoint|online predictions|serving)",
        "It serves no online predictions.",
        has_command("serve"),
    ),
    "console": (r"no\s+console", "There is no console.", has_module("console")),
    "watcher": (
        r"no\s+(?:watcher|process that watches)",
        "There is no console, and no process that watches for new data.",
        has_command("up") or has_module("operations"),
    ),
    "review": (
        r"no\s+(?:human review|person reviews)|nobody is asked for a review",
        "No person reviews a model: gates decide alone.",
        has_command("review") or has_module("governance/review"),
    ),
    "deletion": (
        r"nothing is deleted|deletes no|never deleted",
        "It deletes no old objects.",
        has_command("sweep") or has_module("operations/io/sweeper"),
    ),
    "ledger in PostgreSQL": (
        r"keeps its state in SQLite|state is a SQLite file",
        "It keeps its state in SQLite and local files.",
        has_module("adapters/postgres"),
    ),
    "PostgreSQL as a source": (
        r"no\s+PostgreSQL",
        "There is no Ray, no PostgreSQL.",
        has_module("adapters/databases/postgres"),
    ),
    "object store": (
        r"no\s+object store",
        "There is no stream and no object store.",
        has_module("adapters/objectstore"),
    ),
    "Ray": (r"no\s+Ray\b", "There is no Ray.", has_module("adapters/ray")),
    "Iceberg": (
        r"no\s+Iceberg",
        "There is no Iceberg table.",
        "iceberg" in tidemill.__all__ or has_module("adapters/lakes/iceberg"),
    ),
    "Delta": (r"no\s+Delta", "There is no Delta table.", "delta" in tidemill.__all__),
    "model formats": (
        r"only\s+LightGBM|one model format",
        "Only LightGBM boosters are stored.",
        formats() != {"lightgbm"},
    ),
}
_NO_SUCH_COMMAND = re.compile(
    r"(?:there is|there's|has)\s+no\s+(?:command\s+)?`(?:tidemill )?([a-z][^`]*)`", re.I
)


def prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("what", DENIALS)
def test_nothing_is_denied_that_exists(what: str) -> None:
    denial, example, exists = DENIALS[what]
    pattern = re.compile(denial, re.IGNORECASE)
    assert pattern.search(example)
    found = [
        f"{page.relative_to(ROOT)}: {match[0]}"
        for page in PAGES
        for match in pattern.finditer(prose(page))
    ]
    assert not (exists and found), f"{what} exists, but pages say it doesn't"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_command_that_a_page_denies_does_not_exist(page: Path) -> None:
    assert [name for name in _NO_SUCH_COMMAND.findall(prose(page)) if has_command(name)] == []


def test_a_denied_command_is_found() -> None:
    text = "There is no `tidemill promote`. It has no command `env diff`, and there is no `tidemill fly`."
    assert [has_command(name) for name in _NO_SUCH_COMMAND.findall(text)] == [True, True, False]
