"""Show a contract, which is a class, as a table in IPython when a cell ends with it.

IPython looks for `_repr_html_` on instances only, and a metaclass would change every contract. So
register formatters for classes; classes that aren't contracts keep the formatters that they had.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tidemill.contracts.docs.html import contract_html
from tidemill.contracts.docs.text import contract_text
from tidemill.contracts.spec import ContractSpec


def register_formatters() -> bool:
    """Register the formatters with the running shell, once; False if no shell is running."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if shell is None:
        return False
    formatters = shell.display_formatter.formatters
    html, plain = formatters["text/html"], formatters["text/plain"]
    before = plain.lookup_by_type(type)
    if not getattr(before, "of_tidemill", False):
        html.for_type(type, _html(html.type_printers.get(type)))
        plain.for_type(type, _plain(before))
    return True


def _spec(value: type) -> ContractSpec | None:
    # `vars`, not `getattr`: a plain subclass of a contract isn't the contract itself.
    return vars(value).get("__tidemill_contract__")


def _html(before: Callable[[type], str | None] | None) -> Callable[[type], str | None]:
    def draw(value: type) -> str | None:
        spec = _spec(value)
        if spec is not None:
            return contract_html(spec)
        return before(value) if before is not None else None

    return draw


def _plain(before: Callable[[type, Any, bool], None]) -> Callable[[type, Any, bool], None]:
    def draw(value: type, printer: Any, cycle: bool) -> None:
        spec = _spec(value)
        # Inside a list or a dict, show the name only.
        if spec is None or len(printer.stack) > 1:
            before(value, printer, cycle)
        else:
            printer.text(contract_text(spec))

    draw.of_tidemill = True  # type: ignore[attr-defined]
    return draw
