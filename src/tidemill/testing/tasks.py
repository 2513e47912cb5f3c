"""Tasks that behave in every way that an engine has to cope with; for its conformance suite."""

from __future__ import annotations

import os
import signal
import sys
import time
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


def echo(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Give the parameters back."""
    return params


def process_id(params: bytes, inputs: Inputs, output: str) -> bytes:
    """Tell who is at work."""
    return str(os.getpid()).encode()


def environment(params: bytes, inputs: Inputs, output: str) -> bytes:
    """The value of an environment variable."""
    return os.environ.get(params.decode(), "").encode()


def sleep(params: bytes, inputs: Inputs, output: str) -> None:
    """Sleep for so many seconds."""
    time.sleep(float(params))


def spin(params: bytes, inputs: Inputs, output: str) -> None:
    """Compute for so many CPU seconds."""
    end = time.process_time() + float(params)
    while time.process_time() < end:
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
