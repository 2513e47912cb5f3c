"""Pages as tests: every Python block runs, every shell block runs, what they print is compared.

- A Python block that begins with a comment that names a file (`# shop.py`) is written to that file;
  a TOML block likewise. Any other Python block is executed in the page's namespace.
- A block of `text` right after a Python block is what that block prints.
- In a `console` block a line that begins with `$ ` is a command, with `> ` it is the rest of one. What
  follows is its output, both streams; none shown means that it isn't looked at. Its exit code is 0, or
  the next command is `echo $?`.
- `tidemill serve &` starts a server until the end of the page. It listens on a free port, which stands where
  the page says 127.0.0.1:8000.
- Commands of `tidemill` that aren't parts of a pipe are those of the user `ana`.
- `...` stands for any text. Times, sizes, ids and run names may differ, and so may runs of spaces.
"""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner
from sybil import Sybil
from sybil.document import Document
from sybil.example import Example, SybilFailure
from sybil.parsers.markdown import CodeBlockParser

from tests.support.waiting import until
from tidemill.cli import cli

ROOT = Path(__file__).parents[2]
# The user whom pages show.
READER = "ana"
# Where pages show a server.
_SHOWN_PLACE = "127.0.0.1:8000"
_FILE = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")

# What differs between two runs of the same command.
_MASKS = (
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b"), "<run>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "<moment>"),
    (re.compile(r"\bprocess \d+ on [^\s,)]+"), "<process>"),
    (re.compile(r"(?<=` on )\S+(?=, <moment>)"), "<host>"),
    # A digest may be all decimal digits; the part of a recipe before it tells it from a number.
    (re.compile(r"(?<=\bcode )\d{8}\b"), "<digest>"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}\b"), "<digest>"),
    # A digest of digits only, in a recipe.
    (re.compile(r"(?<=\bcode )\d{8}\b"), "<digest>"),
    (re.compile(r"(?<=--allow-removals )[0-9a-f]{8}\b"), "<digest>"),
    (re.compile(r"\b(?:\d+ min )?\d+(?:\.\d+)? m?s\b"), "<seconds>"),
    (re.compile(r"\b\d+(?:\.\d+)? [kMG]?B\b"), "<size>"),
    (re.compile(r"\bcost (at least )?0\.\d+ (?=[A-Z]{3}\b)"), r"cost \1<money> "),
    (re.compile(r"(?m)(?<=\s)(?:-|\d+\.\d\d)$"), "<CPU>"),
    (re.compile(r"(?m)[ \t]+"), " "),
    (re.compile(r"(?m) +$"), ""),
)


def masked(text: str) -> str:
    """`text` with everything that may differ between two runs replaced by its kind."""
    for pattern, kind in _MASKS:
        text = pattern.sub(kind, text)
    return text.strip()


def agree(shown: str, given: str) -> bool:
    """Whether what a page shows is what a command gave."""
    parts = map(re.escape, masked(shown).split("..."))
    return re.fullmatch(r".*?".join(parts), masked(given), re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block and the output that is shown for it."""

    text: str
    shown: str


def commands(block: str) -> Iterator[Command]:
    """The commands of a console block; ValueError when it begins with anything else."""
    text: list[str] = []
    shown: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if text:
                yield Command("\n".join(text), "\n".join(shown))
            text, shown = [line[2:]], []
        elif not text:
            raise ValueError(f"a console block begins with `$ `, not {line!r}")
        elif line.startswith("> ") and not shown:
            text.append(line[2:])
        else:
            shown.append(line)
    if text:
        yield Command("\n".join(text), "\n".join(shown))


class Shell:
    """Runs commands in a folder: `tidemill` in this process (a start costs a second), others in bash."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self._place = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.code = 0

    def run(self, command: str) -> str:
        """The output of a command; its exit code is kept for `echo $?`."""
        if command == "tidemill serve &":
            return self._serve()
        return self.shown(self._run(self.asked(command)))

    def asked(self, text: str) -> str:
        """A command, or code, that asks the server where it listens."""
        return text.replace(_SHOWN_PLACE, self._place) if self._place else text

    def shown(self, text: str) -> str:
        """Output, with the server where the page shows it."""
        return text.replace(self._place, _SHOWN_PLACE) if self._place else text

    def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(60)

    def _serve(self) -> str:
        log = self.home / "server.log"
        with log.open("wb") as file:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tidemill", "serve", "--port", "0"], stdout=file, stderr=file
            )
        until(lambda: b"Ctrl-C stops it" in log.read_bytes(), self._server)
        text = log.read_text(encoding="utf-8")
        self._place = re.findall(r"http://(\S+) \(process", text)[0]
        return self.shown(text)

    def _run(self, command: str) -> str:
        words = shlex.split(command.partition("\n")[0])
        if command == "echo $?":
            text, self.code = f"{self.code}", 0
            return text
        if words[0] == "cd":
            os.chdir(Path(os.path.expandvars(words[1])))
            return ""
        if words[0] == "tidemill" and not set(words) & {"|", "<", "&&", ";", "&"}:
            return self._tidemill(words[1:])
        done = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PATH": self._path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.code = done.returncode
        return done.stdout

    def _tidemill(self, arguments: list[str]) -> str:
        forget_modules(self.home)
        arguments, files = redirections(arguments)
        result = CliRunner().invoke(cli, arguments, prog_name="tidemill")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code = result.exit_code
        if not files:
            return result.output
        streams = {">": result.stdout, "2>": result.stderr}
        for sign, name in files.items():
            Path(name).write_text(streams.pop(sign), encoding="utf-8")
        return "".join(streams.values())


def redirections(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments of a command, and the files that `> FILE` and `2> FILE` name."""
    left = list(words)
    files: dict[str, str] = {}
    for sign in (">", "2>"):
        if sign in left:
            place = left.index(sign)
            files[sign] = left[place + 1]
            del left[place : place + 2]
    return left, files


def forget_modules(folder: Path) -> None:
    """Let modules below `folder`, and others of their names, be imported anew, as by a new process."""
    # Thousands of modules are loaded, and every command of a page comes here: no paths are made of them.
    names = {file.stem for file in folder.glob("*.py")}
    below = f"{folder}{os.sep}"
    for name, module in list(sys.modules.items()):
        if name in names or (getattr(module, "__file__", None) or "").startswith(below):
            del sys.modules[name]


def evaluate_python(example: Example) -> None:
    """Write the file that the block names, or execute the block and keep what it prints."""
    code = example.namespace["_shell"].asked(str(example.parsed))
    if named := _FILE.match(code):
        _write(named[1], code)
        return
    forget_modules(example.namespace["_shell"].home)
    printed = io.StringIO()
    # The line numbers of a traceback are then those of the page.
    placed = "\n" * (example.line + example.parsed.line_offset) + code
    with contextlib.redirect_stdout(printed):
        exec(compile(placed, example.path, "exec", dont_inherit=True), example.namespace)
    example.namespace["_printed"] = printed.getvalue()


def evaluate_toml(example: Example) -> None:
    """Write the file that the block names."""
    text = str(example.parsed)
    if named := _FILE.match(text):
        _write(named[1], text)


def _write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def evaluate_text(example: Example) -> str:
    """Compare with what the Python block before it printed, if it did."""
    printed = str(example.namespace.pop("_printed", ""))
    if printed and not agree(str(example.parsed), printed):
        return f"the block before it prints\n{printed}"
    return ""


def evaluate_console(example: Example) -> str:
    """Run the commands one after the other and compare what they print."""
    shell: Shell = example.namespace["_shell"]
    given = ""
    for command in commands(str(example.parsed)):
        if shell.code and command.text != "echo $?":
            return (
                f"exit code {shell.code} before `{command.text}`; show it with `echo $?`\n{given}"
            )
        given = shell.run(command.text)
        if command.shown and not agree(command.shown, given):
            return f"`{command.text}` prints\n{given}"
    return f"exit code {shell.code} at the end; show it with `echo $?`" if shell.code else ""


SYBIL = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=evaluate_python),
        CodeBlockParser(language="toml", evaluator=evaluate_toml),
        CodeBlockParser(language="text", evaluator=evaluate_text),
        CodeBlockParser(language="console", evaluator=evaluate_console),
    ]
)


def play(page: Path, folder: Path) -> int:
    """Evaluate a page in `folder`; the number of its blocks. Raises SybilFailure with the line."""
    document: Document = SYBIL.parse(page)
    shell = Shell(folder)
    known = pwd.getpwuid(os.geteuid())
    document.namespace.update(__name__="page", _shell=shell)
    try:
        # Who reads a page sees somebody else's name there.
        with patch.object(pwd, "getpwuid", lambda _: pwd.struct_passwd((READER, *known[1:]))):
            return _play(document)
    finally:
        shell.close()


def _play(document: Document) -> int:
    blocks = 0
    for example in document.examples():
        if example.region.evaluator is not evaluate_text:
            _refuse_unshown(example)
        example.evaluate()
        blocks += 1
    if blocks:
        _refuse_unshown(example)
    return blocks


def _refuse_unshown(example: Example) -> None:
    if printed := example.namespace.get("_printed"):
        raise SybilFailure(example, f"nothing shows what was printed: {printed}")
