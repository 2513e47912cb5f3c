"""The time to recover from errors in a window, detection apart, and what isn't over."""

from __future__ import annotations

from collections.abc import Collection

from tidemill.core.lazy_dataclass import dataclass
from tidemill.scorecard.recovery_times import RecoveryTimes, Trouble
from tidemill.scorecard.spread import Spread, spread

_NONE = Spread()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Something that went wrong at `first`, was noticed at `detected`, and was healthy again at `healthy`.

    Times are Unix seconds. `detected` is None if nothing opened an incident of it, `healthy` None while it
    isn't. It is `over` once it was healthy for long enough. `lasted` is the time until then, or so far.
    """

    kind: str
    stage: str
    first: float
    lasted: float
    detected: float | None = None
    healthy: float | None = None
    over: bool = False
    by_delivery: bool = False
    incident: str = ""

    @property
    def noticed_after(self) -> float | None:
        """The seconds from the first bad event until an incident was opened."""
        return None if self.detected is None else max(0.0, self.detected - self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What was healthy again in a window, oldest first, and what wasn't over at its end.

    `took` is the spread of the times to recover, in which those that last count with what passed so far;
    `noticed` that of the times until an incident was opened, and `after_delivery` is `took` of what a
    delivery caused.
    """

    recovered: tuple[Recovery, ...] = ()
    lasting: tuple[Recovery, ...] = ()
    took: Spread = _NONE
    noticed: Spread = _NONE
    after_delivery: Spread = _NONE


def report_recoveries(
    times: RecoveryTimes, now: float, window_s: float, declared: Collection[str] | None = None
) -> RecoveryReport:
    """What recovered in the `window_s` seconds until `now` (Unix seconds), and what lasted then.

    What lasts in stages that aren't `declared` any more, and so don't run, is left out.
    """
    since = now - window_s
    recovered, lasting = [], []
    for trouble in times.troubles():
        healthy = trouble.healthy
        if trouble.over and healthy is not None and healthy <= now:
            if healthy > since:
                recovered.append(_recovery(trouble, healthy))
        elif trouble.first <= now and (declared is None or trouble.stage in ("", *declared)):
            until = now if healthy is None else min(healthy, now)
            lasting.append(_recovery(trouble, until, is_over=False))
    every = [*recovered, *lasting]
    noticed = (each.noticed_after for each in every)
    return RecoveryReport(
        recovered=tuple(sorted(recovered, key=_order)),
        lasting=tuple(sorted(lasting, key=_order)),
        took=_spread(recovered, lasting),
        noticed=spread(each for each in noticed if each is not None),
        after_delivery=_spread(
            [each for each in recovered if each.by_delivery],
            [each for each in lasting if each.by_delivery],
        ),
    )


def _recovery(trouble: Trouble, until: float, *, is_over: bool = True) -> Recovery:
    healthy = trouble.healthy
    return Recovery(
        kind=trouble.kind,
        stage=trouble.stage,
        first=trouble.first,
        lasted=max(0.0, until - trouble.first),
        detected=trouble.detected,
        healthy=healthy if is_over or (healthy is not None and healthy <= until) else None,
        over=is_over,
        by_delivery=trouble.caused,
        incident=trouble.incident,
    )


def _spread(recovered: list[Recovery], lasting: list[Recovery]) -> Spread:
    return spread((each.lasted for each in recovered), (each.lasted for each in lasting))


def _order(found: Recovery) -> tuple[float, str, str, str]:
    return found.first, found.kind, found.stage, found.incident
