"""Checksums of stored Parquet files: every changed byte that is read is noticed, and no other."""

from __future__ import annotations

from io import BytesIO

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.analysis.hashing import parquet_seal
from tidemill.analysis.hashing.parquet_seal import SMALL_BYTES, SealMark, is_sound, mark_in, seal

COLUMNS = ("number", "text", "nested")


def parquet(rows: int = 40_000, group: int = 12_000) -> BytesIO:
    frame = pl.DataFrame(
        {
            "number": [row * 7919 % 104_729 for row in range(rows)],
            "text": [f"{row * 31 % 1_009:x}" for row in range(rows)],
            "nested": [{"a": row, "b": [row * row]} for row in range(rows)],
        }
    )
    into = BytesIO()
    frame.write_parquet(into, statistics=False, row_group_size=group)
    return into


def sealed(rows: int = 40_000) -> tuple[bytes, SealMark]:
    file = parquet(rows)
    mark = seal(file)
    return file.getvalue(), mark


LARGE, LARGE_MARK = sealed()
SMALL, SMALL_MARK = sealed(200)


def sound(payload: bytes, mark: SealMark, **wanted: object) -> bool:
    def read(offset: int, length: int) -> bytes:
        return payload[offset : offset + length]

    return is_sound(mark, len(payload), read, **wanted)  # type: ignore[arg-type]


def test_a_sealed_file_is_a_parquet_file_with_the_same_rows() -> None:
    assert not LARGE_MARK.is_whole
    assert pl.read_parquet(LARGE).equals(pl.read_parquet(parquet().getvalue()))
    assert pl.read_parquet(SMALL).equals(pl.read_parquet(parquet(200).getvalue()))
    assert len(LARGE) < 1.01 * len(parquet().getvalue())


def test_a_small_file_is_left_as_it_is_and_checked_as_a_whole() -> None:
    assert len(SMALL) < SMALL_BYTES <= len(LARGE)
    assert SMALL_MARK.is_whole
    assert parquet(200).getvalue() == SMALL


@pytest.mark.parametrize("mark", [LARGE_MARK, SMALL_MARK])
def test_a_name_keeps_its_mark(mark: SealMark) -> None:
    assert mark_in(f"{'0' * 64}.{mark}.parquet") == mark
    assert mark_in(f"{'0' * 64}.parquet") is None
    assert len(str(mark)) == 17


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    payload, mark = data.draw(st.sampled_from([(LARGE, LARGE_MARK), (SMALL, SMALL_MARK)]))
    assert sound(payload, mark)
    changed = bytearray(payload)
    changed[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not sound(bytes(changed), mark)


@given(st.integers(0, len(LARGE)))
def test_a_file_that_was_cut_is_noticed_whatever_is_read(length: int) -> None:
    assert sound(LARGE[:length], LARGE_MARK, columns=()) is (length == len(LARGE))


@given(st.binary(max_size=300))
def test_any_other_bytes_are_noticed(payload: bytes) -> None:
    assert not sound(payload, LARGE_MARK, columns=())
    assert not sound(LARGE + payload, LARGE_MARK, columns=()) or not payload


def test_only_the_columns_and_groups_that_are_read_are_checked() -> None:
    read: list[tuple[int, int]] = []

    def note(offset: int, length: int) -> bytes:
        read.append((offset, length))
        return LARGE[offset : offset + length]

    touched = {}
    for column in COLUMNS:
        read.clear()
        assert is_sound(LARGE_MARK, len(LARGE), note, columns=[column])
        touched[column] = sum(length for _, length in read)
    assert sum(touched.values()) < len(LARGE) + 3 * 20_000
    changed = bytearray(LARGE)
    # The first chunk is that of the first column in the first row group.
    changed[1_000] ^= 1
    assert not sound(bytes(changed), LARGE_MARK, columns=["number"])
    assert not sound(bytes(changed), LARGE_MARK, columns=["number"], groups=range(1))
    assert sound(bytes(changed), LARGE_MARK, columns=["number"], groups=range(1, 4))
    assert sound(bytes(changed), LARGE_MARK, columns=["text", "nested"])
    assert sound(bytes(changed), LARGE_MARK, columns=())


def test_a_file_of_another_space_is_noticed() -> None:
    file = parquet()
    mark = seal(file, "one")
    assert sound(file.getvalue(), mark, space="one")
    assert not sound(file.getvalue(), mark, space="other")
    assert not sound(file.getvalue(), mark)


def test_long_footers_and_long_chunks_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_seal, "_PIECE_BYTES", 1_000)
    for tail in (16, 200, 100_000):
        monkeypatch.setattr(parquet_seal, "_TAIL_BYTES", tail)
        assert sound(LARGE, LARGE_MARK)
        assert sound(LARGE, LARGE_MARK, columns=["text"])
        changed = bytearray(LARGE)
        changed[5_000] ^= 1
        assert not sound(bytes(changed), LARGE_MARK)


def test_a_file_without_rows_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 0)
    for frame in (pl.DataFrame(), pl.DataFrame(schema={"a": pl.Int64})):
        into = BytesIO()
        frame.write_parquet(into)
        mark = seal(into)
        assert sound(into.getvalue(), mark)
        assert sound(into.getvalue(), mark, columns=["a"])
        assert pl.read_parquet(into.getvalue()).equals(frame)
