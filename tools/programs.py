"""Provide programs of the system that tests call: `python tools/programs.py` (Debian).

Their packages are unpacked into build/programs, so that nothing is installed and no service started.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = {
    "faketime": ["faketime", "libfaketime"],
    "nginx": ["nginx"],
    "systemd-analyze": ["systemd", "libsystemd-shared"],
    "zsh": ["zsh", "zsh-common"],
    "fish": ["fish", "fish-common", "libpcre2-32-0"],
}
UNPACKED = Path(__file__).parents[1] / "build" / "programs"
_FOLDERS = ("usr/bin", "usr/sbin", "sbin", "bin")


def find(name: str) -> Path | None:
    """Where a program is: on the path, where administrators have it, or unpacked."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    folders += [str(UNPACKED / folder) for folder in _FOLDERS]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def missing(name: str) -> str:
    """Why a program can't be called; "" if it can."""
    return "" if find(name) else f"there is no {name}: run `python tools/programs.py`"


def environment(program: Path) -> dict[str, str]:
    """The environment in which a program finds its own libraries."""
    if UNPACKED not in program.parents:
        return dict(os.environ)
    found = [*(UNPACKED / "usr/lib").glob("*/systemd"), *(UNPACKED / "usr/lib").glob("*-linux-*")]
    libraries = [str(folder) for folder in sorted(found)]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}


def unpack(packages: list[str]) -> bool:
    """Fetch packages of the system and unpack them; whether it worked."""
    with tempfile.TemporaryDirectory() as folder:
        # The user that fetches may be another one.
        Path(folder).chmod(0o777)
        if subprocess.call(["apt-get", "download", *packages], cwd=folder) != 0:
            return False
        UNPACKED.mkdir(parents=True, exist_ok=True)
        files = sorted(Path(folder).glob("*.deb"))
        return all(subprocess.call(["dpkg-deb", "-x", file, UNPACKED]) == 0 for file in files)


def main() -> int:
    """Provide what is missing; 1 and a reason if that can't be done."""
    absent = [name for name in PACKAGES if find(name) is None]
    if not absent:
        return 0
    if shutil.which("apt-get") is None:
        print(f"install {' and '.join(absent)}; their tests are skipped", file=sys.stderr)
        return 1
    if not all(unpack(PACKAGES[name]) for name in absent) and os.geteuid() == 0:
        subprocess.call(["apt-get", "update"])
        for name in absent:
            unpack(PACKAGES[name])
    still = [reason for name in PACKAGES if (reason := missing(name))]
    print("\n".join(still), file=sys.stderr)
    return 1 if still else 0


if __name__ == "__main__":
    sys.exit(main())
