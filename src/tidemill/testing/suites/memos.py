"""What every store of memos promises.

The fixture `memoist` makes another holder of the same store, as another process would have.
"""

from __future__ import annotations

from collections.abc import Callable

from tidemill.ports.reuse import Memos

SPACE = "flows.embed-0123"


def _held(memos: Memos) -> list[bytes]:
    found = []
    for name in memos.segments(SPACE):
        source = memos.open(SPACE, name)
        if isinstance(source, str):
            with open(source, "rb") as file:
                source = file.read()
        assert source is not None
        found.append(source)
    return found


class MemosSuite:
    """Promises about segments, intents and turns."""

    def test_segments_are_listed_oldest_first_with_their_sizes(
        self, memoist: Callable[[], Memos]
    ) -> None:
        one, other = memoist(), memoist()
        assert dict(one.segments(SPACE)) == {}
        for number, memos in enumerate([one, other, one]):
            memos.append(SPACE, b"x" * (number + 1))
        assert list(other.segments(SPACE).values()) == [1, 2, 3]
        assert _held(one) == [b"x", b"xx", b"xxx"]
        assert dict(one.segments("another-45")) == {}

    def test_one_segment_takes_the_place_of_several(self, memoist: Callable[[], Memos]) -> None:
        memos = memoist()
        for payload in (b"a", b"b", b"c"):
            memos.append(SPACE, payload)
        for _ in range(12):  # more often than one digit counts
            assert memos.merge(SPACE, list(memos.segments(SPACE))[:-1], b"ab")
            assert _held(memoist()) == [b"ab", b"c"]

    def test_what_is_gone_is_not_merged_again(self, memoist: Callable[[], Memos]) -> None:
        memos = memoist()
        for payload in (b"a", b"b"):
            memos.append(SPACE, payload)
        names = list(memos.segments(SPACE))
        assert memos.merge(SPACE, names, b"ab")
        assert not memoist().merge(SPACE, names, b"ab")
        assert memos.open(SPACE, names[0]) is None
        assert _held(memos) == [b"ab"]

    def test_who_comes_later_sees_what_others_are_at(self, memoist: Callable[[], Memos]) -> None:
        one, other = memoist(), memoist()
        first = one.intend(SPACE, b"first")
        second = other.intend(SPACE, b"second")
        assert dict(one.intents(SPACE, first)) == {}
        assert dict(other.intents(SPACE, second)) == {first: b"first"}
        third = one.intend(SPACE, b"third")  # also one's own: another thread may be at it
        assert dict(one.intents(SPACE, third)) == {first: b"first", second: b"second"}
        one.withdraw(SPACE, first)
        assert dict(other.intents(SPACE, third)) == {second: b"second"}
        other.withdraw(SPACE, second)
        one.withdraw(SPACE, third)
        one.withdraw(SPACE, third)

    def test_turns_are_apart_whoever_takes_them(self, memoist: Callable[[], Memos]) -> None:
        one, other = memoist(), memoist()
        waits = [memos.turn(SPACE, 100.0) for memos in (one, other, one)]
        assert waits[0] <= 0.0
        assert [round(wait / 100) for wait in waits] == [0, 1, 2]
        assert one.turn("another-45", 100.0) <= 0.0
