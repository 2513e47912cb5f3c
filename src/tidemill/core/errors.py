"""Every error that Tidemill raises on purpose.

TidemillError                 a message with what, where, which values, and what to do next
├── DeclarationError          the workflow can't be used as declared; carries every fault at once
├── ContractError             data breaks its contract, or a contract contradicts itself
├── StepError                 the work of one step failed
├── SourceError               a source can't be read: missing, unreadable, corrupt, changed shape
├── StorageError              state can't be read or written: full disk, damaged object, newer ledger
│   ├── DamagedObjectError    a stored object isn't what was stored
│   └── OvertakenError        a sink has a newer delivery
├── AttestationError          an attestation isn't valid: not signed, changed, about other bytes
├── SendError                 a receiver of events can't be reached, or refuses one
│   └── RefusedError          a tracking server answers, and refuses a request
├── GateError                 a gate or a review is pending or was rejected
├── BudgetError               a budget is used up
├── ConflictError             another process holds it, or it changed after planning
├── AccessError               the actor may not do it
│   └── UnknownTokenError     no token of this home has the text that the actor gave
└── UsageError                the caller asked for something that can't be
    └── UnknownNameError      nothing of that kind has the name that was given

`RunFailed` in `ledger/run.py` carries the receipt of a run that failed, `BrokenContract` in
`contracts/finding.py` the rules that the rows of a partition break.
The exit codes of the command line follow the class: see `TidemillError.exit_code`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import redact

# Characters. Nobody reads a longer message, and every reader of the ledger would load it.
_MAX_LENGTH = 10_000
# What Polars appends to a message: its query, which names files and differs between partitions, ...
_QUERY_PLAN = re.compile(r"\s*(?:Resolved plan until failure|This error occurred with the following context)"
                         r".*", re.DOTALL)  # fmt: skip
# ... and the expression, on a line of its own.
_EXPRESSION = re.compile(r"\s*This error occurred in the following expression:\s*")


class TidemillError(Exception):
    """An error that the user can act on; the message says how."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a declaration: what is wrong, where, and how to fix it."""

    message: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{advice}"


class DeclarationError(TidemillError):
    """The workflow can't be used as declared."""

    exit_code = 3

    def __init__(self, subject: str, faults: Sequence[Fault]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__("\n  ".join([f"{subject} has {count}:", *map(str, faults)]))


def raise_faults(subject: str, problems: Sequence[str], where: str) -> None:
    """Raise a DeclarationError that lists all problems of one declaration, if there are any."""
    if problems:
        raise DeclarationError(subject, [Fault(message=text, where=where) for text in problems])


class ContractError(TidemillError):
    """Data breaks its contract, or a contract contradicts itself."""

    exit_code = 3


class StepError(TidemillError):
    """A step failed; carries the stage, the partition and the user's traceback."""

    def __init__(self, message: str, *, stage: str, partition: str, trace: str = "") -> None:
        self.stage = stage
        self.partition = partition
        self.trace = trace
        super().__init__(message)


class SourceError(TidemillError):
    """A source can't be read: missing, unreadable, corrupt or of another shape."""


class StorageError(TidemillError):
    """State can't be read or written: a full disk, a damaged object, a ledger of a newer version."""


class DamagedObjectError(StorageError):
    """A stored object isn't what was stored under its name; the store remembers that."""


class OvertakenError(StorageError):
    """A sink has a newer delivery of the partition than this one.

    `key` is that of the newer one, "" if the sink doesn't keep keys; `at` is when it was queued.
    """

    def __init__(self, message: str, *, key: str = "", at: float = 0.0) -> None:
        super().__init__(message)
        self.key = key
        self.at = at


class AttestationError(TidemillError):
    """An attestation isn't valid: not signed, changed, or about other bytes."""


class SendError(TidemillError):
    """A receiver of events can't be reached, or refuses one."""


class RefusedError(SendError):
    """A tracking server answers, and refuses a request; `code` is its name for the reason."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class GateError(TidemillError):
    """A gate or a rule refuses a change, or a review of it waits or was rejected."""

    exit_code = 4


class BudgetError(TidemillError):
    """A budget is used up, so that nothing of what was asked for can begin."""

    exit_code = 5


class ConflictError(TidemillError):
    """Another process holds the resource, or it changed after the plan was made."""

    exit_code = 6

    def __init__(self, message: str, *, holder: Mapping[str, str] | None = None) -> None:
        self.holder = dict(holder or {})
        super().__init__(message)


class AccessError(TidemillError):
    """The actor isn't known, or may not do it: its role or the scopes of its token don't allow it."""

    exit_code = 7


class UnknownTokenError(AccessError):
    """No token of this home has the text that the actor gave."""


class UsageError(TidemillError):
    """The caller asked for something that can't be, such as a value that isn't known."""

    exit_code = 2


class UnknownNameError(UsageError):
    """Nothing of the kind that the caller asked for has the name or id that was given."""


def exit_severity(code: int) -> tuple[bool, bool, int]:
    """How bad an exit code is: failed work most, then what people have to decide, success least."""
    return code != 0, code != GateError.exit_code, -code


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Suggest the nearest known name; say `otherwise` if none is near, or list the known names."""
    # Few commands have to look for a name, and the others start sooner.
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none"
    if otherwise:
        return otherwise
    return f"there is: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"


def describe_error(error: BaseException) -> str:
    """Describe an error of user code by its type and message; shorten a huge message in the middle.

    Credentials in URLs and parameters are masked.
    Its `__str__` may raise. Lone surrogates (as in odd file names) are escaped: they can't be recorded.
    The query plan is left out that Polars appends, also to errors of functions that a query calls.
    """
    kind = type(error).__name__
    try:
        text = redact(f"{kind}: {error}")
    except Exception as worse:  # noqa: BLE001
        return f"{kind}: (its message can't be shown: {type(worse).__name__})"
    text = without_query_plan(text)
    if len(text) > _MAX_LENGTH:
        text = f"{text[: _MAX_LENGTH // 2]}\n[...]\n{text[-_MAX_LENGTH // 2 :]}"
    return text.encode(errors="backslashreplace").decode()


def without_query_plan(text: str) -> str:
    """The message of an error without the query plan that Polars appends to it."""
    return _EXPRESSION.sub("; in ", _QUERY_PLAN.sub("", text)).strip()
