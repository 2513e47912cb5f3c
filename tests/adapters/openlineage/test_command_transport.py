"""Events to a command: what it takes, and how it fails."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tidemill.adapters.openlineage.command_transport import CommandTransport
from tidemill.core.errors import SendError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def send_much(sending: CommandTransport) -> None:
    for _ in range(100):
        sending.send(b"x" * 100_000)


def test_it_runs_in_the_projects_folder(tmp_path: Path) -> None:
    sending = CommandTransport(
        python("import sys; open('got', 'w').write(sys.stdin.read())"), tmp_path
    )
    sending.send(b"1")
    sending.send(b"2")
    sending.close()
    assert (tmp_path / "got").read_text() == "1\n2\n"


def test_one_that_fails_says_why(tmp_path: Path) -> None:
    code = "import sys; sys.stdin.read(); print('no\\x1b disk\\n', file=sys.stderr); sys.exit(3)"
    sending = CommandTransport(python(code), tmp_path)
    sending.send(b"1")
    with pytest.raises(SendError, match=r"exited with 3: no\\x1b disk"):
        sending.close()


def test_one_that_ends_early_takes_no_more(tmp_path: Path) -> None:
    sending = CommandTransport(python("pass"), tmp_path)
    with pytest.raises(SendError, match="takes no more input"):
        send_much(sending)
    sending.close()


def test_one_that_isnt_there(tmp_path: Path) -> None:
    sending = CommandTransport(["nowhere/to-be-found"], tmp_path)
    with pytest.raises(SendError, match="nowhere/to-be-found can't be started: No such file"):
        sending.send(b"1")
    sending.close()


def test_one_that_hangs_is_stopped_from_another_thread(tmp_path: Path) -> None:
    sending = CommandTransport(python("import time; time.sleep(600)"), tmp_path)
    sending.send(b"1")
    found: list[str] = []

    def send() -> None:
        with pytest.raises(SendError) as caught:
            send_much(sending)
        found.append(str(caught.value))

    thread = threading.Thread(target=send)
    thread.start()
    sending.abort()
    thread.join(60)
    assert found
    with pytest.raises(SendError, match="exited with -9"):
        sending.close()
