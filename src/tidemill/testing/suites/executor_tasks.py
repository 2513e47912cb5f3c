"""Tasks that behave in every way that an engine has to cope with; for its conformance suite."""

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
    """Can't be made from its message alone, as pickle would try."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Unprintable(Exception):
    """Fails when it is printed."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Deadly(Exception):
    """Ends the process when it is printed, if nobody minds."""

    def __str__(self) -> str:
        sys.exit(3)


class Starved(MemoryError):
    """What a library raises when it can't have memory."""


def echo(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Give the parameters back."""
    return params


def process_id(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Tell who is at work."""
    return str(os.getpid()).encode()


def environment(params: bytes, inputs: Inputs, output: str) -> bytes:
    """The value of an environment variable."""
    return os.environ.get(params.decode(), "").encode()


def imported(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Which of some modules (names with blanks between) are imported."""
    return " ".join(name for name in params.decode().split() if name in sys.modules).encode()


def sleep(params: bytes, inputs: Inputs, output: str) -> None:
    """Sleep for so many seconds."""
    time.sleep(float(params))


def linger(params: bytes, inputs: Inputs, output: str) -> None:
    """Stay at work for as long as a file exists."""
    while Path(params.decode()).exists():
        time.sleep(0.01)


def spin(params: bytes, inputs: Inputs, output: str) -> None:
    """Compute for so many CPU seconds."""
    end = time.thread_time() + float(params)
    while time.thread_time() < end:
        pass


def copy(params: bytes, inputs: Inputs, output: str) -> None:
    """Write all inputs, one after the other, into the output; `params` seconds lie between."""
    with Path(output).open("wb") as target:
        for name in inputs:
            target.write(Path(name).read_bytes())
            target.flush()
            time.sleep(float(params or 0))


def half(params: bytes, inputs: Inputs, output: str) -> None:
    """Write half an output, and fail."""
    Path(output).write_bytes(b"half")
    raise ValueError("the rest is missing")


def two_arguments(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise what pickle can't bring back."""
    raise TwoArguments("this", "that")


def unprintable(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise what can't be printed."""
    raise Unprintable


def leave(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise SystemExit."""
    sys.exit(3)


def no_bytes(params: bytes, inputs: Inputs, output: str) -> object:
    """Give what can't travel."""
    return lambda: None


def die(params: bytes, inputs: Inputs, output: str) -> None:
    """End the process by a signal, such as SIGKILL."""
    os.kill(os.getpid(), getattr(signal, params.decode()))
    time.sleep(60)


def vanish(params: bytes, inputs: Inputs, output: str) -> None:
    """End the process without a word."""
    os._exit(7)


def hold(params: bytes, inputs: Inputs, output: str) -> None:
    """Hold so many bytes of memory for a moment, and let go of them."""
    held = bytearray(int(params))
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.5)


def hoard(params: bytes, inputs: Inputs, output: str) -> None:
    """Hold so many bytes of memory until the process is ended."""
    held = bytearray(int(params))
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(600)


def without_memory(params: bytes, inputs: Inputs, output: str) -> None:
    """Ask for more memory than any machine has."""
    bytearray(1 << 60)


def child(params: bytes, inputs: Inputs, output: str) -> None:
    """Start a process of its own, tell its id in a file, and wait for it."""
    import subprocess

    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(params.decode()).write_text(str(other.pid))
    other.wait()


def deaf(params: bytes, inputs: Inputs, output: str) -> None:
    """Ignore every signal that can be ignored, and never end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def interrupt(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def recurse(params: bytes, inputs: Inputs, output: str) -> None:
    """Call itself for ever."""
    recurse(params, inputs, output)


def deadly(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise what ends the process when it is printed."""
    raise Deadly


def half_characters(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise a message that no encoding can carry."""
    raise ValueError(os.fsdecode(b"\xff"))


def wordy(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise a message of some megabytes."""
    raise ValueError("many words " * 500_000)


def starve(params: bytes, inputs: Inputs, output: str) -> None:
    """Raise a MemoryError of another class, without a word."""
    raise Starved


def close_files(params: bytes, inputs: Inputs, output: str) -> None:
    """Close all files but standard ones, and go on."""
    os.closerange(3, 256)
    time.sleep(60)


def babble(params: bytes, inputs: Inputs, output: str) -> None:
    """Write into every socket of the process, and go on."""
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
    """Die, and leave all connections to a child, whose id is told in a file."""
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    Path(params.decode()).write_text(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


def leave_behind(params: bytes, inputs: Inputs, output: str) -> None:
    """Start a process, tell its id in a file, and leave it."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    Path(params.decode()).write_text(str(child))


def niceness(params: bytes, inputs: Inputs, output: str) -> bytes:
    """How nice the process is."""
    return str(os.nice(0)).encode()


def devices(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Sleep for so many seconds and while the inputs exist, and tell which devices may be used."""
    time.sleep(float(params))
    for gate in inputs:
        linger(os.fsencode(gate), (), "")
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").encode()


def shout(params: bytes, inputs: Inputs, output: str) -> None:
    """Write so many lines, and then end the process by a signal, if the input names one."""
    for number in range(int(params)):
        print(f"line {number} \N{SNOWMAN}")  # noqa: T201
    for name in inputs:
        os.kill(os.getpid(), getattr(signal, name))


def clutch(params: bytes, inputs: Inputs, output: str) -> None:
    """Start a process, tell its id in a file, and never let another thread of this one have a turn."""
    leave_behind(params, inputs, output)
    ctypes.PyDLL(None).sleep(60)
