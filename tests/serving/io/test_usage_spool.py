"""What is kept of usage is recorded by another process once its own has ended, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.ledger.event import Served
from tidemill.ledger.usage import ServedUsage
from tidemill.serving.io.usage_spool import UsageSpool

_OTHER = """
import sys
from pathlib import Path
from tidemill.ledger.event import Served
from tidemill.serving.io.usage_spool import UsageSpool

spool = UsageSpool(Path(sys.argv[1]))
spool.keep([Served(environment="prod", since=1.0, until=2.5, usages=())])
print("kept", flush=True)
sys.stdin.read()
"""


def test_another_process_takes_what_one_left_when_it_has_ended(tmp_path: Path) -> None:
    own = UsageSpool(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "kept\n"
        # It is still that one's.
        assert not own.has_left()
        with own.left() as events:
            assert events == []
        other.kill()
        other.wait()
    try:
        with own.left() as events:
            assert events == [Served(environment="prod", since=1.0, until=2.5, usages=())]
            # Nobody else takes it meanwhile.
            with UsageSpool(tmp_path).left() as others:
                assert others == []
            raise RuntimeError("it can't be recorded")
    except RuntimeError:
        assert own.has_left()
    with own.left() as events:
        assert len(events) == 1
    assert [*tmp_path.iterdir()] == []


def test_what_is_kept_is_replaced_and_cleared(tmp_path: Path) -> None:
    usage = ServedUsage(
        endpoint="risk",
        version="v1",
        requests=3,
        rows=9,
        cpu_s=0.25,
        idle_cpu_s=1.5,
        memory_gb_s=0.1,
        wall_s=2.0,
        errors={"422": 1},
    )
    spool = UsageSpool(tmp_path / "usage")
    spool.clear()
    for until in (2.0, 3.0):
        spool.keep([Served(environment="prod", since=1.0, until=until, usages=(usage,))])
    assert not spool.has_left()
    spool.close()
    with UsageSpool(tmp_path / "usage").left() as events:
        assert events == [Served(environment="prod", since=1.0, until=3.0, usages=(usage,))]
    damaged = tmp_path / "usage" / "damaged.json"
    damaged.write_bytes(b"{")
    with UsageSpool(tmp_path / "usage").left() as events:
        assert events == []


def test_a_lock_that_was_replaced_meanwhile_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening it and locking it, its owner records, removes it, and keeps something new."""
    owner, other = UsageSpool(tmp_path), UsageSpool(tmp_path)
    owner.keep([])
    usual, has_opened = os.open, False

    def open_late(path: Path, flags: int, mode: int = 0o777) -> int:
        nonlocal has_opened
        found = usual(path, flags, mode)
        if not has_opened:
            has_opened = True
            owner.clear()
            owner.keep([])
        return found

    monkeypatch.setattr(os, "open", open_late)
    with other.left() as events:
        assert events == []
    assert has_opened
    assert len([*tmp_path.glob("*.json")]) == 1
    owner.clear()


def test_amended_usage_that_cannot_be_written_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = UsageSpool(tmp_path)
    spool.amend([])
    assert [*tmp_path.iterdir()] == []
    spool.keep([])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    spool.amend([])
    assert [*tmp_path.glob("*.json")] == []
