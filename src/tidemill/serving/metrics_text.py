"""Write metrics in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from tidemill.serving.metric_families import BucketCounts, Family, Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(families: Iterable[Family]) -> str:
    """Metrics as text."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.about}\n# TYPE {family.name} {family.kind}\n"
    for labels, value in family.points:
        if isinstance(value, BucketCounts):
            yield from _histogram(family.name, labels, value)
        else:
            yield _line(family.name, labels, value)


def _histogram(name: str, labels: Labels, found: BucketCounts) -> Iterator[str]:
    sums = list(accumulate(found.counts))
    for end, below in zip([*map(repr, found.ends), "+Inf"], sums, strict=True):
        yield _line(f"{name}_bucket", {**labels, "le": end}, below)
    if found.total is not None:
        yield _line(f"{name}_sum", labels, found.total)
    yield _line(f"{name}_count", labels, sums[-1])


def _line(name: str, labels: Labels, value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value!r}\n" if pairs else f"{name} {value!r}\n"


def _escaped(text: str) -> str:
    clean = text.encode(errors="replace").decode()
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
