"""Whatever is wrong with rules, with their functions or cases: it is named, and nothing goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tidemill.project.project import open_project

FLOW = """
import polars as pl
import tidemill as tm


class Orders(tm.Contract, version="1.0.0", key=("shop", "id")):
    shop, id = tm.String(), tm.Int64()
    at = tm.Datetime("us", "Europe/Berlin", partition="1d")
    amount = tm.Float64(nullable=True)


flow = tm.Workflow("hostile", owner="ops")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.csv")


flow.table("sent", stage=orders, sink=tm.parquet("out"))
"""
# The night in which the clock goes back, a shop with another alphabet, and an amount that is missing.
ROWS = (
    "shop,id,at,amount\n\u03a9mega,1,2026-10-25T00:30:00Z,2.5\n\u03a9mega,2,2026-10-25T01:30:00Z,\n"
)
GOOD = """
[[rule]]
id = "rows"
on = ["table"]
when = "rows > 1000"
message = "that is too much"
"""
CALLING = GOOD.replace('when = "rows > 1000"', 'function = "own_hostile:judge"')


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hostile_flow.py").write_text(FLOW)
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "hostile_flow:flow"\n')
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "all.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def delivered(shop: Path) -> int:
    return len([*shop.glob("out/**/*.parquet")])


def condition(text: str) -> str:
    return GOOD.replace('"rows > 1000"', f"'''{text}'''")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (GOOD.replace("when", "wen"), "there is no key 'wen' (did you mean 'when'?)"),
        (GOOD.replace("rows > 1000", "rwos > 1000"), "no fact 'rwos' (did you mean 'rows'?)"),
        (GOOD * 2, "rules 1, 2 have the same id 'rows'"),
        (GOOD + 'effect = "deny"\neffect = "warn"\n', "it is not TOML: Cannot overwrite a value"),
        (GOOD + "expires = 2026-02-30\n", "it is not TOML: Invalid date"),
        (GOOD + f"people = {'9' * 5_000}\n", "line 7 has a number of more than 64 bits"),
        (GOOD + f"people = 0x{'f' * 5_000}\n", "rule[1].people is a number of more than 64 bits"),
        ("a = " + "[" * 100_000, "it is not TOML: lists or tables are nested too deeply"),
        (GOOD.replace("too much", "t\\u0000").encode(), "has a NUL character"),
        (GOOD.replace("much", "mu\xe7").encode("latin-1"), "line 6 is not UTF-8 (save it as UTF-8)"),
        (GOOD.encode("utf-16"), "line 1 is not UTF-8"),
        (b"", "it has no rules"),
        (condition(f"rows > {'9' * 900}"), "column 8: the number is too large"),
        (condition("'a' * 1000000000 == name"), "multiplications can't be used"),
        (condition("9 ** 9 ** 9 > rows"), "powers can't be used"),
        (condition("(" * 400 + "stale" + ")" * 400), "not an expression: too many nested parentheses"),
        (condition("-" * 600 + "rows > 1"), "the expression is nested too deeply"),
        (condition("name.startswith('a')"), "name.startswith can't be called"),
        (condition("r\u043ews > 1"), "there is no fact 'r\u043ews' (did you mean 'rows'?)"),
        (condition("rows > 1 == stale"), "is a number and stale is a condition"),
        (CALLING, "own_hostile can't be imported: ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused(shop: Path, content: str | bytes, says: str) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    (shop / "tidemill.rules.toml").write_bytes(raw)
    for command in ("check", "plan", "run"):
        ended = tidemill(command)
        assert ended.code == 3
        assert "tidemill.rules.toml" in ended.err
        assert says in ended.err
    assert delivered(shop) == 0
    project = open_project()
    assert [*project.tools.ledger.events(kinds=("RunStarted", "PolicyDecided"))] == []
    project.close()


def test_a_file_that_isnt_there_as_a_file_is_no_missing_one(shop: Path) -> None:
    rules = shop / "tidemill.rules.toml"
    rules.mkdir()
    for reason in ("Is a directory", "No such file", "Too many levels of symbolic links"):
        ended = tidemill("run")
        assert (ended.code, delivered(shop)) == (1, 0)
        assert f"{rules} can't be read: {reason}" in ended.err
        if rules.is_symlink():
            rules.unlink()
            rules.symlink_to(rules)
        else:
            rules.rmdir()
            rules.symlink_to(shop / "gone.toml")


def test_marks_line_ends_and_dates_of_others_are_read(shop: Path) -> None:
    text = GOOD.replace("\n", "\r\n") + "expires = 9999-12-31\r\n"
    (shop / "tidemill.rules.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert tidemill("run").code == 0
    assert delivered(shop) == 1
    assert "9999-12-31" in tidemill("policy", "list").out


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return None", "returned None, not True, False or a message"),
        ("return ''", "returned '', not True, False or a message"),
        ("import numpy; return numpy.False_", "returned np.False_, not True, False or a message"),
        ("import sys; sys.exit(0)", "the process of own_hostile:judge ended: exit code 0"),
        ("import os; os._exit(0)", "the process of own_hostile:judge ended: exit code 0"),
        ("import ctypes; ctypes.string_at(0)", "ended: exit code -11"),
        ("import os; os.closerange(0, 99)", "the process of own_hostile:judge ended"),
        ("return facts['cost'] > 1", "raised KeyError: 'cost'"),
        (
            "raise ValueError('\\x07 \\ud800')",
            "(it can't be evaluated: own_hostile:judge raised ValueError: \\x07 ",
        ),
        ("return '\\x07 too much'", "rule rows: \\x07 too much"),
    ],
)
def test_a_function_without_a_clear_answer_refuses(shop: Path, body: str, says: str) -> None:
    (shop / "tidemill.rules.toml").write_text(CALLING)
    (shop / "own_hostile.py").write_text(f"def judge(facts):\n    {body}\n")
    ended = tidemill("run")
    assert (ended.code, delivered(shop)) == (4, 0)
    assert says in ended.out
    assert "\x07" not in ended.out
    # The refusal is recorded, and what to do is said.
    assert "tidemill policy waive rows --for sent --ttl 14d --reason REASON" in ended.out
    assert "deny" in tidemill("policy", "explain").out


def test_a_function_that_leaves_children_and_prints_is_heard(shop: Path) -> None:
    (shop / "tidemill.rules.toml").write_text(CALLING)
    (shop / "own_hostile.py").write_text(
        "import os, subprocess\n"
        "def judge(facts):\n"
        "    print('x' * 1_000_000)\n"
        "    os.write(2, b'\\xff\\xfe')\n"
        "    subprocess.Popen(['sleep', '600'])\n"
        "    return False\n"
    )
    assert tidemill("run").code == 0
    assert delivered(shop) == 1


def test_a_module_of_rules_that_ends_the_program_ends_no_command_well(shop: Path) -> None:
    (shop / "tidemill.rules.toml").write_text(CALLING)
    (shop / "own_hostile.py").write_text(
        "import sys\nsys.exit(0)\ndef judge(facts): return False\n"
    )
    for command in ("check", "run"):
        ended = tidemill(command)
        assert ended.code == 3
        assert "own_hostile can't be imported: SystemExit: 0" in ended.err
    assert delivered(shop) == 0


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ('given = { rows = "many" }', "rows = 'many' is not a whole number"),
        ("given = { rows = nan }", "rows = nan is not a whole number"),
        ("given = { moved_rows = inf }", "moved_rows = inf is not a number"),
        (
            "given = { stale = 2026-01-01 }",
            "stale = datetime.date(2026, 1, 1) is not true or false",
        ),
        ("given = { personal_columns = [1] }", "personal_columns = [1] is not a list of texts"),
        ("given = { rowz = 1 }", "there is no fact 'rowz' of table (did you mean 'rows'?)"),
        ('rules = ["rwos"]', "there is no rule 'rwos' (did you mean 'rows'?)"),
        ("name = 3", "3: name: 3 is not a text"),
    ],
)
def test_a_case_of_another_type_is_refused(shop: Path, case: str, says: str) -> None:
    (shop / "tidemill.rules.toml").write_text(GOOD)
    test = f'[[case]]\nkind = "table"\nexpect = "allow"\n{case}\n'
    (shop / "tidemill.rules.test.toml").write_text(test)
    ended = tidemill("policy", "test")
    assert ended.code == 3
    assert (
        f"tidemill.rules.test.toml: {says.partition(': name')[0]}" in ended.err or says in ended.err
    )
