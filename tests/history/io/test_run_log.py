"""Who follows the log of a run sees each line once, however its steps take turns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.core.errors import UsageError
from tidemill.history.io import log_reader, run_log
from tidemill.history.io.run_log import RunLogs
from tidemill.history.io.runs import History
from tidemill.ledger.event import RunEnded
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.log_line import LogLine
from tidemill.ledger.run import Outcome, Receipt, RunInfo, Status
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import attempted_event, run_started_event


class Run:
    """A run that goes on in a folder."""

    def __init__(self, logs: Path) -> None:
        self.ledger, self.logs = MemoryLedger(), logs
        self.ledger.append([run_started_event("r1")], now=0.0)
        (logs / "r1").mkdir()
        self._at = 0.0

    @property
    def info(self) -> RunInfo:
        return RunInfo(
            id="r1", environment="prod", status=Status.RUNNING, started=0.0,
            holder=this_process("tidemill run"),
        )  # fmt: skip

    def say(self, partition: str, file: str, text: str = "") -> None:
        self._at += 1.0
        line = LogLine(
            at=self._at, stage="features", partition=partition, attempt=1, stream="stdout",
            text=text or f"line {self._at}",
        )  # fmt: skip
        with (self.logs / "r1" / f"{file}.jsonl").open("ab") as stream:
            stream.write(msgspec.json.encode(line) + b"\n")

    def end_step(self, partition: str, outcome: Outcome) -> None:
        self._at += 1.0
        event = attempted_event(partition=partition, run="r1", outcome=outcome, message="why")
        self.ledger.append([event], now=self._at)


# A step says something, ends, or somebody looks: as who follows, in this process or after a restart.
_ACTS = st.lists(
    st.tuples(
        st.sampled_from(["say", "say", "end", "look", "restart"]),
        st.sampled_from("abc"),
        st.sampled_from([Outcome.OK, Outcome.FAILED, Outcome.SKIPPED]),
    ),
    max_size=40,
)


@pytest.mark.parametrize("most", [1, 200, 1 << 18])
@settings(max_examples=60, deadline=None)
@given(acts=_ACTS)
def test_who_follows_sees_each_line_once(most: int, acts: list[tuple[str, str, Outcome]]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_log, "_MOST_BYTES", most)
        run, open_steps = Run(Path(folder)), set("abc")
        logs = RunLogs(run.ledger, run.logs)
        part = logs.read(run.info, "", "", "")
        seen = [*part.lines]
        for act, step, outcome in acts:
            if act == "say" and step in open_steps:
                run.say(step, "1" if step == "a" else "2")
            elif act == "end" and step in open_steps:
                open_steps.remove(step)
                run.end_step(step, outcome)
            elif act in ("look", "restart"):
                logs = logs if act == "look" else RunLogs(run.ledger, run.logs)
                part = logs.read(run.info, "", "", part.next)
                seen += part.lines
        run.ledger.append(
            [RunEnded(run="r1", status=Status.OK, receipt=Receipt(run="r1", status=Status.OK))],
            now=99.0,
        )
        history = History(run.ledger, run.logs)
        while part.next:
            part = history.log_part("r1", after=part.next)
            seen += part.lines
        told = Counter((line.partition, line.level, line.text) for line in seen)
        whole = history.log("r1")
        assert told == Counter((line.partition, line.level, line.text) for line in whole)
        assert history.log_part("r1").next == ""


def test_who_follows_reads_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    for number in range(50):
        run.say("a", "1", f"line {number}")
    logs = RunLogs(run.ledger, tmp_path)
    part = logs.read(run.info, "", "", "")
    run.say("b", "2", "new")
    decoded: list[bytes] = []
    decode = log_reader._DECODE

    def note(line: bytes) -> LogLine:
        decoded.append(line)
        return decode(line)

    monkeypatch.setattr(log_reader, "_DECODE", note)
    assert [line.text for line in logs.read(run.info, "", "", part.next).lines] == ["new"]
    assert len({*decoded}) == 1


def test_only_a_step_that_the_run_had_is_followed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.say("a", "1")
    logs = RunLogs(run.ledger, tmp_path)
    cursor = logs.read(run.info, "features", "", "").next
    run.say("b", "1", "of b")
    run.say("a", "1", "of a")
    assert [line.text for line in logs.read(run.info, "features", "a", cursor).lines] == ["of a"]
    with pytest.raises(UsageError, match="had no step"):
        logs.read(run.info, "labels", "", cursor)
    with pytest.raises(UsageError, match="no place in a log"):
        logs.read(run.info, "", "", "elsewhere")


def test_lines_of_a_run_that_has_ended_are_forgotten_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    run.say("a", "1")
    ended = RunInfo(id="r1", environment="prod", status=Status.OK, started=0.0)
    logs = RunLogs(run.ledger, tmp_path)
    lines = logs.read(ended, "", "", "").lines
    logs.drop_old()
    (tmp_path / "r1" / "1.jsonl").unlink()
    assert logs.read(ended, "", "", "").lines == lines
    monkeypatch.setattr(run_log, "_KEPT_S", -1.0)
    logs.drop_old()
    assert logs.read(ended, "", "", "").lines == []


def test_what_speaks_is_known_of_the_runs_that_were_followed_last(tmp_path: Path) -> None:
    run = Run(tmp_path)
    logs = RunLogs(run.ledger, tmp_path)
    for number in range(6):
        info = RunInfo(
            id=f"r{number}", environment="prod", status=Status.RUNNING, started=0.0,
            holder=this_process("tidemill run"),
        )  # fmt: skip
        logs.read(info, "", "", "")
    assert [*logs._known] == ["r2", "r3", "r4", "r5"]
