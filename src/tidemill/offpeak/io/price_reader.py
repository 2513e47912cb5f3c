"""Read prices where the settings say; whatever is wrong with them is a note, and stops nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.python_command import python_module
from tidemill.core.redaction import redact
from tidemill.offpeak.offpeak_settings import OffPeakSettings
from tidemill.offpeak.price_curve import PriceCurve
from tidemill.offpeak.price_list import PriceListError, parse_prices

# How far a tariff is known, which never ends.
HORIZON_S = 72 * 3_600.0
_MOST_BYTES = 4_000_000
_WORKER = "tidemill.offpeak.io.price_worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPrices:
    """The prices from now on, and what is wrong with their source, if anything."""

    curve: PriceCurve
    note: str = ""


def read_prices(settings: OffPeakSettings, root: Path, now: float) -> KnownPrices:
    """The prices that are known now; none, and the reason, if the source can't be used."""
    if settings.tariff is not None:
        return KnownPrices(curve=settings.tariff.curve(now, now + HORIZON_S))
    read = _read_file if settings.file else _call_function
    curve, note = _guarded(lambda: parse_prices(read(settings, root), settings.zone))
    if not note and curve.until <= now:
        note = "all of its prices are of the past" if curve.pieces else "it has no prices"
    return KnownPrices(curve=curve, note=f"{settings.source}: {note}" if note else "")


def _guarded(read: Callable[[], PriceCurve]) -> tuple[PriceCurve, str]:
    try:
        return read(), ""
    except (OSError, ValueError, ArithmeticError) as error:
        return PriceCurve(), redact(str(error))


def _read_file(settings: OffPeakSettings, root: Path) -> str:
    path = root / settings.file
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise PriceListError("there is no such file") from None
    if len(content) > _MOST_BYTES:
        raise PriceListError(f"it is larger than {_MOST_BYTES / 1e6:g} MB")
    return content.decode("utf-8")


def _call_function(settings: OffPeakSettings, root: Path) -> str:
    """What a function of the project returns, as JSON; it runs in a process that can be ended."""
    try:
        done = subprocess.run(
            python_module(_WORKER, settings.function, str(root)),
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=settings.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PriceListError(f"it took longer than {settings.timeout:g} s") from None
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PriceListError(words[-1] if words else f"it ended with exit code {done.returncode}")
    if len(done.stdout) > _MOST_BYTES:
        raise PriceListError(f"it returned more than {_MOST_BYTES / 1e6:g} MB")
    return done.stdout.decode("utf-8")
