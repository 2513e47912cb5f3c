"""Load the rules of a project, and import the functions that they call."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.core.errors import DeclarationError, Fault, StorageError, describe_error, did_you_mean
from tidemill.governance.io.rule_function import RuleProcess
from tidemill.governance.policy import NO_RULES, PolicyRule, RuleFunction, RuleSet, rule_set
from tidemill.governance.policy_cases import PolicyCase, parse_cases
from tidemill.governance.rules_file import parse_document, parse_rules, text_of, unknown_keys


def load_rules(path: Path, folder: Path | None = None) -> RuleSet:
    """The rules of a file, without any if there is no file.

    Functions of rules are imported with `folder` (default: the file's) on the path. Raises DeclarationError
    with every fault of the file.
    """
    content = read_file(path)
    if content is None:
        return NO_RULES
    parsed = parse_rules(content, path.name)
    digests, calls, wrong = _load_functions(parsed.rules, path.name, folder or path.parent)
    if faults := (*parsed.faults, *wrong):
        raise DeclarationError(path.name, faults)
    return rule_set(parsed.rules, text=text_of(content), functions=digests, calls=calls)


def load_cases(rules_file: Path, test_file: Path, rules: Collection[str]) -> tuple[PolicyCase, ...]:
    """The cases in the files that there are, for rules of these ids.

    Raises DeclarationError with every fault of their cases.
    """
    cases: list[PolicyCase] = []
    faults: list[Fault] = []
    for path, keys in ((rules_file, ("rule", "case", "facts")), (test_file, ("case", "facts"))):
        content = read_file(path)
        if content is not None:
            document = parse_document(content, path.name)
            found, wrong = parse_cases(
                document.get("case", []), document.get("facts", {}), rules, path.name
            )
            cases += found
            faults += [*unknown_keys(document, keys, path.name), *wrong]
    if faults:
        raise DeclarationError("cases of rules", faults)
    return tuple(cases)


def read_file(path: Path) -> bytes | None:
    """The content of a file; None if there is none. StorageError if it can't be read.

    A link to a file that is gone can't be read: rules don't end unseen.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        raise StorageError(f"{path} can't be read: {error.strerror}") from error


def _load_functions(
    rules: Iterable[PolicyRule], file: str, folder: Path
) -> tuple[dict[str, str], dict[str, RuleFunction], list[Fault]]:
    digests: dict[str, str] = {}
    calls: dict[str, RuleFunction] = {}
    faults = []
    for rule in rules:
        if rule.function and rule.function not in digests:
            try:
                digests[rule.function] = _digest(rule.function, folder)
                calls[rule.function] = RuleProcess(rule.function, folder)
            except _Unusable as error:
                where = f"{file}: rule {rule.id!r}: function"
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
    except (Exception, SystemExit) as error:
        raise _Unusable(f"{module} can't be imported: {describe_error(error)}") from error
    value = getattr(found, name, None)
    if not callable(value):
        functions = [key for key, each in vars(found).items() if callable(each)]
        raise _Unusable(f"{module} has no function {name!r}", did_you_mean(name, functions))
    return code_of(value).digest
