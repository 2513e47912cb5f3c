"""What a terminal shows after some bytes: enough of one to see what the bars of progress leave on it."""

import re

_PIECE = re.compile(r"\x1b\[(\??\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """Lines of text with a cursor; what scrolls out at the top is in `gone`.

    A newline also returns to the first column, as the terminal driver has it.
    """

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.width, self.height = width, height
        self.lines = [""] * height
        self.gone: list[str] = []
        self.row = self.column = 0
        self.wraps = True

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        for number, code, control, letters in _PIECE.findall(text):
            if code:
                self._code(number, code)
            elif control:
                self.column = 0
                if control == "\n":
                    self._down()
            for letter in letters:
                self._put(letter)

    @property
    def text(self) -> list[str]:
        """All lines that were ever there, without what is empty at the end."""
        lines = [line.rstrip() for line in (*self.gone, *self.lines)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _code(self, number: str, code: str) -> None:
        if code == "A":
            self.row = max(0, self.row - int(number or 1))
        elif code == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            self.lines[self.row + 1 :] = [""] * (self.height - self.row - 1)
        elif (number, code) in (("?7", "l"), ("?7", "h")):
            self.wraps = code == "h"
        else:
            assert code == "m", f"the screen doesn't know \\x1b[{number}{code}"

    def _down(self) -> None:
        if self.row == self.height - 1:
            self.gone.append(self.lines.pop(0))
            self.lines.append("")
        else:
            self.row += 1

    def _put(self, letter: str) -> None:
        if self.column == self.width:
            if not self.wraps:
                self.column -= 1
            else:
                self.column = 0
                self._down()
        line = self.lines[self.row].ljust(self.width)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1
