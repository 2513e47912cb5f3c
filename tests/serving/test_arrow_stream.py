"""Arrow IPC streams are read as Polars reads them, and damaged ones never end the process."""

from __future__ import annotations

import io
import struct

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.serving.test_arrow_messages import table
from tests.support.arrow_streams import as_stream, damaged_stream, flat_frame
from tests.support.thoroughness import thorough
from tidemill.serving.arrow_stream import _read_schema, read_arrow_stream
from tidemill.serving.errors import BadRequest, PayloadTooLarge, RequestError
from tidemill.serving.rows import RequestLimits

LIMITS = RequestLimits()
FRAME = flat_frame()
TEXTS = FRAME.with_columns(pl.col("kind", "word").cast(pl.String))


def pyarrow_stream(table: pa.Table, chunk: int = 5) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


@pytest.mark.parametrize("is_oldest", [False, True])
def test_a_stream_of_polars_is_read(is_oldest: bool) -> None:
    assert_frame_equal(read_arrow_stream(as_stream(FRAME, is_oldest=is_oldest), LIMITS), TEXTS)


def test_a_stream_of_pyarrow_is_read() -> None:
    assert_frame_equal(read_arrow_stream(pyarrow_stream(FRAME.to_arrow()), LIMITS), TEXTS)


def test_types_that_only_others_write_are_read() -> None:
    table = pa.table(
        {
            "s": pa.array([1, None], pa.timestamp("s")),
            "d64": pa.array([86_400_000, None], pa.date64()),
            "t32": pa.array([1, None], pa.time32("s")),
            "took": pa.array([2, None], pa.duration("s")),
            "text": pa.array(["a", None], pa.string()),
            "large": pa.array(["a", None], pa.large_string()),
            "dict": pa.array(["a", None]).dictionary_encode(),
            "dict8": pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int8()), ["x", "y"]),
        }
    )
    found = read_arrow_stream(pyarrow_stream(table), LIMITS)
    assert found.drop("took").select(pl.all().cast(pl.String)).to_dict(as_series=False) == {
        "s": ["1970-01-01 00:00:01.000", None],
        "d64": ["1970-01-02 00:00:00.000", None],
        "t32": ["00:00:01", None],
        "text": ["a", None],
        "large": ["a", None],
        "dict": ["a", None],
        "dict8": ["y", "x"],
    }
    assert found["took"].dt.total_seconds().to_list() == [2, None]


@thorough
@given(st.integers(0, 10**9), st.booleans())
def test_a_damaged_stream_raises_nothing_but_typed_errors(seed: int, is_oldest: bool) -> None:
    stream = damaged_stream(STREAMS[is_oldest], seed)
    try:
        found = read_arrow_stream(stream, LIMITS)
    except RequestError:
        return
    # Whatever was read can be looked at.
    assert len(found.rows()) == found.height


STREAMS = (as_stream(FRAME), as_stream(FRAME, is_oldest=True))


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_typed_errors(body: bytes) -> None:
    with pytest.raises(RequestError):
        read_arrow_stream(body, LIMITS)


def compressed() -> bytes:
    stream = io.BytesIO()
    FRAME.write_ipc_stream(stream, compression="zstd")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "it has no schema"),
        (b"hour,wind\n1,2\n", "no message begins at byte 0"),
        (STREAMS[0][:-40], "is cut off"),
        (STREAMS[0] * 2, "goes on after its end"),
        (compressed(), "compressed buffers"),
        (as_stream(FRAME.clear()), "no rows"),
        (as_stream(pl.DataFrame({"x": [[1]]})), "column 'x' has Arrow's type 2"),
        (as_stream(pl.DataFrame({"x": [[1]]}), is_oldest=True), "column 'x' has Arrow's type"),
        (pyarrow_stream(pa.table([[1], [2]], names=["x", "x"])), "two columns 'x'"),
        (pyarrow_stream(pa.table({"x": pa.array([1]).dictionary_encode()})), "values that aren't text"),
        (pyarrow_stream(pa.table({"x": pa.array([10**9], pa.date32())})), "outside of the years"),
        (pyarrow_stream(pa.table({"x": pa.array([1], pa.timestamp("us", "Moon/Sea"))})), "time zone 'Moon"),
        (pyarrow_stream(pa.table({"x": pa.array([1], pa.decimal256(40, 1))})), "decimals of 256 bits"),
    ],
)  # fmt: skip
def test_other_streams_are_refused(stream: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_arrow_stream(stream, LIMITS)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(PayloadTooLarge, match="10 rows, but the server accepts 9"):
        read_arrow_stream(pyarrow_stream(FRAME.to_arrow()), RequestLimits(rows=9))


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_texts_that_refer_to_the_same_bytes_are_limited(kind: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"x": pl.Series(["long" * 20] * 50, dtype=kind)})
    with pytest.raises(PayloadTooLarge, match="more bytes than the server accepts"):
        read_arrow_stream(as_stream(frame), RequestLimits(bytes=1_000))


def test_a_dictionary_may_grow() -> None:
    sink = pa.BufferOutputStream()
    schema = pa.schema({"x": pa.dictionary(pa.int8(), pa.string())})
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for words in (["a"], ["a", "b"]):
            array = pa.DictionaryArray.from_arrays(pa.array([0, len(words) - 1], pa.int8()), words)
            writer.write_batch(pa.record_batch([array], schema=schema))
    found = read_arrow_stream(sink.getvalue().to_pybytes(), LIMITS)
    assert found["x"].to_list() == ["a", "a", "a", "b"]


def test_a_column_needs_its_dictionary() -> None:
    stream = as_stream(pl.DataFrame({"x": pl.Series(["a"], dtype=pl.Categorical)}))
    messages = [part for part in stream.split(b"\xff\xff\xff\xff") if part]
    without = b"".join(b"\xff\xff\xff\xff" + part for part in (messages[0], *messages[2:]))
    with pytest.raises(BadRequest, match="column 'x' has no dictionary"):
        read_arrow_stream(without, LIMITS)


def test_a_stream_without_columns_is_refused() -> None:
    with pytest.raises(BadRequest, match="has no columns"):
        read_arrow_stream(pyarrow_stream(pa.table({})), LIMITS)


def test_a_big_endian_stream_is_refused() -> None:
    with pytest.raises(BadRequest, match="is big-endian"):
        _read_schema(table(struct.pack("<i", 1)))
