"""Provide Chromium, in which tests open the console: `python -m tools.browser` (Debian).

Root installs it. For others it is unpacked into build/programs, with the libraries that the system lacks.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import native, programs

INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_UNPACKED = programs.UNPACKED / "usr" / "lib" / "chromium" / "chromium"
# What was unpacked is complete: a program alone may lack libraries.
_COMPLETE = programs.UNPACKED / ".chromium"


def find() -> Path | None:
    """Where Chromium is: on the path, or unpacked."""
    installed = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if installed:
        return Path(installed)
    return _UNPACKED if _COMPLETE.exists() else None


def missing() -> str:
    """Why pages can't be opened; "" if they can."""
    return "" if find() else "there is no chromium: run `python -m tools.browser`"


def environment(program: Path) -> dict[str, str]:
    """The environment in which Chromium finds its libraries and fonts."""
    found = programs.environment(program)
    if program == _UNPACKED and not Path("/etc/fonts").exists():
        found["FONTCONFIG_SYSROOT"] = str(programs.UNPACKED)
    return found


def absent_packages() -> list[str]:
    """The packages that the system lacks for Chromium."""
    done = subprocess.run([INSTALL[0], "--simulate", *INSTALL[1:]], capture_output=True, text=True)
    lines = (line.split() for line in done.stdout.splitlines())
    return [words[1] for words in lines if words[:1] == ["Inst"]]


def main() -> int:
    """Provide it, if it is missing; 1 and the reason if that can't be done."""
    if find():
        return 0
    if shutil.which("apt-get") is None:
        print("install chromium; tests of the console are skipped", file=sys.stderr)
        return 1
    if os.geteuid() == 0:
        native.install(INSTALL)
    elif (packages := absent_packages()) and programs.unpack(packages):
        _COMPLETE.touch()
    if not find():
        print(missing(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
