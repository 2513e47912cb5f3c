"""Read the names and versions of installed packages without parsing all of their metadata as an e-mail.

That is what `importlib.metadata` does, for which it imports a parser. It is asked where a text is unusual.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# The headers up to the first of a name, as the parser reads them: on one line, in the usual way.
_HEADER = r"(?:(?!(?i:{0}):)[!-9;-~]+:[^\n]*\n|[ \t][^\n]*\n)*{0}: (\S+)\n(?![ \t])"
_NAME, _VERSION = (re.compile(_HEADER.format(name)) for name in ("Name", "Version"))


@cache
def installed_version(package: str) -> str:
    """The version of a package, as `importlib.metadata.version` returns or raises, read once."""
    # Imported late: that takes long where Polars hasn't done so.
    from importlib import metadata

    return name_and_version(metadata.distribution(package))[1]


def name_and_version(distribution: Any) -> tuple[str, str]:
    """The name and the version of a distribution, exactly as its attributes are."""
    text = distribution.read_text("METADATA") or ""
    name, version = _NAME.match(text), _VERSION.match(text)
    if name is None or version is None:
        return distribution.name, distribution.version
    return name[1], version[1]
