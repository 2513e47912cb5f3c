"""A folder for a comparison is removed when its process ends, or by the next process if that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.adapters.sqlite.scratch_folder import clear_scratch_folders, scratch_folder
from tidemill.core.errors import StorageError

# Makes a folder for the ledger that it is given, and stays in it.
PROCESS = """
import sys
from pathlib import Path
from tidemill.adapters.sqlite.scratch_folder import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "rebuilt.db").write_text("large")
    print("made", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_it_is_removed_in_the_end(ledger: Path) -> None:
    with scratch_folder(ledger) as folder:
        (folder / "rebuilt.db").write_text("large")
        assert folder.parent == ledger.parent
    assert not folder.exists()


def test_only_those_of_killed_processes_go(ledger: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(ledger)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"made\n"
        [theirs] = ledger.parent.iterdir()
        with scratch_folder(ledger) as folder:
            assert {*ledger.parent.iterdir()} == {theirs, folder}
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (theirs / "rebuilt.db").exists()
    with scratch_folder(ledger) as folder:
        assert [*ledger.parent.iterdir()] == [folder]
        clear_scratch_folders(ledger)
        assert folder.exists()
    theirs.mkdir()
    clear_scratch_folders(ledger)
    assert [*ledger.parent.iterdir()] == []


def test_a_folder_that_is_missing_is_an_error(ledger: Path) -> None:
    with pytest.raises(StorageError, match="can't be read or written"):
        scratch_folder(ledger.parent / "gone" / "ledger.db").__enter__()
