"""Load rules with the functions that they call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.core.errors import DeclarationError, StorageError
from tidemill.governance.io.rules import load_rules
from tidemill.governance.policy import NO_RULES, decide
from tidemill.ledger.policy import PolicyOutcome, SubjectKind

CALLING = """
[[rule]]
id = "rows"
on = ["delivery"]
function = "own_rules:few"
message = "few rows"
"""
FEW = "LEAST = 10\n\ndef few(facts):\n    return facts['training_rows'] < LEAST\n"


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("own_rules", None)


def write(folder: Path, rules: str, module: str = "") -> Path:
    sys.modules.pop("own_rules", None)
    if module:
        (folder / "own_rules.py").write_text(module)
    path = folder / "tidemill.rules.toml"
    path.write_text(rules)
    return path


def test_without_a_file_there_are_no_rules(tmp_path: Path) -> None:
    assert load_rules(tmp_path / "tidemill.rules.toml") is NO_RULES


def test_a_file_that_cant_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="can't be read: Is a directory"):
        load_rules(tmp_path)


def test_a_function_of_the_project_decides(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, CALLING, FEW))
    assert list(rules.functions) == ["own_rules:few"]

    def outcome(rows: int) -> PolicyOutcome:
        facts = {"training_rows": rows}
        made = decide(rules, SubjectKind.DELIVERY, facts, subject="s", name="m", now=0.0, id="p")
        return made.outcome

    assert outcome(9) == PolicyOutcome.DENY
    assert outcome(10) == PolicyOutcome.ALLOW


def test_the_digest_follows_the_code_of_functions(tmp_path: Path) -> None:
    first = load_rules(write(tmp_path, CALLING, FEW)).digest
    comment = load_rules(write(tmp_path, "# rules\n" + CALLING, f"# few\n{FEW}")).digest
    other = load_rules(write(tmp_path, CALLING, FEW.replace("10", "11"))).digest
    assert first == comment != other


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("", "own_rules can't be imported: ModuleNotFoundError"),
        ("1 / 0", "own_rules can't be imported: ZeroDivisionError"),
        ("import sys; sys.exit(0)", "own_rules can't be imported: SystemExit: 0"),
        ("def fw(facts): ...", "own_rules has no function 'few' (did you mean 'fw'?)"),
        ("few = 1", "own_rules has no function 'few' (there are none)"),
    ],
)
def test_a_function_that_cant_be_called_is_refused(
    tmp_path: Path, module: str, message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        load_rules(write(tmp_path, CALLING, module))
    assert f"tidemill.rules.toml: rule 'rows': function: {message}" in str(caught.value)
