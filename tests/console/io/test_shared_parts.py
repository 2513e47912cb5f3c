"""Parts of pages that are drawn once for several people."""

from __future__ import annotations

from tidemill.console.io import shared_parts
from tidemill.console.io.shared_parts import SharedParts


def test_who_sees_the_same_gets_one_drawing_with_a_form_key_of_their_own() -> None:
    parts, drawn = SharedParts(), list[str]()

    def draw(form_key: str) -> bytes:
        drawn.append(form_key)
        return f"<b>{form_key}</b> {len(drawn)} <i>{form_key}</i>".encode()

    assert parts.draw(("/runs", "a"), "ana's", draw) == b"<b>ana's</b> 1 <i>ana's</i>"
    assert parts.draw(("/runs", "a"), "ben's", draw) == b"<b>ben's</b> 1 <i>ben's</i>"
    assert parts.draw(("/runs", "b"), "ben's", draw) == b"<b>ben's</b> 2 <i>ben's</i>"
    assert not {"ana's", "ben's"} & set(drawn)


def test_only_the_last_parts_are_kept() -> None:
    parts, drawn = SharedParts(), list[str]()

    def see(part: str) -> None:
        def draw(_: str) -> bytes:
            drawn.append(part)
            return b""

        parts.draw((part,), "", draw)

    numbers = [*map(str, range(shared_parts._MOST + 1))]
    for number in [*numbers, numbers[-1], numbers[0]]:
        see(number)
    assert drawn == [*numbers, numbers[0]]
