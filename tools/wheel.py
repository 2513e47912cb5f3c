"""Install the built wheel into an empty environment of each interpreter that is found, and use it there.

Two interpreters have their turn side by side.

`wheel.py` tries all interpreters from 3.11 to 3.14. `wheel.py --others` tries all but that of .venv, which
runs the other tests.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "wheel"
UV = Path(sys.executable).parent / "uv"
MINORS = range(11, 15)
# Quick tests of what differs between interpreters: reading code, declaring, checking, and running.
TESTS = ("tests/core", "tests/workflow", "tests/analysis/code", "tests/behaviour/test_reuse.py")
COMMANDS = (("--help",), ("init", "."), ("check",), ("run",), ("contract", "docs"), ("run",))


def call(*command: str | Path, cwd: Path = ROOT, path: str = os.environ["PATH"]) -> str:
    """The output of a command; exits with it if the command fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        text=True,
        capture_output=True,
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def interpreters() -> dict[str, Path]:
    """The newest interpreter that is installed of each minor release."""
    # Pyenv has only those on the path that are chosen for the folder.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")
    path = os.pathsep.join([*map(str, pyenv), os.environ["PATH"]])
    command = (UV, "python", "list", "--only-installed", "--output-format", "json")
    listed = json.loads(call(*command, path=path))
    found: dict[str, Path] = {}
    for item in sorted(listed, key=lambda item: -item["version_parts"]["patch"]):
        parts = item["version_parts"]
        usable = item["implementation"] == "cpython" and item["variant"] == "default"
        if (
            usable
            and parts["major"] == 3
            and parts["minor"] in MINORS
            and is_final(item["version"])
        ):
            found.setdefault(f"3.{parts['minor']}", Path(item["path"]))
    return dict(sorted(found.items()))


def is_final(version: str) -> bool:
    """Whether a version is no alpha, beta or release candidate."""
    return version.replace(".", "").isdigit()


def build() -> Path:
    """Build the wheel."""
    shutil.rmtree(BUILD / "dist", ignore_errors=True)
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", BUILD / "dist")
    [wheel] = (BUILD / "dist").iterdir()
    return wheel


def try_on(minor: str, interpreter: Path, wheel: Path) -> str:
    """Use the wheel under an interpreter as a user does, and run the quick tests on it; the result."""
    folder = BUILD / minor
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "project").mkdir(parents=True)
    python = folder / "venv" / "bin" / "python"
    call(UV, "venv", "--quiet", "--python", interpreter, folder / "venv")
    # Pip is what users have, and what is configured for this machine.
    install = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    call(*install, "--require-hashes", "--only-binary", ":all:", "-r", "requirements/wheel.txt")
    call(*install, "--no-deps", "--no-index", wheel)
    for command in COMMANDS:
        call(python.with_name("tidemill"), *command, cwd=folder / "project")
    # A copy, from which the sources of the checkout can't be imported.
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    said = call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=folder)
    where = call(python, "-c", "import tidemill; print(tidemill.__file__)", cwd=folder)
    if folder / "venv" not in Path(where.strip()).parents:
        sys.exit(f"{where.strip()} was tested, not the wheel")
    return f"Python {minor} ({interpreter}): {said.strip().splitlines()[-1]}"


def main(arguments: Sequence[str]) -> None:
    """Try the wheel on all interpreters, or on all others."""
    own = f"3.{sys.version_info.minor}"
    found = interpreters()
    if "--others" in arguments:
        found.pop(own, None)
    if not found:
        print(f"no other interpreter than Python {own} is installed: the wheel isn't tried")
        return
    wheel = build()
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(try_on, found, found.values(), [wheel] * len(found)):
            print(result, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
