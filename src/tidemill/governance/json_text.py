"""JSON that is signed: written in one way, and read without tolerance."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from tidemill.core.errors import AttestationError

# An escaped code unit of UTF-16 that may be half of a pair.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def canonical_json(value: Any) -> bytes:
    """A value as JSON in UTF-8, with sorted keys and without spaces; ValueError for NaN and infinities."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def parse_json(text: bytes, name: str) -> Any:
    """Read JSON, as `name` in messages; AttestationError if it isn't, or if an object has a key twice.

    Readers disagree on which of two equal keys counts, so one could verify what another doesn't use. Half of
    a surrogate pair is refused as well: it is no character, and so can't be written again.
    """
    try:
        value = json.loads(
            text.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except AttestationError as error:
        raise AttestationError(f"{name} {error}") from None
    except UnicodeEncodeError:
        raise AttestationError(f"{name} has half of a surrogate pair") from None
    except UnicodeDecodeError as error:
        raise AttestationError(f"{name} isn't UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise AttestationError(
            f"{name} isn't JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except (RecursionError, ValueError):  # a number with thousands of digits
        raise AttestationError(f"{name} is nested too deeply, or has too long a number") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise AttestationError(f"has the key {twice[:100]!r} twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise AttestationError(f"has {name}, which JSON doesn't know")
