"""Names and values as a server of MLflow accepts them, of any release since 2.9."""

from __future__ import annotations

import re
from math import copysign, isinf, isnan

from tidemill.core.fingerprint import fingerprint

# What databases and servers of MLflow hold of a name, and of a value.
MOST_NAME, MOST_PARAMETER, MOST_RUN_TAG, MOST_VERSION_TAG = 250, 6_000, 8_000, 5_000
_FORBIDDEN = re.compile(r"[^\w.\- ]")
_NOT_IN_ALIAS = re.compile(r"[^A-Za-z0-9_\-]")
_RESERVED_ALIAS = re.compile(r"[vV]?\d+|latest", re.IGNORECASE)
# How databases store what is infinite.
_MOST = 1.7976931348623157e308


def accepted_name(text: str) -> str:
    """The name of a parameter, a metric, a tag or a model: the text itself, if it is accepted.

    Another text gets a name that ends in a digest, so that no two texts share one.
    """
    clean = _FORBIDDEN.sub("_", text)
    if clean == text and text.strip(". ") and len(text) <= MOST_NAME:
        return text
    digest = fingerprint("mlflow name", text)[:8]
    return f"{clean[: MOST_NAME - 9]}-{digest}"


def accepted_value(text: str, most: int) -> str:
    """A value of at most so many characters; a longer one ends with how long it is, and a digest of it."""
    if len(text) <= most:
        return text
    end = f"... ({len(text):,} characters, {fingerprint('mlflow value', text)[:8]})"
    return text[: most - len(end)] + end


def accepted_number(value: float) -> float | str:
    """A figure as JSON has it: NaN is a text there, and what is infinite is stored as the largest number."""
    if isnan(value):
        return "NaN"
    return copysign(_MOST, value) if isinf(value) else value


def alias_of(environment: str) -> str:
    """The alias of the version that is live in an environment: its name, if that may be an alias."""
    clean = _NOT_IN_ALIAS.sub("_", environment)
    if clean == environment and not _RESERVED_ALIAS.fullmatch(environment):
        return environment
    return f"env-{clean}-{fingerprint('mlflow alias', environment)[:8]}"
