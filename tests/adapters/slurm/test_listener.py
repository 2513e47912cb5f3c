"""Workers connect with the token of their run, and nobody else does; none of it needs Slurm."""

from __future__ import annotations

import fcntl
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from tidemill.adapters.clusters.host import LaneTerms, encode, report_decoder
from tidemill.adapters.lanes.worker_protocol import FrameReader
from tidemill.adapters.slurm.handshake import admit_worker, join_run
from tidemill.adapters.slurm.job_connection import JobConnection, WorkerError
from tidemill.adapters.slurm.listener import Joined, WorkerListener
from tidemill.adapters.slurm.node_main import job_name, serve
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Fate
from tidemill.testing.suites.executor import PATIENCE_S, task

TOKEN = "a" * 64


@pytest.fixture
def listener() -> Iterator[WorkerListener]:
    found = WorkerListener("127.0.0.1", TOKEN)
    yield found
    found.close()


def work(listener: WorkerListener, name: str = "11_0", token: str = TOKEN) -> threading.Thread:
    """A worker in a thread, as its job would be."""

    def run() -> None:
        address = (listener.host, listener.port)
        with closing(socket.create_connection(address)) as stream, suppress(EOFError, OSError):
            join_run(stream, token)
            serve(stream, name)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def fine(job: str) -> None:
    """The job hasn't ended."""


def test_calls_reach_a_worker_and_results_come_back(listener: WorkerListener) -> None:
    thread = work(listener)
    worker = JobConnection("11_0", listener, fine)
    facts = worker.call("describe", [], timeout_s=PATIENCE_S)
    assert facts["address"] == socket.gethostname()
    terms = LaneTerms(cpus=1.0, max_workers=1, idle_s=0.2, classes={})
    worker.call("open", encode(terms), {}, timeout_s=PATIENCE_S)
    worker.post("command", 0, "run", encode([task("1", params=bytes(10_000_000))]))
    fates = []
    while Fate.OK not in fates:
        report = report_decoder.decode(worker.call("poll", 1.0, timeout_s=PATIENCE_S))
        fates += [event.fate for event in report.events]
    assert fates == [Fate.STARTED, Fate.OK]
    assert worker.hang_up()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    with pytest.raises(EOFError):
        worker.call("poll", 1.0, timeout_s=PATIENCE_S)


@pytest.mark.parametrize(
    ("method", "says"), [("unpack", "StorageError: the archive"), ("__init__", "has no method")]
)
def test_an_error_of_a_worker_comes_back_as_text(
    listener: WorkerListener, method: str, says: str
) -> None:
    work(listener)
    worker = JobConnection("11_0", listener, fine)
    with pytest.raises(WorkerError, match=says):
        worker.call(method, "digest", b"data", timeout_s=PATIENCE_S)
    worker.hang_up()


def test_a_worker_that_doesnt_come_is_awaited_until_its_job_has_ended(
    listener: WorkerListener,
) -> None:
    def ended(job: str) -> None:
        raise RuntimeError(f"{job} has ended")

    with pytest.raises(RuntimeError, match="11_9 has ended"):
        JobConnection("11_9", listener, ended).call("describe", [], timeout_s=PATIENCE_S)
    with pytest.raises(TimeoutError):
        JobConnection("11_9", listener, fine).call("describe", [], timeout_s=0.1)


def test_who_has_another_token_is_refused(listener: WorkerListener) -> None:
    work(listener, token="b" * 64).join(PATIENCE_S)
    assert listener.wait("11_0", 0.5) is None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        caught = []

        def admit() -> None:
            try:
                admit_worker(ours, TOKEN)
            except ConnectionError as error:
                caught.append(error)
                ours.close()

        thread = threading.Thread(target=admit)
        thread.start()
        with pytest.raises(ConnectionError):
            join_run(theirs, "b" * 64)
        thread.join(PATIENCE_S)
    assert len(caught) == 1


def test_a_worker_refuses_a_run_that_has_another_token() -> None:
    """Else whoever listens at an old address could give it code."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes(64))
        with pytest.raises(ConnectionError, match="another token"):
            join_run(theirs, TOKEN)


def test_noise_harms_nobody(listener: WorkerListener) -> None:
    with socket.create_connection((listener.host, listener.port)) as noise:
        noise.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(1000))
    work(listener)
    joined = listener.wait("11_0", PATIENCE_S)
    assert joined is not None
    joined.stream.close()


def test_many_strangers_keep_no_worker_out(
    listener: WorkerListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who say nothing, or little by little, are thrown out after a while."""
    monkeypatch.setattr("tidemill.adapters.slurm.listener._HANDSHAKE_S", 0.5)
    strangers = [socket.create_connection((listener.host, listener.port)) for _ in range(300)]
    wait_until(lambda: _threads("(_admit)") > 0)
    most = _threads("(_admit)")
    work(listener)
    joined = listener.wait("11_0", PATIENCE_S)
    assert joined is not None
    assert most <= 256
    for stream in [*strangers, joined.stream]:
        stream.close()


def _threads(name: str) -> int:
    return sum(name in thread.name for thread in threading.enumerate())


def test_a_handshake_has_an_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1.0)
        slow = threading.Thread(target=_drip, args=(theirs,), daemon=True)
        slow.start()
        with pytest.raises(TimeoutError):
            admit_worker(ours, TOKEN)
    slow.join(PATIENCE_S)


def _drip(stream: socket.socket) -> None:
    with suppress(OSError):
        for _ in range(64):
            stream.sendall(b"x")
            time.sleep(0.05)


def test_a_connection_may_have_any_descriptor(listener: WorkerListener) -> None:
    """A run with many workers has more than `select` can watch."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most[1], most[1]))
    try:
        thread = work(listener)
        joined = listener.wait("11_0", PATIENCE_S)
        assert joined is not None
        stream = socket.socket(fileno=fcntl.fcntl(joined.stream, fcntl.F_DUPFD, 1500))
        joined.stream.close()
        listener._joined["11_0"] = Joined(stream, FrameReader(stream))
        worker = JobConnection("11_0", listener, fine)
        assert worker.call("describe", [], timeout_s=PATIENCE_S)["markers"] == {}
        assert worker.hang_up()
        thread.join(PATIENCE_S)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match=r"address = '192\.0\.2\.1' .* can't listen there"):
        WorkerListener("192.0.2.1", TOKEN)


def test_a_name_is_told_to_workers_and_a_port_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listener = WorkerListener(f"login.example:{port}", TOKEN)
    assert (listener.host, listener.port) == ("login.example", port)
    listener.close()


def test_the_name_of_a_job_is_that_in_its_array() -> None:
    environment = {"SLURM_ARRAY_JOB_ID": "11", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "14"}
    assert job_name(environment) == "11_3"
