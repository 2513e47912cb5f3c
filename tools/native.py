"""Provide what a Python package index can't: `native.py openmp`, `native.py venv` or `native.py wrk`.

openmp: LightGBM's wheel links the OpenMP runtime of the system. venv: Debian ships Python without
the part that makes virtual environments. wrk: a benchmark sends HTTP requests with it. What is
missing is installed when that takes no password (root on Debian, Homebrew on macOS); else the
command to run is printed, and the exit code is 1.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WAYS_ON_LINUX = {
    "apt-get": ["apt-get", "install", "-y", "--no-install-recommends"],
    "dnf": ["dnf", "install", "-y"],
    "zypper": ["zypper", "install", "-y"],
    "pacman": ["pacman", "-S", "--noconfirm"],
}
OPENMP_PACKAGES = {
    "apt-get": "libgomp1",
    "dnf": "libgomp",
    "zypper": "libgomp1",
    "pacman": "gcc-libs",
    "brew": "libomp",
}


def openmp_fault() -> str:
    """Why LightGBM's library can't be loaded, in the loader's words; empty when it can."""
    library = "libgomp.so.1" if sys.platform == "linux" else lightgbm_library()
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return ""


def lightgbm_library() -> str:
    """Path of LightGBM's library, found without importing it; loading it loads the runtime."""
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise SystemExit("LightGBM is not installed here; run `make setup`")
    return str(Path(spec.origin).parent / "lib" / "lib_lightgbm.dylib")


def venv_fault() -> str:
    """Why this interpreter can't make a virtual environment with pip; empty when it can."""
    missing = [name for name in ("ensurepip", "venv") if importlib.util.find_spec(name) is None]
    return f"{sys.executable} lacks {' and '.join(missing)}" if missing else ""


def wrk_fault() -> str:
    """Why HTTP requests can't be sent with wrk; empty when they can."""
    return "" if shutil.which("wrk") else "wrk is not installed"


def install_command(packages: dict[str, str]) -> list[str]:
    """The command that installs the package on this machine; empty if no manager is known."""
    if sys.platform == "darwin":
        return ["brew", "install", packages["brew"]] if "brew" in packages else []
    for manager, command in WAYS_ON_LINUX.items():
        if manager in packages and shutil.which(manager):
            return [*command, packages[manager]]
    return []


def may_install(command: Sequence[str]) -> bool:
    """Whether the command can run without asking anybody."""
    if command[:1] == ["brew"]:
        return shutil.which("brew") is not None
    return command[:1] == ["apt-get"] and os.geteuid() == 0


def install(command: Sequence[str]) -> bool:
    """Run the command; where package lists are empty or old, once more with new ones."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.call(command, env=environment) == 0:
        return True
    if command[0] != "apt-get" or subprocess.call(["apt-get", "update"], env=environment) != 0:
        return False
    return subprocess.call(command, env=environment) == 0


def provide(reason: str, command: Sequence[str]) -> int:
    """Install what is missing for a `reason`, where that can be done; 1 and the reason otherwise."""
    if not reason:
        return 0
    if shutil.which(command[0]) is None or not may_install(command):
        print(f"{reason}; as root on Debian: {' '.join(command)}", file=sys.stderr)
        return 1
    return 0 if install(command) else 1


def main(what: str) -> int:
    """Provide `what`; 0 when it is there, 1 when the user has to act."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    find_fault, packages = {
        "openmp": (openmp_fault, OPENMP_PACKAGES),
        "wrk": (wrk_fault, dict.fromkeys((*WAYS_ON_LINUX, "brew"), "wrk")),
        "venv": (venv_fault, {"apt-get": f"python{version}-venv"}),
    }[what]
    fault = find_fault()
    if not fault:
        return 0
    print(f"--- {fault}", flush=True)
    command = install_command(packages)
    if command and may_install(command) and install(command):
        importlib.invalidate_caches()
        fault = find_fault()
        if not fault:
            return 0
    sudo = "" if command[:1] == ["brew"] else "sudo "
    advice = f"run `{sudo}{' '.join(command)}`" if command else "install it"
    print(f"{fault}\n{advice}, then call make again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    if sys.argv[1:] not in (["openmp"], ["venv"], ["wrk"]):
        sys.exit("usage: native.py openmp | venv | wrk")
    sys.exit(main(sys.argv[1]))
