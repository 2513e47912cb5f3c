"""What the code of steps prints and logs is kept with the step, and still goes where it went."""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import UsageError
from tidemill.core.redaction import Redactor
from tidemill.history.io import log_recorder as recording
from tidemill.history.io.log_reader import read_log
from tidemill.history.io.log_recorder import MAX_BYTES, MAX_LINE, AttemptLog, LogRecorder
from tidemill.ledger.log_line import LogLine


class Terminal:
    """What was shown so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._shown = ["", ""]

    @property
    def out(self) -> str:
        return self._look()[0]

    @property
    def err(self) -> str:
        return self._look()[1]

    def _look(self) -> list[str]:
        new = self._capsys.readouterr()
        self._shown = [self._shown[0] + new.out, self._shown[1] + new.err]
        return self._shown


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@contextmanager
def bare_logging() -> Iterator[logging.Logger]:
    """The root logger as Python starts with it; in a test, for pytest gives it handlers before."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    root.setLevel(logging.WARNING)
    try:
        yield root
    finally:
        root.handlers = handlers
        root.setLevel(level)


def said(folder: Path) -> list[tuple[str, str]]:
    return [(line.stream, line.text) for line in read_log(folder)]


def placed(folder: Path) -> list[tuple[str, str, int, str]]:
    return [(line.stage, line.partition, line.attempt, line.text) for line in read_log(folder)]


def elsewhere(act: Callable[[], object]) -> None:
    """Act in a thread that is in no step's context, as one is that the code of a step starts."""
    thread = threading.Thread(target=contextvars.Context().run, args=(act,))
    thread.start()
    thread.join()


class TestPrinted:
    def test_lines_are_kept_with_their_step_and_go_on(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        with LogRecorder(tmp_path / "run") as recorder:
            sys.stdout.write("between\n")
            with recorder.step("features", "2013-03-07", 2):
                sys.stdout.write("one\ntwo\n")
                sys.stderr.writelines(["th", "ree\n"])
        assert placed(tmp_path / "run") == [
            ("features", "2013-03-07", 2, "one"),
            ("features", "2013-03-07", 2, "two"),
            ("features", "2013-03-07", 2, "three"),
        ]
        assert [line.stream for line in read_log(tmp_path / "run")] == 2 * ["stdout"] + ["stderr"]
        assert (terminal.out, terminal.err) == ("between\none\ntwo\n", "three\n")
        assert [file.name for file in (tmp_path / "run").iterdir()] == [f"{os.getpid()}.jsonl"]

    def test_nothing_is_made_for_who_says_nothing(self, tmp_path: Path) -> None:
        with LogRecorder(tmp_path / "run") as recorder, recorder.step("a", "b", 1):
            pass
        assert not (tmp_path / "run").exists()

    def test_quiet_goes_nowhere_else(self, tmp_path: Path, terminal: Terminal) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder:
            with recorder.step("a", "b", 1):
                assert sys.stdout.write("kept\n") == 5
            sys.stdout.write("of no step\n")
        assert (said(tmp_path), terminal.out) == ([("stdout", "kept")], "of no step\n")

    def test_what_has_no_line_end_waits_for_it_or_the_end(self, tmp_path: Path) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder:
            with recorder.step("a", "b", 1):
                for part in ("1 ", "2 ", "3\n", "rest"):
                    sys.stdout.write(part)
                sys.stderr.write("other rest")
                assert said(tmp_path) == [("stdout", "1 2 3")]
            assert said(tmp_path)[1:] == [("stdout", "rest"), ("stderr", "other rest")]

    def test_of_a_progress_bar_only_what_was_shown_last(self, tmp_path: Path) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            for percent in range(101):
                sys.stderr.write(f"\r{percent}%|{'#' * 1000}")
            sys.stderr.write("\ncarriage\r\n\rwaits\r")
            sys.stderr.write("\n")
        assert said(tmp_path) == [
            ("stderr", "100%|" + "#" * 1000),
            ("stderr", "carriage"),
            ("stderr", "waits"),
        ]

    @pytest.mark.parametrize("end", ["\n", ""])
    def test_long_lines_are_cut(self, tmp_path: Path, end: str) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            sys.stdout.write("x" * (MAX_LINE + 1234) + end)
        assert said(tmp_path) == [("stdout", "x" * MAX_LINE + "... (1,234 more characters)")]

    def test_of_too_much_the_end_is_kept(self, tmp_path: Path) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder:
            with recorder.step("a", "b", 1):
                for number in range(60):
                    sys.stdout.write("".join(f"{number} {n} {'x' * 90}\n" for n in range(1000)))
                noticed = read_log(tmp_path)[-1]
            with recorder.step("a", "b", 2):
                sys.stdout.write("the next has room again\n")
        lines = read_log(tmp_path)
        assert noticed.text == f"more than {MAX_BYTES:,} bytes: from here only the end is kept"
        assert (noticed.stream, noticed.level, noticed.logger) == ("log", "WARNING", "tidemill")
        assert lines[-2].text.startswith("59 999 ")
        assert lines[-1].attempt == 2
        notes = [line for line in lines if line.logger]
        left = int(notes[1].text.split()[1].replace(",", ""))
        assert notes[1].text == f"... {left:,} lines omitted"
        assert len(lines) - len(notes) - 1 + left == 60_000
        # In the place of what is missing.
        assert lines[lines.index(notes[0]) + 1] == notes[1]
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) < MAX_BYTES + 200_000

    def test_a_little_too_much_leaves_nothing_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recording, "MAX_BYTES", 100)
        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            sys.stdout.write("one\ntwo\nthree\n")
        texts = [text for _, text in said(tmp_path)]
        assert texts == [
            "one",
            "two",
            "more than 100 bytes: from here only the end is kept",
            "three",
        ]

    def test_text_that_is_no_unicode_is_kept_readable(self, tmp_path: Path) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            sys.stdout.write("flüge-\udcff \x00 \u2028\n")
        assert said(tmp_path) == [("stdout", "flüge-\\udcff \x00 \u2028")]

    @given(st.lists(st.text(st.sampled_from("ab\n\r") | st.characters()), max_size=30))
    def test_nothing_is_lost_however_it_is_cut(self, parts: list[str]) -> None:
        kept = bytearray()

        class Kept(LogRecorder):
            def append(self, lines: bytes) -> None:
                kept.extend(lines)

        page = AttemptLog(Kept(Path()), "a", "b", 1)
        for part in parts:
            page.write("stdout", part)
        page.flush()
        whole = "".join(parts).split("\n")
        shown = [line.rstrip("\r").rpartition("\r")[2] for line in whole]
        if not whole[-1]:
            shown.pop()
        told = [msgspec.json.decode(line, type=LogLine).text for line in kept.splitlines()]
        assert told == [line.encode(errors="backslashreplace").decode() for line in shown]


class TestStreams:
    def test_a_stream_behaves_as_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, write = os.pipe()
        real = os.fdopen(write, "w", encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", real)
        with LogRecorder(tmp_path) as recorder, recorder.step("a", "b", 1):
            assert sys.stdout is not real
            assert (sys.stdout.fileno(), sys.stdout.isatty()) == (write, False)
            assert (sys.stdout.encoding, sys.stdout.errors) == ("utf-8", "strict")
            assert isinstance(sys.stdout, io.TextIOWrapper)
            sys.stdout.reconfigure(line_buffering=True)
            assert real.line_buffering
            sys.stdout.buffer.write(b"bytes ")
            sys.stdout.write("text\n")
            sys.stdout.flush()
            with pytest.raises(TypeError, match="must be str, not bytes"):
                sys.stdout.write(b"bytes")  # type: ignore[arg-type]
        assert sys.stdout is real
        real.close()
        with open(read, "rb") as other:
            assert other.read() == b"bytes text\n"
        assert said(tmp_path) == [("stdout", "text")]

    def test_what_a_broken_stream_raises_is_raised_and_the_line_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr(sys, "stdout", closed)
        recorder = LogRecorder(tmp_path)
        with recorder, recorder.step("a", "b", 1), pytest.raises(ValueError, match="closed file"):
            sys.stdout.write("kept\n")
        assert said(tmp_path) == [("stdout", "kept")]

    def test_a_step_does_not_close_what_its_run_writes_to(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        with LogRecorder(tmp_path) as recorder, recorder.step("a", "b", 1):
            sys.stdout.close()
            sys.stdout.write("still there\n")
        assert not sys.stdout.closed
        assert said(tmp_path) == [("stdout", "still there")]

    def test_no_stream_no_stand_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", None)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        with LogRecorder(tmp_path) as recorder, recorder.step("a", "b", 1):
            assert sys.stderr is None
            sys.stdout.write("kept\n")
        assert said(tmp_path) == [("stdout", "kept")]

    def test_streams_of_others_are_left_alone(self, tmp_path: Path, terminal: Terminal) -> None:
        before, mine = sys.stdout, io.StringIO()
        with LogRecorder(tmp_path) as recorder, recorder.step("a", "b", 1):
            stand_in = sys.stdout
            sys.stdout = mine
            sys.stdout.write("mine\n")
        assert sys.stdout is mine
        sys.stdout = before
        assert (mine.getvalue(), said(tmp_path)) == ("mine\n", [])
        # Whoever kept the stand-in may go on to write to it.
        stand_in.write("late\n")
        assert (terminal.out, said(tmp_path)) == ("late\n", [])

    def test_the_stand_ins_are_there_once(self, tmp_path: Path, terminal: Terminal) -> None:
        before = sys.stdout
        with LogRecorder(tmp_path / "1") as first:
            stand_in = sys.stdout
            with LogRecorder(tmp_path / "2") as second:
                assert sys.stdout is stand_in
                with first.step("a", "1", 1), second.step("a", "2", 1):
                    sys.stdout.write("inner\n")
                with first.step("a", "1", 1):
                    sys.stdout.write("outer\n")
            assert sys.stdout is stand_in
        assert sys.stdout is before
        assert said(tmp_path / "2") == [("stdout", "inner")]
        assert said(tmp_path / "1") == [("stdout", "outer")]
        assert terminal.out == "inner\nouter\n"

    def test_a_step_needs_an_open_recorder(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="open the recorder in a `with` statement"):
            LogRecorder(tmp_path).step("a", "b", 1)

    @pytest.mark.parametrize("fails", [False, True])
    def test_secrets_in_the_output_of_workers_are_masked_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
    ) -> None:
        output = tmp_path / "7.out"
        output.write_bytes(b"a\xff hunter2\r\n")
        before = output.stat().st_ino
        if fails:
            monkeypatch.setattr(os, "replace", _full_disk)
        with LogRecorder(tmp_path, redactor=Redactor(["hunter2"])):
            pass
        assert output.read_bytes() == (b"a\xff hunter2\r\n" if fails else b"a\xff ***\r\n")
        # It is replaced, not written in place.
        assert (output.stat().st_ino == before) == fails
        assert output.stat().st_mode & 0o077 == 0 or fails
        assert os.listdir(tmp_path) == ["7.out"]

    def test_without_secrets_the_output_of_workers_is_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "7.out").write_bytes(b"text")
        monkeypatch.setattr(Path, "glob", _full_disk)
        with LogRecorder(tmp_path):
            pass


def _full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


class Odd:
    def __str__(self) -> str:
        raise RuntimeError


class TestLogged:
    def test_records_are_kept_once_and_shown_as_before(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        with bare_logging() as root:
            with LogRecorder(tmp_path) as recorder, recorder.step("a", "b", 1):
                log = logging.getLogger("bakery.ovens")
                log.debug("not kept")
                log.info("%s loaves", 12)
                log.warning("hot")
            assert root.level == logging.WARNING
        found = read_log(tmp_path)
        assert [(x.stream, x.level, x.logger, x.text) for x in found] == [
            ("log", "INFO", "bakery.ovens", "12 loaves"),
            ("log", "WARNING", "bakery.ovens", "hot"),
        ]
        assert terminal.err == "hot\n"  # by Python's handler of last resort

    def test_logging_can_be_set_up_in_a_step(self, tmp_path: Path, terminal: Terminal) -> None:
        with bare_logging() as root:
            with LogRecorder(tmp_path) as recorder:
                with recorder.step("a", "b", 1):
                    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s! %(message)s")
                    logging.debug("fine")
                logging.info("of no step")
            assert root.level == logging.DEBUG
            root.handlers[0].close()
        assert said(tmp_path) == [("log", "fine")]
        assert terminal.err == "DEBUG! fine\nINFO! of no step\n"

    def test_the_level_of_who_set_one_counts(self, tmp_path: Path) -> None:
        with bare_logging() as root:
            root.setLevel(logging.ERROR)
            with LogRecorder(tmp_path) as recorder, recorder.step("a", "b", 1):
                logging.getLogger("x").warning("not kept")
        assert said(tmp_path) == []

    def test_with_traceback_and_stack(self, tmp_path: Path) -> None:
        with (
            bare_logging(),
            LogRecorder(tmp_path, quiet=True) as recorder,
            recorder.step("a", "b", 1),
        ):
            try:
                raise ValueError("burnt")
            except ValueError:
                logging.getLogger("x").exception("baking", stack_info=True)
        [line] = read_log(tmp_path)
        first, second, *_ = line.text.split("\n")
        assert (first, second) == ("baking", "Traceback (most recent call last):")
        assert "\nValueError: burnt\nStack (most recent call last):\n" in line.text

    @pytest.mark.parametrize(
        ("message", "argument", "kept"),
        [("%d loaves", "twelve", "%d loaves (its arguments don't fit)"), (Odd(), None, "?")],
    )
    def test_a_record_that_is_wrong(
        self,
        tmp_path: Path,
        message: object,
        argument: object,
        kept: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(logging, "raiseExceptions", False)
        with (
            bare_logging(),
            LogRecorder(tmp_path, quiet=True) as recorder,
            recorder.step("a", "b", 1),
        ):
            logging.getLogger("x").warning(message, *([argument] if argument else []))
        assert said(tmp_path) == [("log", kept)]

    def test_empty_records_and_those_of_no_step_are_nothing(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        with bare_logging(), LogRecorder(tmp_path) as recorder:
            logging.getLogger("x").warning("of no step")
            with recorder.step("a", "b", 1):
                logging.makeLogRecord({"msg": "from elsewhere"})
        assert said(tmp_path) == []

    def test_a_maker_of_records_that_came_later_is_left_alone(self, tmp_path: Path) -> None:
        before = logging.getLogRecordFactory()
        try:
            with LogRecorder(tmp_path):
                logging.setLogRecordFactory(logging.LogRecord)
                assert logging.getLogRecordFactory() is logging.LogRecord
            assert logging.getLogRecordFactory() is logging.LogRecord
        finally:
            logging.setLogRecordFactory(before)
        with LogRecorder(tmp_path):
            assert logging.getLogRecordFactory() is not before
        assert logging.getLogRecordFactory() is before


class TestThreads:
    def test_steps_side_by_side_are_told_apart(self, tmp_path: Path, terminal: Terminal) -> None:
        barrier = threading.Barrier(3)

        def work(partition: str) -> None:
            with recorder.step("a", partition, 1):
                for number in range(50):
                    barrier.wait()
                    sys.stdout.write(f"{partition}-")
                    sys.stdout.write(f"{number}\n")

        with LogRecorder(tmp_path, quiet=True) as recorder:
            threads = [threading.Thread(target=work, args=(p,)) for p in ("x", "y", "z")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for partition in ("x", "y", "z"):
            texts = [line.text for line in read_log(tmp_path, "a", partition)]
            assert texts == [f"{partition}-{number}" for number in range(50)]

    def test_a_thread_of_the_only_step_is_of_it(self, tmp_path: Path, terminal: Terminal) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            elsewhere(lambda: sys.stdout.write("from a thread\n"))
        assert placed(tmp_path) == [("a", "b", 1, "from a thread")]

    def test_a_thread_of_one_of_several_is_of_their_stage_or_of_none(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        def speak() -> None:
            sys.stdout.write("no ")
            sys.stdout.write("idea\n")

        with LogRecorder(tmp_path, quiet=True) as recorder:
            with recorder.step("a", "1", 1), recorder.step("a", "2", 1):
                elsewhere(speak)
            with recorder.step("a", "1", 1), recorder.step("b", "2", 1):
                elsewhere(speak)
                elsewhere(lambda: sys.stdout.write("rest"))
            # Between two steps nobody can have said it.
            elsewhere(speak)
        assert placed(tmp_path) == [
            ("a", "", 0, "no idea"),
            ("", "", 0, "no idea"),
            ("", "", 0, "rest"),
        ]
        assert terminal.out == "no idea\n"

    def test_a_thread_of_one_of_two_runs_is_of_neither(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        first, second = LogRecorder(tmp_path / "1"), LogRecorder(tmp_path / "2")
        with first, second, first.step("a", "1", 1), second.step("a", "2", 1):
            elsewhere(lambda: sys.stdout.write("no idea\n"))
        assert terminal.out == "no idea\n"
        assert list(tmp_path.iterdir()) == []

    def test_coroutines_are_of_their_step(self, tmp_path: Path) -> None:
        async def speak(text: str) -> None:
            await asyncio.sleep(0)
            sys.stdout.write(f"{text}\n")

        async def both() -> None:
            await asyncio.gather(speak("one"), speak("two"))

        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            asyncio.run(both())
        assert placed(tmp_path) == [("a", "b", 1, "one"), ("a", "b", 1, "two")]

    def test_what_a_step_left_behind_is_of_its_stage(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder:
            with recorder.step("a", "b", 1):
                left = contextvars.copy_context()
            with recorder.step("other", "step", 1):
                left.run(sys.stdout.write, "late\n")
        assert placed(tmp_path) == [("a", "", 0, "late")]
        left.run(sys.stdout.write, "after the run\n")
        assert terminal.out == "after the run\n"

    def test_what_is_still_at_work_at_the_end_is_kept_so_far(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        with LogRecorder(tmp_path) as recorder:
            page = recorder.step("a", "b", 1)
            page.__enter__()
            sys.stdout.write("half")
        sys.stdout.write(" a line\n")
        page.write("stdout", "too late")
        page.__exit__(None, None, None)
        assert said(tmp_path) == [("stdout", "half")]
        assert terminal.out == "half a line\n"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_process_writes_with_its_step(self, tmp_path: Path) -> None:
        with LogRecorder(tmp_path, quiet=True) as recorder, recorder.step("a", "b", 1):
            sys.stdout.write("parent\n")
            # The lock of another thread would never be given back in the child.
            with recording._lock:
                child = multiprocessing.get_context("fork").Process(
                    target=elsewhere, args=(lambda: sys.stdout.write("child\n"),)
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    child.start()
                child.join(120)
            assert child.exitcode == 0
        assert placed(tmp_path) == [("a", "b", 1, "parent"), ("a", "b", 1, "child")]


class TestFaults:
    def test_a_folder_that_cannot_be_made_is_said_once(
        self, tmp_path: Path, terminal: Terminal
    ) -> None:
        (tmp_path / "logs").write_text("a file")
        with LogRecorder(tmp_path / "logs" / "run") as recorder:
            for number in (1, 2):
                with recorder.step("a", "b", number):
                    sys.stdout.write("shown\n")
        assert terminal.out == "shown\nshown\n"
        assert terminal.err == (
            f"tidemill: can't write {tmp_path / 'logs' / 'run'} (Not a directory): the run continues, "
            "but the output of its steps isn't recorded\n"
        )

    def test_a_full_disk(
        self, tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, room = os.write, [1000]

        def write(file: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            room[0] -= (fits := min(room[0], len(data)))
            return real(file, data[:fits])

        monkeypatch.setattr(os, "write", write)
        with LogRecorder(tmp_path, quiet=True) as recorder:
            for _ in range(100):
                with recorder.step("a", "b", 1):
                    sys.stdout.write("x" * 50 + "\n")
        assert terminal.err.count("No space left on device") == 1
        # The last line is torn, and isn't read.
        assert {text for _, text in said(tmp_path)} == {"x" * 50}

    def test_nobody_to_tell(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "logs").write_text("a file")
        monkeypatch.setattr(sys, "stderr", None)
        recorder = LogRecorder(tmp_path / "logs" / "run", quiet=True)
        with recorder, recorder.step("a", "b", 1):
            sys.stdout.write("gone\n")

    def test_what_a_step_raises_goes_through(self, tmp_path: Path) -> None:
        def work(recorder: LogRecorder) -> None:
            with recorder.step("a", "b", 1):
                sys.stdout.write("before")
                raise ZeroDivisionError

        with LogRecorder(tmp_path, quiet=True) as recorder, pytest.raises(ZeroDivisionError):
            work(recorder)
        assert said(tmp_path) == [("stdout", "before")]
