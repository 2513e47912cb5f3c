"""Run the tests in processes side by side, which share a list of test files: the longest come first.

`unit.py` runs all tests but the slow ones, with the coverage of pure code by its own tests; `unit.py
--coverage` runs the same tests with the coverage of most; `unit.py --full` runs the slow ones. Only one of
the processes writes to the terminal; the output of the others follows. Reports go to build/tests, for
`tools/test_times.py`.
"""

import compileall
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from tools.claims import claimable, claims

ROOT = Path(__file__).parents[1]
# The seconds of each test file that takes longer than others, by the part that runs it.
SECONDS = ROOT / "tools" / "test_seconds.json"
REPORTS = ROOT / "build" / "tests"
# What a file has to say for a part to have tests in it; collecting the others would take a while.
MARKED = {"test-full": re.compile(r"\bmark\.slow\b")}
OTHERS = {"test": 0.3, "coverage": 0.3, "test-full": 0.1}
NOT_SLOW = ("-m", "not slow")
SELECTED: dict[str, Sequence[str]] = {
    "test": NOT_SLOW,
    "coverage": NOT_SLOW,
    "test-full": ("-m", "slow"),
}
# The files that run with coverage. Python 3.11 traces every line of every library, which makes tests of
# behaviour take twice to ten times as long. Tests of whole programs reach what others have covered.
TRACED = {
    "test": re.compile(
        r"tests/(?!(adapters|behaviour|cli|console|docs|e2e|ports|project|seams|soundness|store|support|testing)/)"
        r"(?!.*/io/)\w+/"
    ),
    "coverage": re.compile(r"tests/(?!(docs|e2e|soundness)/)"),
    "test-full": re.compile(r"$^"),
}
# How many examples of a property run with coverage; without a number, all.
EXAMPLES = {"test": {"TRACED_EXAMPLES": "6"}}

# Tests wait a quarter of their time for files, browsers and other processes: one more process than there
# are CPUs keeps these busy. Each takes up to 2 GB.
PROCESSES = min((os.cpu_count() or 1) + 1, 8)

# Threads of BLAS and OpenMP wait for each other in busy loops, which take the CPU from other processes.
# Worker processes have numbers of their own.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# Where files live in memory. A disk takes milliseconds to keep a file for certain, and tests ask it to
# tens of thousands of times. Folders of tests that passed don't stay there.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
KEPT = ["-o", "tmp_path_retention_policy=failed"]
# How many tests there will be isn't known before the end.
PLAIN = ["-o", "console_output_style=classic"]

# What pytest returns after Ctrl-C.
INTERRUPTED = 2


class Group(NamedTuple):
    """Files that processes share, and the program that runs them."""

    suffix: str
    program: Sequence[str]
    files: Sequence[str]
    pipe: int


def longest_first(files: Iterable[str], seconds: Mapping[str, float], other: float) -> list[str]:
    """Files by their seconds, so that all processes end with short ones."""
    return sorted(files, key=lambda file: (-seconds.get(file, other), file))


def groups_of(part: str, files: Iterable[str]) -> list[Group]:
    """The files with coverage, which run first, and those without."""
    kinds: tuple[list[str], list[str]] = ([], [])
    for file in files:
        kinds[TRACED[part].match(file) is None].append(file)
    traced, untraced = kinds
    return [
        Group(suffix, program, kind, claimable(len(kind)))
        for suffix, program, kind in (
            ("", ["-m", "coverage", "run", "-m", "pytest"], traced),
            ("-untraced", ["-m", "pytest"], untraced),
        )
        if kind
    ]


def command(part: str, number: int, group: Group) -> list[str]:
    """What runs those files of a group that no other process has claimed."""
    report = REPORTS / f"{part}-{number}{group.suffix}.xml"
    options = ["-o", "junit_family=xunit1", f"--junit-xml={report}", *PLAIN]
    sharing = ["-p", "tools.claims", f"--claims={group.pipe}"]
    program = [sys.executable, *group.program]
    return [*program, *SELECTED[part], *KEPT, *options, *sharing, *group.files]


def run_in_turn(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    output: IO[bytes] | None,
    pipes: Sequence[int] = (),
) -> int:
    """Run commands one after the other; return the exit code of the first that failed, or 0."""
    env = {**os.environ, **ONE_THREAD, **environment}
    failed = 0
    for command in commands:
        code = subprocess.call(
            command,
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output and subprocess.STDOUT,
            pass_fds=pipes,
        )
        failed = failed or code
        if code == INTERRUPTED:
            break
    return failed


def folder_in_memory() -> Path | None:
    """An empty folder for temporary files, the same each time; None where memory has no room for one."""
    if not has_room(MEMORY):
        return None
    # Short, since the path of a socket may have no more than a hundred characters.
    folder = MEMORY / f"tide-{zlib.crc32(f'{os.getuid()} {ROOT}'.encode()):x}"
    shutil.rmtree(folder, ignore_errors=True)
    # Tests that act as other users enter and write it, as in the usual place.
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def has_room(folder: Path) -> bool:
    """Whether a folder takes what tests write, and runs the programs among it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= ROOM_BYTES and not found.f_flag & os.ST_NOEXEC


def main(part: str) -> int:
    """The exit code of a process that failed, if one did."""
    # Jobs in the background of a shell ignore Ctrl-C, and so would the commands on which tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Under PYTHONDONTWRITEBYTECODE each of the thousands of processes that tests start would compile it.
    compileall.compile_dir(ROOT / "src", quiet=1, workers=2)
    files = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if part not in MARKED or MARKED[part].search(path.read_text(encoding="utf-8"))
    ]
    recorded = json.loads(SECONDS.read_text(encoding="utf-8"))
    files = longest_first(files, recorded.get(part, recorded["test"]), OTHERS[part])
    groups = groups_of(part, files)
    for old in REPORTS.glob(f"{part}-[1-9]*"):
        old.unlink()
    folder = folder_in_memory()
    code = run_beside(part, groups, {"TMPDIR": str(folder)} if folder else {})
    for group in groups:
        if left := [group.files[number] for number in claims(group.pipe)]:
            print("no process ran", *left, flush=True)
            code = code or 1
        os.close(group.pipe)
    if folder and code:
        print(f"{folder} has the files of tests that failed, until the next run", flush=True)
    elif folder:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def run_beside(part: str, groups: Sequence[Group], environment: Mapping[str, str]) -> int:
    """Run the files of all groups in processes; the exit code of one that failed, or 0."""
    pipes = [group.pipe for group in groups]

    def run(number: int, output: IO[bytes] | None) -> int:
        running = {"TEST_RUNNING": str(_running(part, number))}
        commands = [command(part, number, group) for group in groups]
        return run_in_turn(
            commands, {**running, **EXAMPLES.get(part, {}), **environment}, output, pipes
        )

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(PROCESSES))
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(PROCESSES - 1)]
        beside = [pool.submit(run, number, file) for number, file in enumerate(outputs, 2)]
        codes = [run(1, None), *(each.result() for each in beside)]
        for output in outputs:
            output.seek(0)
            sys.stdout.flush()
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    for file in (_running(part, number) for number in range(1, PROCESSES + 1)):
        if file.exists() and (test := file.read_text(encoding="utf-8")):
            print(f"a process died, or was ended because it hung, during {test}", flush=True)
    return next(filter(None, codes), 0)


def _running(part: str, number: int) -> Path:
    """The file that names the test which a process runs."""
    return REPORTS / f"{part}-{number}.running"


if __name__ == "__main__":
    PARTS = {"--full": "test-full", "--coverage": "coverage"}
    sys.exit(main(PARTS[sys.argv[1]] if sys.argv[1:] else "test"))
