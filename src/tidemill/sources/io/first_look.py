"""Look at unknown files where a crash of a parser costs one file and not the run.

Parsers are native code: a damaged file can make one abort the process, or take all memory. So files that
aren't known yet are read completely by another process, many at a time. If it dies, the files that it was
reading are read again one by one, to find the one that killed it.

That process is a fork, which costs little and counts the rows as well, as long as Polars has no threads
here yet: a fork has none, and would wait for them. Else, and for what a fork left over that ended for
another reason, it is a separate program that only reads (`file_probe`), and the rows are counted here
afterwards. Who is about to let Polars start threads calls `prepare` before, which starts that program as
a fork; `end` ends it.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NoReturn, TypeAlias

from tidemill.core.errors import SourceError
from tidemill.sources.io import file_probe
from tidemill.sources.io.file_readers import format_of
from tidemill.sources.io.file_root import FileSet
from tidemill.sources.io.row_counts import count_rows
from tidemill.sources.scan import FileRows

# A file: the number of its set, and its path.
Item: TypeAlias = "tuple[int, str]"
Looks: TypeAlias = "dict[Item, FileRows | SourceError]"
# What `file_probe` needs to know of a file: format, path and options.
Request: TypeAlias = "tuple[str, str, dict[str, Any]]"
# Reads portions of files, and yields what it found in each; raises _Death when it dies.
Reader: TypeAlias = Callable[[Sequence[Sequence[Item]]], Iterator[Looks]]

# Files per request, so that their partition columns fit in memory.
_TOGETHER = 64
# Threads that a fork can do without: of the allocator, and of an idle cleaner in Polars.
_DISPENSABLE = {"jemalloc_bg_thd", "polars-ooc-clea"}
# Signals by which a process dies of a file: of what it does, or of the memory that it takes.
_DEADLY = {
    signal.SIGABRT,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
    signal.SIGKILL,
}
_UNCLEAR = 70
# How long a thread may take to take its name.
_NAMING_MS = 50
_MAX_WORDS = 200


class _Death(Exception):
    """The process that was reading files died of one; the message says how."""


class _Unclear(Exception):
    """The process that was reading files ended for another reason."""


def look_at_files(sets: Sequence[FileSet]) -> list[dict[str, FileRows | SourceError]]:
    """Count the rows of unknown files by partition, as `count_rows` does, after reading each completely.

    The value is an error for a file that can't be read, or that kills the process that reads it.
    """
    items = [(number, path) for number, some in enumerate(sets) for path in some.paths]
    found: Looks = {}
    if _can_fork():
        with suppress(_Unclear):
            _find_survivors(items, lambda some: _fork(sets, some), found)
    if rest := [item for item in items if item not in found]:
        requests = dict(_requests(sets, rest))
        with suppress(_Unclear):
            _find_survivors(rest, lambda some: _probe.read(requests, some), found)
    found |= _count(sets, [item for item in rest if item not in found])
    return [{path: found[number, path] for path in some.paths} for number, some in enumerate(sets)]


def _count(sets: Sequence[FileSet], items: Iterable[Item], *, read_all: bool = False) -> Looks:
    """Count the rows of files; those of a set are neighbours."""
    found: Looks = {}
    for number, some in groupby(items, itemgetter(0)):
        source, stage, root, _ = sets[number]
        paths = [path for _, path in some]
        counted = count_rows(source, stage, root, paths, read_all=read_all)
        found |= {(number, path): look for path, look in counted.items()}
    return found


def find_deadly_files(files: Mapping[str, Request]) -> dict[str, SourceError]:
    """Return an error for each file that kills the process that reads it; the keys are names for messages."""
    found: Looks = {}
    requests = {(0, name): request for name, request in files.items()}
    with suppress(_Unclear):
        _find_survivors([*requests], lambda some: _probe.read(requests, some), found)
    return {path: look for (_, path), look in found.items() if isinstance(look, SourceError)}


def _find_survivors(items: Sequence[Item], read: Reader, found: Looks) -> None:
    """Read files in portions; those of a portion that killed the process are read one by one.

    What is found is added to `found`, where it stays when the process ends for another reason.
    """
    portions = [items[n : n + _TOGETHER] for n in range(0, len(items), _TOGETHER)]
    while portions:
        done = 0
        try:
            for looks in read(portions):
                found |= looks
                done += 1
            return
        except _Death as death:
            if done == len(portions):
                return  # no file is to blame
            suspects, later = portions[done], portions[done + 1 :]
            if len(suspects) == 1:
                path = suspects[0][1]
                found[suspects[0]] = SourceError(f"{path} can't be read: {death}")
                portions = later
            else:
                portions = [*([item] for item in suspects), *later]


def _can_fork() -> bool:
    """Whether a fork can use Polars: it can't once Polars started threads, which the fork doesn't have."""
    try:
        own = Path("/proc/self/comm").read_text().strip()
        names = _thread_names(own)
    except OSError:
        return False  # not Linux, where a fork may not use system libraries either
    ours = {own, *(thread.name[:15] for thread in threading.enumerate())}
    return all(
        thread is threading.main_thread() or thread.name.startswith("tidemill-")
        for thread in threading.enumerate()
    ) and _DISPENSABLE.union(ours).issuperset(names)


def _thread_names(own: str) -> set[str]:
    """The names of all threads of this process, whose name is `own`.

    A thread has the name of the process until it runs and takes its own. If one doesn't get to that, its
    name is "".
    """
    for wait_s in (0.0, *[0.001] * _NAMING_MS):
        time.sleep(wait_s)
        known = {thread.native_id for thread in threading.enumerate()}
        names = set[str]()
        for task in map(int, os.listdir("/proc/self/task")):
            stat = Path(f"/proc/self/task/{task}/stat").read_text()
            name, _, rest = stat.partition("(")[2].rpartition(")")
            # One that sleeps has run. Threads of OpenBLAS and of Python keep the name of the process.
            is_named = task in known or name != own or rest.split()[0] == "S"
            names.add(name if is_named else "")
        if "" not in names:
            break
    return names


def _fork(sets: Sequence[FileSet], portions: Sequence[Sequence[Item]]) -> Iterator[Looks]:
    """Read files in a fork of this process."""
    out, into = os.pipe()
    with tempfile.TemporaryFile() as errors, open(out, encoding="ascii") as lines:
        pid = _fork_process()
        if pid == 0:
            _work_in_fork(partial(write_answers, sets, portions), into, errors)
        os.close(into)
        try:
            for line, items in zip(lines, portions, strict=False):
                if not line.endswith("\n"):
                    break  # it died while it wrote
                yield dict(zip(items, map(_decode, json.loads(line)), strict=True))
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(pid, 0)
        if status:
            _raise_cause(os.waitstatus_to_exitcode(status), errors)


def _fork_process() -> int:
    with warnings.catch_warnings():
        # The other threads are known, and hold no lock that the fork needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _work_in_fork(answer: Callable[[IO[str]], None], into: int, errors: IO[bytes]) -> NoReturn:
    """Answer and end, without anything that the other process does at its end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.dup2(errors.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        file_probe.forbid_core_dumps()
        with open(into, "w", encoding="ascii") as answers:
            answer(answers)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, it must not return to the code of the caller
        with suppress(Exception):
            os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(_UNCLEAR)


class _ForkedProgram:
    """`file_probe` in a fork of this process; it is used like a `subprocess.Popen`."""

    def __init__(self, errors: IO[bytes]) -> None:
        opened = list[int]()
        try:
            opened += os.pipe()
            opened += os.pipe()
            self._pid = _fork_process()
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        requests, ask, answer, answers = opened
        if self._pid == 0:
            _work_in_fork(partial(_serve_alone, requests), answers, errors)
        os.close(requests)
        os.close(answers)
        self.stdin = open(ask, "w", encoding="ascii")  # noqa: SIM115 - open as long as it runs
        self.stdout = open(answer, encoding="ascii")  # noqa: SIM115
        self._code: int | None = None

    def kill(self) -> None:
        if self._code is None:
            # Code of the user may have waited for all processes.
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        if self._code is None:
            self._code = 0
            with suppress(ChildProcessError):  # code of the user waited for it
                self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    def communicate(self) -> None:
        self.wait()
        self.stdout.close()
        with suppress(BrokenPipeError):
            self.stdin.close()


def _serve_alone(requests: int, answers: IO[str]) -> None:
    """Answer requests without anything else that the other process has: sockets, pipes, locks, a terminal."""
    os.setsid()
    used = {str(number) for number in (requests, answers.fileno(), 1, 2)}
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        if name not in used:
            # Its number stays taken, for what still closes it.
            os.dup2(nothing, int(name))
    with open(requests, encoding="ascii") as lines:
        file_probe.main(lines, answers)


def write_answers(
    sets: Sequence[FileSet], portions: Sequence[Sequence[Item]], answers: IO[str]
) -> None:
    """Read files completely, count their rows, and write a line for each portion."""
    for items in portions:
        found = _count(sets, items, read_all=True)
        # ASCII, since names of files that aren't valid text are part of messages.
        answers.write(json.dumps([_encode(found[item]) for item in items]) + "\n")
        answers.flush()


def _encode(look: FileRows | SourceError) -> list[Any]:
    return [str(look)] if isinstance(look, SourceError) else [look.rows, look.parts]


def _decode(look: list[Any]) -> FileRows | SourceError:
    return SourceError(look[0]) if len(look) == 1 else FileRows(rows=look[0], parts=look[1])


class _Probe:
    """A program that reads files, and is started when it is needed and isn't running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | _ForkedProgram | None = None
        self._errors: IO[bytes] | None = None
        # A fork of this process has the same object, but the program isn't its.
        self._owner = 0

    def read(
        self, requests: Mapping[Item, Request], portions: Sequence[Sequence[Item]]
    ) -> Iterator[Looks]:
        """Have files read; nothing is known of them afterwards but that they can be."""
        with self._lock:
            for items in portions:
                asked = [requests[item] for item in items if item in requests]
                if asked and not self._ask(asked):
                    self._raise_cause()
                yield {}

    def close(self) -> None:
        """End the program."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            # Its input may stay open in a process that was forked since.
            process.kill()
            process.communicate()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _ask(self, requests: Sequence[object]) -> bool:
        """Whether the program lived to answer.

        It is replaced at most once: if it was dead before it was asked, which no file is to blame for, or if
        it is a fork that ended for another reason than a file.
        """
        text = json.dumps(requests) + "\n"
        for may_replace in (True, False):
            process = self._process or self._start()
            was_alive = _accepts(process, text)
            if (
                was_alive
                and process.stdout is not None
                and process.stdout.readline().endswith("\n")
            ):
                return True
            may_blame = not isinstance(process, _ForkedProgram) or -process.wait() in _DEADLY
            if not may_replace or (was_alive and may_blame):
                break
            self.close()
        return False

    def prepare(self) -> None:
        with self._lock:
            if self._process is None and _can_fork():
                self._owner = os.getpid()
                try:
                    self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as it runs
                    self._process = _ForkedProgram(self._errors)
                except OSError:
                    # Then it is the separate program, if there is anything to read.
                    self.close()

    def end_fork(self) -> None:
        with self._lock:
            if isinstance(self._process, _ForkedProgram):
                self.close()

    def _start(self) -> subprocess.Popen[str]:
        self._owner = os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the program runs
        self._process = subprocess.Popen(
            [sys.executable, "-P", file_probe.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="ascii",
            start_new_session=True,
        )
        return self._process

    def _raise_cause(self) -> NoReturn:
        assert self._process is not None
        assert self._errors is not None
        try:
            _raise_cause(self._process.wait(), self._errors)
        finally:
            with suppress(BrokenPipeError):
                self.close()


def _accepts(process: subprocess.Popen[str] | _ForkedProgram, text: str) -> bool:
    """Whether a program was alive to receive a text."""
    assert process.stdin is not None
    try:
        process.stdin.write(text)
        process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


_probe = _Probe()
atexit.register(_probe.close)


def prepare() -> None:
    """Start the program as a fork while that is possible: Polars may start threads from now on."""
    _probe.prepare()


def end() -> None:
    """End the program if it is a fork, which keeps memory of this process."""
    _probe.end_fork()


def _requests(sets: Sequence[FileSet], items: Iterable[Item]) -> Iterator[tuple[Item, Request]]:
    """Yield requests for files whose format is known, with the options that can be written as JSON."""
    for number, path in items:
        source, _, root, _ = sets[number]
        options = {name: value for name, value in source.options.items() if _is_plain(value)}
        with suppress(SourceError):
            yield (number, path), (format_of(source, path), str(root / path), options)


def _is_plain(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _raise_cause(code: int, errors: IO[bytes]) -> NoReturn:
    """Raise why a process that read files ended with this exit code; negative for a signal."""
    errors.seek(0)
    words = errors.read()[-10_000:].decode(errors="replace").strip().splitlines()
    if -code not in _DEADLY:
        raise _Unclear(f"exit code {code}: {words[:1]}")
    last = f": {words[0][:_MAX_WORDS]}" if words else ""
    raise _Death(f"it crashes the program that reads it ({signal.Signals(-code).name}{last})")
