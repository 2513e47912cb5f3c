"""The body of a request for predictions: how it is decoded, and how its reply is written."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidemill.serving.answers import ModelAnswer
from tidemill.serving.compression import decompress
from tidemill.serving.errors import BadRequest, UnsupportedMediaType
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.loaded_version import LoadedVersion
from tidemill.serving.oip import BINARY, HEADER_LENGTH, JSON, Reply
from tidemill.serving.predictions import media_type, reply_type
from tidemill.serving.rows import InferRequest

# Larger bodies are decoded in a thread, because they would hold up other requests.
LARGE = 100_000
_TIMEOUT_HEADER = b"x-request-timeout-ms"
_LENGTH = HEADER_LENGTH.encode()
# Of numbers in headers; Python reads no integer of thousands.
_DIGITS = 18


class RequestBody(NamedTuple):
    """A request for predictions as it came; `is_infer` if it speaks the Open Inference Protocol."""

    payload: bytes
    headers: Mapping[bytes, bytes]
    query: bytes
    is_infer: bool

    @property
    def asks_partial(self) -> bool:
        """Whether the query asks for the good rows of a request with bad ones."""
        return self._flag(b"partial")

    @property
    def asks_explanations(self) -> bool:
        """Whether the query asks what each input contributes; BadRequest where no reply could hold it."""
        if not self._flag(b"explain"):
            return False
        if self.is_infer or reply_type(self._header(b"accept"), self._media) != JSON:
            raise BadRequest(f"explain=true is answered in {JSON}, to requests with named rows")
        return True

    def _flag(self, name: bytes) -> bool:
        """Whether the query has a flag; BadRequest for what is neither true nor false, or is there twice."""
        if not self.query:
            return False
        parts = (part.partition(b"=") for part in self.query.split(b"&"))
        values = [value for key, _, value in parts if key == name]
        if not values:
            return False
        if len(values) > 1 or values[0] not in (b"true", b"false"):
            raise BadRequest(f"{name.decode()} in the query is either true or false, once")
        return values[0] == b"true"

    def is_partial(self, request: InferRequest) -> bool:
        """Whether a request asks for the good rows, by its query or its parameters."""
        return request.parameters.get("partial") is True or self.asks_partial

    def deadline(self, parameters: Mapping[str, Any], began_ns: int) -> float:
        """When the caller stops waiting, in seconds of the monotonic clock.

        Callers say how long they wait: in microseconds by the parameter `timeout`, as Triton's clients do, or
        in milliseconds by the header X-Request-Timeout-Ms.
        """
        given = parameters.get("timeout")
        if given is not None:
            seconds = _positive(given, "the parameter timeout") / 1e6
        else:
            seconds = _patience(self.headers)
        return began_ns / 1e9 + seconds

    def reply(self, version: LoadedVersion, answer: ModelAnswer, request: InferRequest) -> Reply:
        """Write the reply, in the protocol and the format of the request."""
        if self.is_infer:
            return version.infer_replies.reply(answer, request)
        accept = self._header(b"accept")
        media = JSON if self._is_json and not accept else reply_type(accept, self._media)
        return version.predict_replies.reply(answer, request, media)

    def decode(self, schema: InputSchema) -> InferRequest:
        """Decode and check the rows; raises RequestError for what isn't accepted."""
        payload = self.payload
        if b"content-encoding" in self.headers:
            encoding = self._header(b"content-encoding")
            payload = decompress(payload, encoding, most=schema.limits.bytes)
        if self.is_infer:
            return schema.decode_oip(
                payload, json_length=self._json_length(), partial=self.asks_partial
            )
        if self._is_json:
            return schema.decode_rows(payload, partial=self.asks_partial)
        return schema.decode_predict(payload, self._media, partial=self.asks_partial)

    def schema(self, version: LoadedVersion) -> InputSchema:
        """The schema that decodes it: that with more columns, if the request may carry one of them."""
        carrying = version.logged.carrying
        if carrying is None or not self._mentions(version.carried):
            return version.schema
        return carrying

    def _mentions(self, names: Sequence[bytes]) -> bool:
        if b"content-encoding" in self.headers:
            return True
        quote = b'"' if self.is_infer or self._is_json else b""
        # Only ASCII can't be written as escapes that differ from it, which nobody does.
        return any(not name.isascii() or quote + name + quote in self.payload for name in names)

    @property
    def _is_json(self) -> bool:
        return self.headers.get(b"content-type") == b"application/json"

    @property
    def _media(self) -> str:
        return media_type(self._header(b"content-type"))

    def _header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def _json_length(self) -> int | None:
        """The bytes of JSON before binary data; None without any."""
        kind = self._header(b"content-type").partition(";")[0].strip().lower()
        # Some clients send no type.
        if kind not in ("", JSON, BINARY):
            raise UnsupportedMediaType(
                f"Content-Type {kind!r} isn't read here: send {JSON}, or {BINARY} with binary data"
            )
        length = self.headers.get(_LENGTH)
        if length is None:
            return None
        if not length.isdigit() or len(length) > _DIGITS:
            raise BadRequest(f"the header {HEADER_LENGTH} is not a number of bytes")
        return int(length)


async def decode_request(schema: InputSchema, body: RequestBody, watch: CpuWatch) -> InferRequest:
    """Decode and check a request; raises RequestError for what isn't accepted."""
    # Few compressed bytes may be many.
    if len(body.payload) <= LARGE and b"content-encoding" not in body.headers:
        return body.decode(schema)
    found, cpu_s = await watch.wait(asyncio.to_thread(_decode_timed, schema, body))
    watch.add(cpu_s)
    return found


def _decode_timed(schema: InputSchema, body: RequestBody) -> tuple[InferRequest, float]:
    started = time.thread_time()
    found = body.decode(schema)
    return found, time.thread_time() - started


def is_past_deadline(headers: Mapping[bytes, bytes], arrived: float) -> bool:
    """Whether the caller of a request has stopped waiting, by its headers; False if they aren't valid."""
    if _TIMEOUT_HEADER not in headers:
        return False
    try:
        return time.monotonic() >= arrived + _patience(headers)
    except BadRequest:
        return False


def _patience(headers: Mapping[bytes, bytes]) -> float:
    """The seconds that a caller waits, by its headers."""
    header = headers.get(_TIMEOUT_HEADER)
    if header is None:
        return math.inf
    return _positive(header.decode("latin-1"), "X-Request-Timeout-Ms") / 1e3


def _positive(given: Any, name: str) -> float:
    try:
        # Python reads 1_000 as a number.
        found = math.nan if "_" in str(given) else float(given)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not 0 < found < math.inf:
        raise BadRequest(f"{name} is not a positive number")
    return found
