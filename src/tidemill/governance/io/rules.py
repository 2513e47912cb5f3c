"""Load the rules of a project, and import the functions that they call."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.core.errors import DeclarationError, Fault, StorageError, describe_error, did_you_mean
from tidemill.governance.io.rule_function import RuleProcess
from tidemill.governance.policy import NO_RULES, PolicyRule, RuleFunction, RuleSet, rule_set
from tidemill.governance.rules_file import parse_rules


def load_rules(path: Path) -> RuleSet:
    """The rules of a file, without any if there is no file.

    Functions of rules are imported with the file's folder on the path. Raises DeclarationError with every
    fault of the file.
    """
    content = read_file(path)
    if content is None:
        return NO_RULES
    parsed = parse_rules(content, path.name)
    digests, calls, wrong = _load_functions(parsed.rules, path)
    if faults := (*parsed.faults, *wrong):
        raise DeclarationError(path.name, faults)
    return rule_set(parsed.rules, text=content.decode(), functions=digests, calls=calls)


def read_file(path: Path) -> bytes | None:
    """The content of a file; None if there is none. StorageError if it can't be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}") from error


def _load_functions(
    rules: Iterable[PolicyRule], path: Path
) -> tuple[dict[str, str], dict[str, RuleFunction], list[Fault]]:
    digests: dict[str, str] = {}
    calls: dict[str, RuleFunction] = {}
    faults = []
    for rule in rules:
        if rule.function and rule.function not in digests:
            try:
                digests[rule.function] = _digest(rule.function, path.parent)
                calls[rule.function] = RuleProcess(rule.function, path.parent)
            except _Unusable as error:
                where = f"{path.name}: rule {rule.id!r}: function"
                faults.append(Fault(message=str(error), where=where, hint=error.hint))
    return digests, calls, faults


class _Unusable(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _digest(function: str, folder: Path) -> str:
    """The digest of a function's code and of all code of the project that it uses."""
    module, _, name = function.partition(":")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise _Unusable(f"{module} can't be imported: {describe_error(error)}") from error
    value = getattr(found, name, None)
    if not callable(value):
        functions = [key for key, each in vars(found).items() if callable(each)]
        raise _Unusable(f"{module} has no function {name!r}", did_you_mean(name, functions))
    return code_of(value).digest
