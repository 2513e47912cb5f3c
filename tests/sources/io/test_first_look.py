"""A file that kills the process that reads it costs that file, however it is read."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.crashing import CRASHING, ends_a_process
from tests.support.tides import CHAIN, Tides, day, flow_of, rows_of
from tidemill.core.errors import DeclarationError, SourceError
from tidemill.sources.io import file_probe, first_look
from tidemill.sources.io.file_root import FileSet
from tidemill.sources.io.first_look import look_at_files, write_answers
from tidemill.sources.io.row_counts import count_rows
from tidemill.sources.scan import FileRows
from tidemill.workflow.seal import seal
from tidemill.workflow.source import Files
from tidemill.workflow.stage import Stage

SOURCE: Files[Any] = Files(pattern="*")
DIES = r"bad.parquet can't be read: it crashes the program that reads it \(SIGABRT: memory alloc"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The ingest of the chain."""
    return seal(flow_of(tmp_path_factory.mktemp("chain"), CHAIN, "first_look_chain"))["raw"]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file at which Polars aborts."""
    path = tmp_path_factory.mktemp("bad") / "bad.parquet"
    path.write_bytes(CRASHING)
    if not ends_a_process(path):
        pytest.skip("this version of Polars reads the damaged file without a crash")
    return path


def lay(root: Path, count: int) -> list[str]:
    """Write good files of a day each."""
    for number in range(count):
        rows_of(number).write_parquet(root / f"{number:03}.parquet")
    return [f"{number:03}.parquet" for number in range(count)]


def rows(count: int) -> dict[str, FileRows]:
    return {f"{number:03}.parquet": FileRows(rows={day(number): 3}) for number in range(count)}


def test_a_file_that_crashes_is_named_among_many_good_ones(
    tmp_path: Path, stage: Stage, bad: Path
) -> None:
    names = lay(tmp_path, 70)
    (tmp_path / "bad.parquet").write_bytes(bad.read_bytes())
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    found = look(stage, tmp_path, [*names[:5], "bad.parquet", *names[5:], "no.parquet"])
    errors = {path: str(item) for path, item in found.items() if isinstance(item, SourceError)}
    assert errors.keys() == {"bad.parquet", "no.parquet"}
    assert re.match(DIES, errors["bad.parquet"])
    assert {path: item for path, item in found.items() if path not in errors} == rows(70)


def look(stage: Stage, folder: Path, names: Sequence[str]) -> dict[str, FileRows | SourceError]:
    """What is found in some files of one source."""
    (found,) = look_at_files([FileSet(SOURCE, stage, folder, names)])
    return found


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson", "ipc"])
def test_looking_counts_rows_as_counting_does(tmp_path: Path, stage: Stage, suffix: str) -> None:
    frames = [rows_of(0), pl.concat([rows_of(1), rows_of(2)]), rows_of(3).clear()]
    names = [f"{number}.{suffix}" for number in range(len(frames))]
    for name, frame in zip(names, frames, strict=True):
        getattr(frame, f"write_{suffix}")(tmp_path / name)
    (tmp_path / "odd").write_text("?")
    names += ["odd", f"gone.{suffix}"]
    looked = look(stage, tmp_path, names)
    counted = count_rows(SOURCE, stage, tmp_path, names)
    assert looked.keys() == counted.keys()
    assert list(map(repr, map(looked.get, names))) == list(map(repr, map(counted.get, names)))
    # What a fork answers is the same.
    answers = io.StringIO()
    items = [(0, name) for name in names]
    write_answers([FileSet(SOURCE, stage, tmp_path, names)], [items[:2], items[2:]], answers)
    lines = [json.loads(line) for line in answers.getvalue().splitlines()]
    forked = [first_look._decode(item) for line in lines for item in line]
    assert list(map(repr, forked)) == list(map(repr, map(counted.get, names)))


@given(
    st.lists(st.booleans(), max_size=20),
    st.integers(1, 5),
)
def test_whatever_files_kill_their_reader_all_others_are_read(
    dies: list[bool], together: int
) -> None:
    items = [(number % 2, str(number)) for number in range(len(dies))]
    started = 0

    def read(portions: Sequence[Sequence[first_look.Item]]) -> Iterator[first_look.Looks]:
        nonlocal started
        started += 1
        for portion in portions:
            if any(dies[int(path)] for _, path in portion):
                raise first_look._Death("boom")
            yield {item: FileRows(rows={item[1]: 1}) for item in portion}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_look, "_TOGETHER", together)
        found: first_look.Looks = {}
        first_look._find_survivors(items, read, found)
    assert found.keys() == set(items)
    for (_, path), what in found.items():
        if dies[int(path)]:
            assert str(what) == f"{path} can't be read: boom"
        else:
            assert what == FileRows(rows={path: 1})
    assert started <= 1 + 2 * sum(dies)


def test_a_program_that_ends_for_another_reason_blames_no_file(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = lay(tmp_path, 2)
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(3)")
    monkeypatch.setattr(first_look, "_can_fork", lambda: False)
    monkeypatch.setattr(first_look, "_probe", first_look._Probe())
    monkeypatch.setattr(file_probe, "__file__", str(broken))
    assert look(stage, tmp_path, names) == rows(2)


FORKS = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks to read files")


def die() -> NoReturn:
    """End this process as the system does when a file takes all memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it lives on")


def fork_that(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[IO[str], Sequence[str]], object]
) -> None:
    """Have files read by a fork that knows their rows, and calls `end` before and after each portion."""

    def answer(*args: Any) -> None:
        portions, answers = args[1:]
        for items in portions:
            paths = [path for _, path in items]
            end(answers, paths)
            found = [[{day(int(path[:3])): 3}, {}] for path in paths]
            answers.write(json.dumps(found) + "\n")
            answers.flush()
        end(answers, ())

    monkeypatch.setattr(first_look, "_can_fork", lambda: True)
    monkeypatch.setattr(first_look, "write_answers", answer)
    monkeypatch.setattr(first_look, "_TOGETHER", 2)


@FORKS
def test_a_fork_that_dies_after_its_last_answer_blames_no_file(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_that(monkeypatch, lambda answers, paths: paths or die())
    assert look(stage, tmp_path, [*rows(5)]) == rows(5)


@FORKS
def test_one_fork_reads_the_files_of_several_sources(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks, fork = list[int](), first_look._fork_process

    def count_forks() -> int:
        forks.append(1)
        return fork()

    def end(answers: IO[str], paths: Sequence[str]) -> None:
        if "002.parquet" in paths:
            die()

    # The same file may be one of several sources.
    asked: list[list[str]] = [[*rows(2)], [], [*rows(4)][1:], ["004.parquet"]]
    sets = [FileSet(SOURCE, stage, tmp_path, some) for some in asked]
    fork_that(monkeypatch, lambda answers, paths: None)
    monkeypatch.setattr(first_look, "_fork_process", count_forks)
    expected: list[Any] = [{name: rows(5)[name] for name in some} for some in asked]
    assert look_at_files(sets) == expected
    assert len(forks) == 1
    # A file that kills the fork is an error of its own source only.
    fork_that(monkeypatch, end)
    found = look_at_files(sets)
    assert str(found[2].pop("002.parquet")).endswith("the program that reads it (SIGKILL)")
    del expected[2]["002.parquet"]
    assert found == expected


@FORKS
@pytest.mark.parametrize("begun", ["", "[", '[[{"2024-03-01": 3}, {}]]'])
def test_a_fork_that_dies_within_an_answer_blames_the_file(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    def end(answers: IO[str], paths: Sequence[str]) -> None:
        if "002.parquet" in paths:
            answers.write(begun)
            answers.flush()
            die()

    fork_that(monkeypatch, end)
    found = look(stage, tmp_path, [*rows(5)])
    error = found.pop("002.parquet")
    assert str(error).startswith("002.parquet can't be read: it crashes the program that reads it")
    assert found == {path: look for path, look in rows(5).items() if path != "002.parquet"}


@FORKS
def test_what_a_fork_found_is_kept_and_the_program_reads_the_rest(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, bad: Path
) -> None:
    names = lay(tmp_path, 5)
    (tmp_path / "004.parquet").write_bytes(bad.read_bytes())
    for name in names[:2]:
        (tmp_path / name).unlink()  # they aren't read again

    def end(answers: IO[str], paths: Sequence[str]) -> None:
        if "002.parquet" in paths:
            raise RuntimeError("for another reason")

    fork_that(monkeypatch, end)
    found = look(stage, tmp_path, names)
    assert re.match(DIES.replace("bad", "004"), str(found.pop("004.parquet")))
    assert found == rows(4)


def test_deadly_files_are_known_although_the_program_ends_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "killed.py"
    killed.write_text(
        "import os, sys\nif 'deadly' in sys.stdin.readline(): os.kill(os.getpid(), 9)\nsys.exit(3)"
    )
    monkeypatch.setattr(first_look, "_probe", first_look._Probe())
    monkeypatch.setattr(first_look, "_TOGETHER", 1)
    monkeypatch.setattr(file_probe, "__file__", str(killed))
    asked: dict[str, first_look.Request] = {
        name: ("csv", name, {}) for name in ("deadly", "other", "last")
    }
    assert first_look.find_deadly_files(asked).keys() == {"deadly"}


def test_a_file_may_take_no_more_memory_than_there_is(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system kills is named as well."""
    names = lay(tmp_path, 1)
    killed = tmp_path / "killed.py"
    killed.write_text("import os, sys\nsys.stdin.readline()\nos.kill(os.getpid(), 9)")
    monkeypatch.setattr(first_look, "_can_fork", lambda: False)
    monkeypatch.setattr(first_look, "_probe", first_look._Probe())
    monkeypatch.setattr(file_probe, "__file__", str(killed))
    (error,) = look(stage, tmp_path, names).values()
    assert str(error).endswith("it crashes the program that reads it (SIGKILL)")


def test_options_that_are_not_plain_are_left_out_of_the_request(
    tmp_path: Path, stage: Stage
) -> None:
    source: Files[Any] = Files(
        pattern="*",
        format="csv",
        options={"separator": ";", "schema_overrides": {"a": pl.Int8}, "null_values": ["?"]},
    )
    sets = [FileSet(source, stage, tmp_path, ["a.csv"])]
    assert dict(first_look._requests(sets, [(0, "a.csv")])) == {
        (0, "a.csv"): ("csv", str(tmp_path / "a.csv"), {"separator": ";", "null_values": ["?"]})
    }


def test_the_program_reads_files_and_answers_for_each(tmp_path: Path) -> None:
    (name,) = lay(tmp_path, 1)
    asked: list[list[object]] = [
        [form, str(tmp_path / name), {}] for form in ("parquet", "pyarrow", "csv", "ndjson")
    ]
    asked.append(["arrow", str(tmp_path / "gone.arrow"), {}])
    answers = io.StringIO()
    file_probe.main(io.StringIO(json.dumps(asked) + "\n" + json.dumps(asked[:1]) + "\n"), answers)
    assert answers.getvalue() == "done\n" * 2


def test_files_that_are_alike_are_read_by_one_query(tmp_path: Path) -> None:
    asked: list[tuple[str, str, dict[str, object]]] = [
        ("parquet", str(tmp_path / name), {}) for name in lay(tmp_path, 3)
    ]
    assert file_probe.read_together(asked)
    rows_of(9).drop("value").write_parquet(tmp_path / "other.parquet")
    other: tuple[str, str, dict[str, object]] = ("parquet", str(tmp_path / "other.parquet"), {})
    assert file_probe.read_together([other])
    assert not file_probe.read_together([*asked, other])
    assert not file_probe.read_together([*asked, ("csv", "a.csv", {})])
    assert not file_probe.read_together([("parquet", str(tmp_path / "gone.parquet"), {})])


def test_a_deadly_file_of_a_delta_table_breaks_the_table(tmp_path: Path, bad: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    folder = tmp_path / "lake"
    for number in range(3):
        deltalake.write_deltalake(str(folder), rows_of(number).to_arrow(), mode="append")
    tides = Tides(tmp_path, CHAIN.replace('tm.files("data/*.parquet")', 'tm.delta("lake")'))
    assert len(tides.ok()["ok run raw"]) == 3
    deltalake.write_deltalake(str(folder), rows_of(3).to_arrow(), mode="append")
    newest = max(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(bad.read_bytes())
    receipt = tides.run()
    assert receipt.exit_code == 1
    assert (
        f"lake/{newest.name} can't be read: it crashes the program that reads it"
        in receipt.messages[0]
    )
    assert len(tides.published()["raw"]) == 3


def test_a_fork_is_for_processes_without_threads_of_polars(tmp_path: Path) -> None:
    program = (
        "import polars as pl\n"
        "from tidemill.sources.io.first_look import _can_fork\n"
        "before = _can_fork()\n"
        "pl.DataFrame({'a': [1, 2]}).lazy().group_by('a').len().collect()\n"
        "pl.scan_parquet(__import__('sys').argv[1]).collect()\n"
        "print(before, _can_fork())"
    )
    (name,) = lay(tmp_path, 1)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / name], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(sys.platform == "linux"), "False"]


# It prints the errors, whether the fork found the first, what it has open, and what is left in the end.
PREPARED = """
import json, os, socket, sys
import polars as pl
from tidemill.sources.io import first_look
server = socket.create_server(("127.0.0.1", 0))
while (fork := first_look._probe._process) is None:
    first_look.prepare()  # a thread of Polars that ends right now prevents it
pl.LazyFrame({"a": [1]}).collect_schema()
# The fork begins to answer when it has let go of what it doesn't need.
files = {name: ("parquet", name, {}) for name in sys.argv[1:]}
errors = first_look.find_deadly_files({name: files[name] for name in sys.argv[1:2]})
folder = f"/proc/{fork._pid}/fd"
opened = [os.readlink(f"{folder}/{number}").partition(":")[0] for number in os.listdir(folder)]
is_same = first_look._probe._process is fork
errors |= first_look.find_deadly_files(files)
first_look.end()
first_look.prepare()
first_look._probe.close()
left = type(first_look._probe._process).__name__
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    left = "nothing"
found = {name: str(error) for name, error in errors.items()}
print(json.dumps([found, is_same, sorted({*opened}), left]))
"""


@FORKS
def test_a_fork_that_was_prepared_reads_after_polars_started_threads(
    tmp_path: Path, bad: Path
) -> None:
    names = [str(tmp_path / name) for name in lay(tmp_path, 2)]
    done = subprocess.run(
        [sys.executable, "-c", PREPARED, *names, bad], capture_output=True, text=True, check=True
    )
    errors, is_same, opened, left = json.loads(done.stdout)
    assert errors.keys() == {str(bad)}
    assert re.search(DIES, errors[str(bad)])
    assert is_same
    # Its own two pipes, the file for its last words, and nothing; no socket.
    assert "pipe" in opened
    assert "socket" not in opened
    assert left == "nothing"


@FORKS
def test_a_prepared_fork_that_ends_for_another_reason_is_replaced(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, bad: Path
) -> None:
    names = lay(tmp_path, 2)
    (tmp_path / "bad.parquet").write_bytes(bad.read_bytes())
    monkeypatch.setattr(first_look, "_probe", first_look._Probe())
    monkeypatch.setattr(first_look, "_can_fork", lambda: True)
    monkeypatch.setattr(first_look, "_serve_alone", lambda *_: sys.exit(3))
    first_look.prepare()
    monkeypatch.setattr(first_look, "_can_fork", lambda: False)
    found = look(stage, tmp_path, [*names, "bad.parquet"])
    assert re.match(DIES, str(found.pop("bad.parquet")))
    assert found == rows(2)
    first_look._probe.close()


@FORKS
def test_a_prepared_fork_that_is_killed_while_it_waits_blames_no_file(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    [name] = lay(tmp_path, 1)
    probe = first_look._Probe()
    monkeypatch.setattr(first_look, "_probe", probe)
    monkeypatch.setattr(first_look, "_can_fork", lambda: True)
    probe.prepare()
    monkeypatch.setattr(first_look, "_can_fork", lambda: False)
    fork = probe._process
    assert isinstance(fork, first_look._ForkedProgram)
    os.kill(fork._pid, signal.SIGKILL)
    os.waitid(os.P_PID, fork._pid, os.WEXITED | os.WNOWAIT)
    assert look(stage, tmp_path, [name]) == rows(1)
    probe.close()


@FORKS
def test_files_are_read_where_no_fork_can_begin(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = lay(tmp_path, 2)
    probe = first_look._Probe()
    monkeypatch.setattr(first_look, "_probe", probe)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(first_look, "_can_fork", lambda: True)
        patched.setattr(os, "fork", refuse_fork)
        probe.prepare()
    assert probe._process is None
    assert len(os.listdir("/proc/self/fd")) == before
    monkeypatch.setattr(first_look, "_can_fork", lambda: False)
    assert look(stage, tmp_path, names) == rows(2)
    probe.close()


def refuse_fork() -> NoReturn:
    raise BlockingIOError(11, "no more processes")


@FORKS
def test_no_fork_is_left_of_a_workflow_with_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = first_look._Probe()
    begun = list[bool]()

    def can_fork() -> bool:
        begun.append(True)
        return True

    monkeypatch.setattr(first_look, "_probe", probe)
    monkeypatch.setattr(first_look, "_can_fork", can_fork)
    tides = Tides(tmp_path, CHAIN.replace("double=times(", "wrong=times("))
    tides.send(0)
    with pytest.raises(DeclarationError):
        tides.run()
    assert begun
    assert probe._process is None


@FORKS
def test_a_fork_that_was_prepared_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "from tidemill.sources.io import first_look\n"
        "while first_look._probe._process is None: first_look.prepare()\n"
        "print(first_look._probe._process._pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    fork = int(done.stdout)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{fork}").exists() and _state(fork) != "Z":
        assert time.monotonic() < deadline, "it outlived its process"
        time.sleep(0.01)


def _state(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


# It says whether a command had a fork look at files, and what is left of it.
COMMAND = """
import os, sys
from tidemill import cli
from tidemill.sources.io import first_look
looked = []
start, begin = first_look._Probe._start, first_look._ForkedProgram.__init__
first_look._Probe._start = lambda probe: looked.append("program") or start(probe)
first_look._ForkedProgram.__init__ = lambda fork, errors: looked.append("fork") or begin(fork, errors)
first_look.end = lambda end=first_look.end: (end(), looked.append(first_look._probe._process))
sys.argv[0] = "tidemill"
try:
    cli.main()
finally:
    print(looked, file=sys.stderr)
"""


@FORKS
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_command_forks_before_it_probes_stages(tmp_path: Path, command: str) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    (tmp_path / "tides.py").write_text(CHAIN)
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "tides:flow"\n')

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr.splitlines()[-1]

    assert run() == "['fork', None]"
    # What was probed before isn't probed again.
    assert run() == "[None]"


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_command_goes_on_without_the_file(tmp_path: Path, bad: Path, command: str) -> None:
    tides = Tides(tmp_path)
    for number in range(3):
        tides.send(number)
    (tmp_path / "data" / "bad.parquet").write_bytes(bad.read_bytes())
    (tmp_path / "tides.py").write_text(CHAIN)
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "tides:flow"\n')
    done = subprocess.run(
        [sys.executable, "-m", "tidemill", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == (1 if command == "run" else 0)
    named = "raw: " if command == "plan" else "raw "
    assert re.search(
        rf"{named} *data/bad.parquet can't be read: it crashes the\s+program", done.stdout
    )
    assert done.stderr == ""
    if command == "run":
        assert tides.published()["daily"] == [day(number) for number in range(3)]
        # It is named until it is gone or good.
        receipt = tides.run()
        assert (receipt.exit_code, len(receipt.messages)) == (1, 1)
        rows_of(7).write_parquet(tmp_path / "data" / "bad.parquet")
        assert tides.ok()["ok run raw"] == [day(7)]


@pytest.mark.parametrize(
    ("stats", "name"),
    [
        (["(python) S"], "python"),  # of OpenBLAS: it waits for work
        (["(python) R", "(polars-0) S"], "polars-0"),
        (["(python) D", "(python) R", "(tokio-rt-worker) R"], "tokio-rt-worker"),
        (["(python) R"] * 3, ""),
        (["(a) (b) R) S"], "a) (b) R"),
    ],
)
def test_a_thread_that_did_not_run_yet_has_no_name(
    monkeypatch: pytest.MonkeyPatch, stats: list[str], name: str
) -> None:
    left = iter(stats)
    monkeypatch.setattr(first_look, "_NAMING_MS", 2)
    monkeypatch.setattr(os, "listdir", lambda _: ["-7"])
    monkeypatch.setattr(Path, "read_text", lambda _: f"-7 {next(left)} 1 2 3")
    assert first_look._thread_names("python") == {name}
