"""Attest what goes live and what is delivered, where the settings have a key; never raise.

Attestations need Polars and cryptography, which is an extra: they are imported only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.project.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.project.attestations import Attestations


def attest_live(space: Workspace, model: str) -> tuple[str, ...]:
    """Attest the live version of a model unless it is attested; return why it couldn't be."""
    return _attested(space, lambda service: service.attest_live(model))


def attest_run(space: Workspace, run: str, after: int) -> tuple[str, ...]:
    """Attest live models, and what a run delivered after an event; return what couldn't be, and why."""
    return _attested(space, lambda service: service.attest_run(run, after))


def _attested(space: Workspace, attest: Callable[[Attestations], Sequence[str]]) -> tuple[str, ...]:
    if not space.settings.attest.key:
        return ()
    try:
        service: Attestations = import_module("tidemill.project.attestations").Attestations(space)
        return tuple(attest(service))
    except TidemillError as error:
        return (f"nothing was attested: {error}",)
    # What was delivered stays delivered, whatever is wrong here.
    except Exception as error:  # noqa: BLE001
        return (f"nothing was attested: {type(error).__name__}: {error}",)
