"""The size of a terminal; how lines on one are drawn is tested with what draws them."""

import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from tidemill.cli.terminal.block import terminal_size


@pytest.mark.parametrize(
    ("lines", "columns", "says"),
    [
        (20, 60, (60, 20)),
        (0, 0, (70, 30)),  # it doesn't know, as in a container that was started without one
    ],
)
def test_a_terminal_says_how_large_it_is(
    monkeypatch: pytest.MonkeyPatch, lines: int, columns: int, says: tuple[int, int]
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("LINES", "30")
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with os.fdopen(side, "w") as stream:
        assert terminal_size(stream) == says
    os.close(main)
    assert terminal_size(io.StringIO()) == (70, 30)
