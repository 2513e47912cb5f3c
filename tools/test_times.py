"""List the longest 50 tests of the last `make test` and `make test-full`.

`--record` also writes tools/test_seconds.json, by which `tools/unit.py` sorts the test files.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
SECONDS = ROOT / "tools" / "test_seconds.json"
REPORTS = ROOT / "build" / "tests"
LONGEST = 50
# Shorter files are not recorded: they are alike enough.
LEAST_S = 1.0


def measured(part: str) -> dict[tuple[str, str], float]:
    """The seconds of each test of a part, by file and name, with its fixtures."""
    found = {}
    for report in sorted(REPORTS.glob(f"{part}-[1-9]*.xml")):
        for case in ElementTree.parse(report).iter("testcase"):
            # A test that a class inherits counts for the module of the class.
            parts = case.get("classname", "").split(".")
            end = 1 + next(n for n, part in enumerate(parts) if part.startswith("test_"))
            file = "/".join(parts[:end]) + ".py"
            name = "::".join([*parts[end:], case.get("name", "")])
            found[file, name.replace("\n", " ")] = float(case.get("time", 0))
    return found


def record(parts: dict[str, dict[tuple[str, str], float]]) -> None:
    """Write the seconds of each file that takes long; a part that was not run keeps its own."""
    seconds = json.loads(SECONDS.read_text(encoding="utf-8")) if SECONDS.exists() else {}
    for part, tests in parts.items():
        if tests:
            files: defaultdict[str, float] = defaultdict(float)
            for (file, _), took in tests.items():
                files[file] += took
            seconds[part] = {f: round(s, 1) for f, s in sorted(files.items()) if s >= LEAST_S}
    SECONDS.write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Print the list; 1 when there is no report."""
    parts = {part: measured(part) for part in ("test", "test-full")}
    tests = [(took, part, *test) for part, of in parts.items() for test, took in of.items()]
    if not tests:
        print("no test has run yet: `make test` measures them", file=sys.stderr)
        return 1
    for part, of in ((part, of) for part, of in parts.items() if of):
        print(f"{part}: {len(of):,} tests, {sum(of.values()):,.0f} s in all processes")
    for took, part, file, name in sorted(tests, reverse=True)[:LONGEST]:
        print(f"{took:8.2f} s  {part:9}  {file}::{name}")
    if "--record" in arguments:
        record(parts)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
