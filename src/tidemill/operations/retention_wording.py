"""Sweeps in words: what they removed or would remove, and how long things are kept."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.counts import plural
from tidemill.core.figures import size
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.operations.swept import SweepReport

SWEEP_HEADERS = ("stage", "why", ">results", ">objects", ">bytes")
_KINDS = {"temporary": "temporary files", "logs": "logs of old runs", "memos": "unused memos"}
_DAY, _HOUR, _SHOWN = 86_400.0, 3_600.0, 5


def sweep_rows(found: SweepReport) -> Iterator[tuple[str, ...]]:
    """What goes and why, as rows under `SWEEP_HEADERS`."""
    for each in found.stages:
        yield (
            each.stage or "(earlier sweep)", each.reason, f"{each.results:,}", f"{each.objects:,}",
            size(each.bytes),
        )  # fmt: skip
    if found.orphans:
        yield "", "never recorded", "", f"{found.orphans:,}", size(found.orphan_bytes)
    for kind, count in found.files.items():
        if count:
            yield "", _KINDS.get(kind, kind), "", "", size(count)


def sweep_lines(found: SweepReport) -> Iterator[str]:
    """What a sweep removed or would remove, in sentences, and what it couldn't."""
    verb = "would remove" if found.dry_run else "removed"
    if found.environments_dropped:
        yield f"{verb} expired environments: {', '.join(found.environments_dropped)}"
    if found.stages_removed:
        yield f"{verb} stages that aren't declared any more: {', '.join(found.stages_removed)}"
    results = sum(each.results for each in found.stages)
    if found.objects or found.bytes:
        yield f"{verb} {plural(found.objects, 'object')}, {size(found.bytes)}"
    elif results:
        yield f"{verb} {plural(results, 'result')}, and no object: others need theirs"
    else:
        yield "nothing to remove"
    if found.ledger:
        yield f"the ledger {'would be' if found.dry_run else 'is'} {size(found.ledger)} smaller"
    for run in found.waits:
        yield f"marked objects wait until {run} has ended; the next sweep deletes them"
    yield from found.notes
    failed = [*found.failed.values()]
    yield from (f"not deleted: {why}" for why in failed[:_SHOWN])
    if len(failed) > _SHOWN:
        yield f"and {len(failed) - _SHOWN:,} more"


def kept_lines(settings: RetentionSettings) -> Iterator[tuple[str, str]]:
    """What is kept for how long: ("superseded results", "7 d")."""
    if settings.hold:
        yield "everything", "for ever: hold is set"
        return
    last = f", and the last {settings.keep_last} of each partition" if settings.keep_last else ""
    yield "superseded results", _length(settings.keep_for) + last
    yield "what readers may still read", _length(settings.grace)
    yield "earlier versions of delivered tables", _length(settings.restore_for)
    yield "models that were live before", plural(settings.models, "version")
    yield "pages of closed reviews", _length(settings.reviews)
    yield "logs of runs", _length(settings.logs)
    yield "memos, since they were used last", _length(settings.memos)
    for stage, own in sorted(settings.stages.items()):
        if own.hold:
            yield f"results of {stage}", "for ever: hold is set"
        elif own.keeps_forever or own.keep_for is not None:
            yield f"superseded results of {stage}", _length(own.keep_for)
    if not settings.automatic:
        yield "sweeps", "only by commands"


def _length(seconds: float | None) -> str:
    if seconds is None:
        return "for ever"
    return f"{seconds / _DAY:,.3g} d" if seconds >= _DAY else f"{seconds / _HOUR:,.3g} h"
