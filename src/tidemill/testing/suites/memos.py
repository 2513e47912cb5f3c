"""Conformance suite for memo stores.

The fixture `open_memos` is a function that opens the same store again, as another process would.
"""

from __future__ import annotations

from collections.abc import Callable

from tidemill.ports.reuse import Memos

SPACE = "flows.embed-0123"


def _segment_payloads(memos: Memos) -> list[bytes]:
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
    """Tests of segments, intents and turns."""

    def test_segments_are_listed_oldest_first_with_their_sizes(
        self, open_memos: Callable[[], Memos]
    ) -> None:
        one, other = open_memos(), open_memos()
        assert dict(one.segments(SPACE)) == {}
        for number, memos in enumerate([one, other, one]):
            memos.append(SPACE, b"x" * (number + 1))
        assert list(other.segments(SPACE).values()) == [1, 2, 3]
        assert _segment_payloads(one) == [b"x", b"xx", b"xxx"]
        assert dict(one.segments("another-45")) == {}

    def test_merging_replaces_segments_by_one(self, open_memos: Callable[[], Memos]) -> None:
        memos = open_memos()
        for payload in (b"a", b"b", b"c"):
            memos.append(SPACE, payload)
        for _ in range(12):  # so that the number needs two digits
            assert memos.merge(SPACE, list(memos.segments(SPACE))[:-1], b"ab")
            assert _segment_payloads(open_memos()) == [b"ab", b"c"]

    def test_what_is_gone_is_not_merged_again(self, open_memos: Callable[[], Memos]) -> None:
        memos = open_memos()
        for payload in (b"a", b"b"):
            memos.append(SPACE, payload)
        names = list(memos.segments(SPACE))
        assert memos.merge(SPACE, names, b"ab")
        assert not open_memos().merge(SPACE, names, b"ab")
        assert memos.open(SPACE, names[0]) is None
        assert _segment_payloads(memos) == [b"ab"]

    def test_kept_segments_are_not_listed(self, open_memos: Callable[[], Memos]) -> None:
        memos = open_memos()
        memos.append(SPACE, b"a", "w00")
        assert memos.merge(SPACE, list(memos.segments(SPACE)), b"b", "w01", keep=True)
        assert _segment_payloads(memos) == [b"b"]

    def test_later_holders_see_earlier_intents(self, open_memos: Callable[[], Memos]) -> None:
        one, other = open_memos(), open_memos()
        first = one.intend(SPACE, b"first")
        second = other.intend(SPACE, b"second")
        assert dict(one.intents(SPACE, first)) == {}
        assert dict(other.intents(SPACE, second)) == {first: b"first"}
        third = one.intend(
            SPACE, b"third"
        )  # lists its own intents too: another thread may hold them
        assert dict(one.intents(SPACE, third)) == {first: b"first", second: b"second"}
        one.withdraw(SPACE, first)
        assert dict(other.intents(SPACE, third)) == {second: b"second"}
        other.withdraw(SPACE, second)
        one.withdraw(SPACE, third)
        one.withdraw(SPACE, third)

    def test_turns_are_spaced_across_holders(self, open_memos: Callable[[], Memos]) -> None:
        one, other = open_memos(), open_memos()
        waits = [memos.turn(SPACE, 100.0) for memos in (one, other, one)]
        assert waits[0] <= 0.0
        assert [round(wait / 100) for wait in waits] == [0, 1, 2]
        assert one.turn("another-45", 100.0) <= 0.0
