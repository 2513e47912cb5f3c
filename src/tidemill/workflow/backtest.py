"""Past windows on which an evaluation is repeated, with a model that is trained as of then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from tidemill.core.errors import Fault
from tidemill.core.partition import Span, parse_span
from tidemill.workflow.stage import Stage
from tidemill.workflow.window import Last

# Windows are counted from this Monday, so that they stay where they are when a day is added.
_FIRST = date(1970, 1, 5)
_PREFIX = "backtest-"


def backtest_partition(end: date) -> str:
    """Name the window that ends before `end` by its last day."""
    return f"{_PREFIX}{end - timedelta(days=1)}"


def backtest_ends(newest: date, window: int, span: int) -> list[date]:
    """Return the ends (exclusive) of the windows of `window` days in the `span` days before `newest`."""
    last = _FIRST + timedelta(days=(newest - _FIRST).days // window * window)
    return [last - timedelta(days=window * number) for number in range(span // window)][::-1]


def backtest_days(stage: Stage) -> tuple[int, int]:
    """Return the days of an evaluation's window, and those of the span that it is repeated on."""
    lengths = {_days(item.window.length) for item in stage.frames if isinstance(item.window, Last)}
    return max(lengths), _days(parse_span(stage.backtest))


def backtest_faults(stage: Stage, models: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield what is wrong with `backtest=`: its length, the windows, or a model that is searched for."""
    if not stage.backtest:
        return
    found = _length_fault(stage)
    model = next(
        (models[i.name] for i in stage.inputs if i.contract is None and i.name in models), None
    )
    if not found and model is not None and model.training and model.training.search:
        found = (
            f"{model.name!r} searches its parameters, which a backtest would repeat for every window",
            "leave out backtest=, or the search",
        )
    if found:
        message = f"{stage.kind} {stage.name!r}: backtest={stage.backtest!r}: {found[0]}"
        yield Fault(message=message, where=stage.place, hint=found[1])


def _length_fault(stage: Stage) -> tuple[str, str] | None:
    try:
        span = _days(parse_span(stage.backtest))
    except (TypeError, ValueError):
        span = 0
    windows = [item.window for item in stage.frames if item.window is not None]
    plain = [w for w in windows if isinstance(w, Last) and w.before is None and _days(w.length)]
    if len(plain) < len(windows) or not windows or len({_days(w.length) for w in plain}) > 1:
        return "it needs one window of days or weeks", "write window=tm.last('7d')"
    if span < _days(plain[0].length):
        return "it is shorter than the window", "write a number of days or weeks, such as '28d'"
    return None


def _days(length: Span | int) -> int:
    """The days of a length of days or weeks; 0 for any other."""
    if isinstance(length, int) or length.unit not in ("d", "w"):
        return 0
    return length.count * (7 if length.unit == "w" else 1)
