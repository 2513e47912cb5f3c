"""Remember the entities that a model was trained on, as a small sample of digests.

A row of an entity (a customer, a machine) on both sides of an evaluation makes it too good: the model may
have learnt the entity instead of the rule. The sample keeps the smallest digests, so that two samples of
overlapping sets overlap in the same share (a bottom-k sketch, Cohen and Kaplan 2007).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from heapq import nsmallest

from tidemill.contracts.finding import Finding

SIZE = 512
_DIGITS = 12


def entity_sample(values: Iterable[object]) -> str:
    """Return the sample of distinct entities: digests in order, joined."""
    return "".join(nsmallest(SIZE, {_digest(value) for value in values if value is not None}))


def entity_finding(entity: str, sample: str, values: Iterable[object]) -> Finding | None:
    """Return a finding if entities of an evaluation are in the sample of the training.

    It names none of them: they may be people, and findings are recorded for good.
    """
    known = {sample[at : at + _DIGITS] for at in range(0, len(sample), _DIGITS)}
    # Above the largest digest of a full sample nothing is known.
    limit = max(known, default="") if len(known) >= SIZE else "g"
    digests = {_digest(value) for value in values if value is not None}
    comparable = [digest for digest in digests if digest <= limit]
    both = known.intersection(comparable)
    if not both:
        return None
    share = len(both) / len(comparable)
    about = "" if len(known) < SIZE else "about "
    return Finding(
        rule=f"leakage.{entity}",
        severity="warn",
        rows=len(both),
        message=(
            f"{about}{share:.0%} of the values of `{entity}` were in training, too: scores may be too good; "
            f"split by `{entity}`, or accept it: tm.fitted(..., allow_leakage=[{entity!r}])"
        ),
    )


def _digest(value: object) -> str:
    text = f"{type(value).__name__} {value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_DIGITS // 2).hexdigest()
