"""Task functions for the executor suites, with every behaviour that an executor must handle."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

Inputs = tuple[str, ...]


class TwoArguments(Exception):
    """An error that can't be recreated from its message alone, as pickle would try."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Unprintable(Exception):
    """An error that fails when it is printed."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Deadly(Exception):
    """An error that exits the process when it is printed, unless that is caught."""

    def __str__(self) -> str:
        sys.exit(3)


class Starved(MemoryError):
    """A library's own out-of-memory error."""


def echo(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Return the parameters."""
    return params


def process_id(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Return the id of the worker process."""
    return str(os.getpid()).encode()


def environment(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Return the value of an environment variable."""
    return os.environ.get(params.decode(), "").encode()


def imported(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Return those of some modules (names separated by blanks) that are imported."""
    return " ".join(name for name in params.decode().split() if name in sys.modules).encode()


def sleep(params: bytes, inputs: Inputs, output: str) -> None:
    """Sleep for `params` seconds."""
    time.sleep(float(params))


def linger(params: bytes, inputs: Inputs, output: str) -> None:
    """Keep running as long as a file exists."""
    while Path(params.decode()).exists():
        time.sleep(0.01)


def spin(params: bytes, inputs: Inputs, output: str) -> None:
    """Compute for `params` CPU seconds."""
    end = time.thread_time() + float(params)
    while time.thread_time() < end:
        pass


def copy(params: bytes, inputs: Inputs, output: str) -> None:
    """Concatenate the inputs in the output, pausing `params` seconds after each."""
    with Path(output).open("wb") as target:
        for name in inputs:
            target.write(Path(name).read_bytes())
            target.flush()
            time.sleep(float(params or 0))


def half(params: bytes, inputs: Inputs, output: str) -> None:
    """Write half an output, then fail."""
    Path(output).write_bytes(b"half")
    raise ValueError("the rest is missing")


def two_arguments(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise an error that pickle can't restore."""
    raise TwoArguments("this", "that")


def unprintable(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise an error that can't be printed."""
    raise Unprintable


def leave(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise SystemExit."""
    sys.exit(3)


def no_bytes(params: bytes, inputs: Inputs, output: str) -> object:
    """Return a value that isn't bytes."""
    return lambda: None


def die(params: bytes, inputs: Inputs, output: str) -> None:
    """End the process by a signal, such as SIGKILL."""
    os.kill(os.getpid(), getattr(signal, params.decode()))
    time.sleep(60)


def vanish(params: bytes, inputs: Inputs, output: str) -> None:
    """Exit the process without any output."""
    os._exit(7)


def hold(params: bytes, inputs: Inputs, output: str) -> None:
    """Allocate `params` bytes of memory, and release them after half a second."""
    held = bytearray(int(params))
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.5)


def hoard(params: bytes, inputs: Inputs, output: str) -> None:
    """Allocate `params` bytes of memory and keep them until the process is killed."""
    held = bytearray(int(params))
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(600)


def without_memory(params: bytes, inputs: Inputs, output: str) -> None:
    """Request more memory than any machine has."""
    bytearray(1 << 60)


def child(params: bytes, inputs: Inputs, output: str) -> None:
    """Start a child process, write its id to a file, and wait for it."""
    import subprocess

    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(params.decode()).write_text(str(other.pid))
    other.wait()


def deaf(params: bytes, inputs: Inputs, output: str) -> None:
    """Ignore every signal that can be ignored, and never return."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def interrupt(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise KeyboardInterrupt."""
    raise KeyboardInterrupt


def recurse(params: bytes, inputs: Inputs, output: str) -> None:
    """Recurse without end."""
    recurse(params, inputs, output)


def deadly(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise an error that exits the process when it is printed."""
    raise Deadly


def half_characters(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise an error whose message can't be encoded."""
    raise ValueError(os.fsdecode(b"\xff"))


def wordy(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise an error with a message of several megabytes."""
    raise ValueError("many words " * 500_000)


def starve(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise a subclass of MemoryError without a message."""
    raise Starved


def close_files(params: bytes, inputs: Inputs, output: str) -> None:
    """Close all files except the standard streams, and continue."""
    os.closerange(3, 256)
    time.sleep(60)


def babble(params: bytes, inputs: Inputs, output: str) -> None:
    """Write to every socket of the process, and continue."""
    for number in range(3, 256):
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as stream:
            stream.sendall(b"\0\0\0\3abc")
    time.sleep(60)


def fork(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Return in two processes."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return b"parent" if child else b"child"


def bequeath(params: bytes, inputs: Inputs, output: str) -> None:
    """Die, leaving all connections to a child; write the child's id to a file."""
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    Path(params.decode()).write_text(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


def leave_behind(params: bytes, inputs: Inputs, output: str) -> None:
    """Start a child process, write its id to a file, and return without waiting."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    Path(params.decode()).write_text(str(child))


def niceness(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Return the niceness of the process."""
    return str(os.nice(0)).encode()


def devices(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Sleep for `params` seconds and while the inputs exist, then return the visible devices."""
    time.sleep(float(params))
    for gate in inputs:
        linger(os.fsencode(gate), (), "")
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").encode()


def shout(params: bytes, inputs: Inputs, output: str) -> None:
    """Print `params` lines, then kill the process with the signals that the inputs name."""
    for number in range(int(params)):
        print(f"line {number} \N{SNOWMAN}")  # noqa: T201
    for name in inputs:
        os.kill(os.getpid(), getattr(signal, name))


def clutch(params: bytes, inputs: Inputs, output: str) -> None:
    """Start a child process, write its id to a file, and hold the interpreter lock for a minute."""
    leave_behind(params, inputs, output)
    ctypes.PyDLL(None).sleep(60)
