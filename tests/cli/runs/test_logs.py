"""`tidemill runs logs`: what steps said, wherever they were made, and how they ended."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import edit, held_run, process, tidemill

SPEAK = """
import logging, subprocess, sys, warnings
print("of", frame.height, "rows")
logging.getLogger("bakery").info("weighed")
warnings.warn("stale")
sys.stderr.write("no line end")
"""


def speaking(folder: Path, body: str = SPEAK, *, resources: str = "") -> None:
    """Let the code of `labels` say something when its rows are computed."""
    edit(
        folder / "bakery.py",
        "return sales.select(*HOUR,",
        "return sales.map_batches(speak).select(*HOUR,",
    )
    body = "".join(f"    {line}\n" for line in body.strip().split("\n"))
    speak = f"def speak(frame: pl.DataFrame) -> pl.DataFrame:\n{body}    return frame\n\n\n"
    edit(folder / "bakery.py", "flow = tm.Workflow", f"{speak}flow = tm.Workflow")
    if resources:
        old = "@flow.transform\ndef labels("
        edit(folder / "bakery.py", old, f"@flow.transform(resources={resources})\ndef labels(")


def masked(text: str) -> str:
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<moment>", text)
    text = re.sub(r"\S+bakery\.py:\d+", "bakery.py:N", text)
    return re.sub(r"\d+\.\d\d s,", "N s,", text)


SAID = """\
<moment>  labels 2026-01-20  of 36 rows
<moment>  labels 2026-01-20  INFO bakery: weighed
<moment>  labels 2026-01-20  bakery.py:N: UserWarning: stale
<moment>  labels 2026-01-20    warnings.warn("stale")
<moment>  labels 2026-01-20  no line end
<moment>  labels 2026-01-20  ok: N s, 36 rows
"""


@pytest.mark.parametrize(
    ("resources", "shown"),
    [('tm.resources(lane="process")', False), ('tm.resources(lane="thread")', True), ("", True)],
)
def test_said_wherever_it_is_made(fresh: Path, resources: str, shown: bool) -> None:
    speaking(fresh, resources=resources)
    ran = process("run", "labels", "--from", "2026-01-20", "--to", "2026-01-20", cwd=fresh)
    assert ran.returncode == 0, ran.stderr
    assert masked(tidemill("runs", "logs").out) == SAID
    assert ("of 36 rows" in ran.stdout, "UserWarning: stale" in ran.stderr) == (shown, shown)
    found = tidemill("runs", "logs", "last", "labels", "2026-01-20", "--json")
    document = found.document
    assert document["schema"] == "tidemill.logs/1"
    assert {line["stream"] for line in document["lines"]} == {"stdout", "stderr", "log", "end"}
    assert found.err == tidemill("runs", "logs", document["run"][:-2]).out


def test_a_failure_in_its_place_after_what_was_tried_again(fresh: Path) -> None:
    body = 'print("try"); raise ConnectionError("no answer\\nat all")'
    speaking(fresh, body, resources="tm.resources()")
    edit(fresh / "bakery.py", "resources=tm.resources()", "retries=tm.retries(1, delay=0.01)")
    ran = process("run", "labels", "--from", "2026-01-20", "--to", "2026-01-20", cwd=fresh)
    assert ran.returncode == 1
    told = masked(tidemill("runs", "logs", "last", "labels").out).split("\n")
    at = next(n for n, line in enumerate(told) if "failed" in line)
    assert told[0] == "<moment>  labels 2026-01-20          try"
    assert told[1].startswith(
        "<moment>  labels 2026-01-20          retried: labels 2026-01-20 rais"
    )
    again = told.index("<moment>  labels 2026-01-20 (try 2)  try")
    assert 1 < again < at
    assert told[at].startswith(
        "<moment>  labels 2026-01-20 (try 2)  failed: labels 2026-01-20 rais"
    )
    assert told[-3:] == [
        "<moment>  labels 2026-01-20 (try 2)    ConnectionError: no answer",
        "<moment>  labels 2026-01-20 (try 2)    at all",
        "",
    ]


def test_a_process_that_is_killed_has_said_what_it_said(fresh: Path) -> None:
    body = "import os, signal; print('last words'); os.kill(os.getpid(), signal.SIGKILL)"
    speaking(fresh, body, resources='tm.resources(lane="process")')
    ran = process("run", "labels", "--from", "2026-01-20", "--to", "2026-01-20", cwd=fresh)
    assert ran.returncode == 1
    told = masked(tidemill("runs", "logs", "last", "labels").out).split("\n")
    # A process that is lost is tried again once.
    assert [line.split("  ", 1)[1].split(":")[0] for line in told if line] == [
        "labels 2026-01-20          last words",
        "labels 2026-01-20          retried",
        "labels 2026-01-20 (try 2)  last words",
        "labels 2026-01-20 (try 2)  failed",
    ]


def test_in_a_worker_process_nothing_comes_to_the_terminal(fresh: Path) -> None:
    """Not what the module says when it is imported there, nor handlers that it makes, nor subprocesses."""
    body = """
logging.warning("stale")
subprocess.run([sys.executable, "-c", "print('from beside')"])
"""
    speaking(fresh, body, resources='tm.resources(lane="process")')
    imports = (
        'import logging, subprocess, sys\nlogging.basicConfig(level=logging.INFO)\nprint("hi")\n'
    )
    edit(fresh / "bakery.py", "import polars as pl", f"{imports}import polars as pl")
    ran = process("run", "labels", "--from", "2026-01-20", "--to", "2026-01-20", cwd=fresh)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("hi\n") == 1  # the run's own
    assert ran.stderr == ""
    told = tidemill("runs", "logs", "--json").out.removeprefix("hi\n")
    [said, *_] = json.loads(told)["lines"]
    assert (said["stream"], said["level"], said["text"]) == ("log", "WARNING", "stale")
    [run] = (fresh / ".tidemill" / "logs").iterdir()
    written = "".join(file.read_text() for file in run.glob("*.out"))
    assert sorted(written.split("\n")) == ["", "WARNING:root:stale", "from beside", "hi"]


def test_a_module_that_keeps_a_stream_is_the_same_in_a_worker(fresh: Path) -> None:
    speaking(fresh, "OUT.write('kept')", resources='tm.resources(lane="process", timeout="1m")')
    edit(
        fresh / "bakery.py",
        "import polars as pl",
        "import sys\nimport polars as pl\nOUT = sys.stdout",
    )
    ran = process("run", "labels", "--from", "2026-01-20", "--to", "2026-01-20", cwd=fresh)
    assert ran.returncode == 0, ran.stdout
    assert "kept" not in ran.stdout


def test_what_would_move_the_cursor_is_shown_as_text(fresh: Path) -> None:
    speaking(fresh, r'print("\x1b[31mred\x1b[0m\tand \x1b]0;title\x07 \u202e bel", "\x85")')
    days = ("--from", "2026-01-20", "--to", "2026-01-20")
    process("run", "labels", *days, cwd=fresh)
    told = tidemill("runs", "logs").out.split("\n")[0]
    assert told.endswith("  red\tand \\x1b]0;title\\x07 \\u202e bel \\x85")
    line = tidemill("runs", "logs", "--json").document["lines"][0]
    assert line["text"].startswith("\x1b[31mred")


def test_nothing_said(built: Path) -> None:
    [run] = tidemill("runs", "--json").document["runs"]
    after = "sweeps remove logs after a time"
    nothing = f"no log lines are stored for run {run['id']}; {after}\n"
    assert tidemill("runs", "logs").out == nothing
    assert tidemill("runs", "logs", "last", "demand").out == nothing.replace(
        " are stored", " of demand are stored"
    )
    assert tidemill("runs", "logs", "--json").document["lines"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nope",), "there is no run 'nope' (the newest is 20"),
        (("last", "lables"), "had no step of 'lables' (did you mean 'labels'?)"),
        (("last", "labels", "2027-01-20"), "had no step labels '2027-01-20' (did you mean '20"),
        (("--follow", "--json"), "--json and --follow can't be combined"),
    ],
)
def test_what_there_is_not(built: Path, arguments: tuple[str, ...], told: str) -> None:
    ended = tidemill("runs", "logs", *arguments)
    assert ended.code == 2
    assert told in ended.err


def test_no_run_yet(fresh: Path) -> None:
    assert "there is no run 'last' (there are none)" in tidemill("runs", "logs").err


def calling(folder: Path) -> None:
    """Let the function of `labels` say something each time that it is called."""
    old = "    return sales.select(*HOUR,"
    edit(folder / "bakery.py", old, f'    print("called")\n{old}')


def test_a_run_is_followed_to_its_end(fresh: Path) -> None:
    calling(fresh)
    with held_run(fresh, stdout=subprocess.DEVNULL) as running:
        command = [sys.executable, "-m", "tidemill", "runs", "logs", "last", "labels", "--follow"]
        with subprocess.Popen(command, cwd=fresh, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            first = following.stdout.readline()
            assert following.poll() is None
            (fresh / "hold").unlink()
            rest = following.stdout.read()
        assert running.wait() == 0
    assert first.endswith("  labels 2026-01-05  called\n")
    # Line by line, without times: afterwards it is known better when a step ended.
    whole = masked(tidemill("runs", "logs").out).split("\n")
    assert sorted(masked(first + rest).split("\n")) == sorted(whole)
    assert len(whole) == 2 * 28 + 1


def test_a_run_that_died_is_not_waited_for(fresh: Path) -> None:
    calling(fresh)
    with held_run(fresh, stdout=subprocess.DEVNULL) as running:
        running.kill()
        running.wait()
    assert tidemill("runs", "logs", "--follow").out.endswith("  labels 2026-01-05  called\n")
