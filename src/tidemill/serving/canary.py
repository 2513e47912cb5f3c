"""Which requests a canary answers: by a stable hash of a key, so that a caller keeps its version."""

from __future__ import annotations

from hashlib import blake2b

_RANGE = float(1 << 64)


def canary_point(key: str | bytes, rollout: str) -> float:
    """Map a request's key to a number from 0 to 1, evenly, and independently for each `rollout`.

    So no key is among the first of every rollout.
    """
    data = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    salt = blake2b(rollout.encode(), digest_size=32).digest()
    digest = blake2b(data, digest_size=8, key=salt).digest()
    return int.from_bytes(digest, "big") / _RANGE


def is_canary(key: str | bytes, rollout: str, share: float) -> bool:
    """Whether the candidate answers requests with this key while it has a share of the requests.

    A key that is in a share is in all larger ones.
    """
    return canary_point(key, rollout) < share
