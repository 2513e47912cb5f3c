"""Start, reach and end the processes of the supervisor: those that do jobs, and the server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from tidemill.core.python_command import python_module
from tidemill.operations.io.job_channel import ChildMessage, LineReader, decode_line, encode_line
from tidemill.operations.supervision import UpJob

LAUNCHER = "tidemill.operations.io.with_parent"
# Seconds that a process has to end once it was asked to, and to be reaped once it closed its connection.
_END_S, _REAP_S = 5.0, 1.0


class SupervisedProcess:
    """A process with a group of its own that ends, with all that it started, when this one does.

    Starting raises OSError when the system can't start a process. What it prints goes where this one prints,
    or to `stdout` and `stderr`.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        descriptors: tuple[int, ...] = (),
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        pipe, self._our_pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                python_module(LAUNCHER, str(pipe), module, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(pipe, *descriptors),
                # Ctrl-C is for the supervisor, which decides when the others end.
                process_group=0,
            )
        except OSError:
            os.close(self._our_pipe)
            raise
        finally:
            os.close(pipe)
        self._signals: set[int] = set()
        self.ended = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, each at most once."""
        if number not in self._signals and self._process.poll() is None:
            self._signals.add(number)
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process and its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether the process has ended; then what it started is killed."""
        if not self.ended and self._process.poll() is not None:
            self.close()
        return self.ended

    def wait(self) -> int:
        """Wait until the process ends; return its exit code, negative for a signal that ended it."""
        return self._process.wait()

    def close(self) -> None:
        """Kill what is left of the process and its group."""
        if not self.ended:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP_S)
            self.kill()
            self._process.wait()
            os.close(self._our_pipe)
            self.ended = True

    def describe_end(self) -> str:
        """How an ended process ended."""
        code = self._process.returncode
        if code < 0:
            with suppress(ValueError):
                return f"its process was killed by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"


class JobProcess(SupervisedProcess):
    """A process that imports the workflow once and then does jobs, one at a time."""

    def __init__(self, module: str, options: object) -> None:
        self.stream, theirs = socket.socketpair()
        text = encode_line(options).decode()
        try:
            with theirs:
                number = theirs.fileno()
                # What steps print is in the log of their run.
                super().__init__(
                    module,
                    str(number),
                    text,
                    descriptors=(number,),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
        except OSError:
            self.stream.close()
            raise
        self.stream.setblocking(False)
        self._reader = LineReader(self.stream)
        self._exit_seen = False
        self.end_by: float | None = None

    def messages(self) -> Iterator[ChildMessage]:
        """What the process has said since the last call; it is killed if that isn't a message."""
        try:
            for line in self._reader.lines():
                yield decode_line(line, ChildMessage)
        except msgspec.DecodeError:
            self.kill()

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended, and all its messages have been read by the call before.

        What a job forked may keep the connection open after it.
        """
        exit_seen, self._exit_seen = self._exit_seen, self._process.poll() is not None
        return exit_seen or self._reader.is_over

    def give(self, job: UpJob) -> None:
        """Send a job; whether the process is still there to read it, reading its answer shows."""
        self._signals.discard(signal.SIGINT)
        self.send(job)

    def send(self, message: object) -> None:
        """Send a message; whether the process is still there to read it, its end shows."""
        with suppress(OSError):
            self.stream.sendall(encode_line(message))

    def end(self, now: float) -> None:
        """Close the connection, which makes the process end when it has no job."""
        if self.end_by is None:
            self.end_by = now + _END_S
            with suppress(OSError):
                self.stream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Kill what is left of the process and its group, and close the connection."""
        super().close()
        self.stream.close()
