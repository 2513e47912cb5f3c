"""A class counts by its contents; a contract by everything that it says."""

from __future__ import annotations

import pytest

from tests.support.modules import Project


def test_contracts_are_followed_and_tidemill_counts_by_name(project: Project) -> None:
    source = (
        "import tidemill as tm\nfrom tidemill.contracts.io.contract import Contract\n"
        "from tidemill.contracts.column_types import Int64\nfrom tidemill.core.callsite import caller\n"
        "class Flights(Contract, key=('hour',)):\n    hour = Int64(max={})\n"
        "def stage(): return Flights.reads('hour'), tm.Frame, caller"
    )
    one = project.code(source.format(23))
    assert (one.unresolved, one.hidden_inputs, one.packages) == ((), (), ())
    assert project.digest(source.format(24)) != one.digest


CONTRACT = """
import tidemill as tm

class Base(tm.Contract):
    "Any trip."
    hour = tm.Int64(max=23)
    FACTOR = 3

class In(Base, version="1.0.0"):
    "All flights."
    LIMIT = 2.0
    miles = tm.Float64(unit="mi", description="as flown", role="feature")

    @staticmethod
    def scale(x): return x * 60

    @classmethod
    def over(cls): return cls.LIMIT + 1

    @property
    def half(self): return 0.5
"""


OF_CONTRACT = [
    # (an edit of a contract that code may read)
    ("LIMIT = 2.0", "LIMIT = 2.5"),
    ("FACTOR = 3", "FACTOR = 4"),
    ("x * 60", "x * 61"),
    ("cls.LIMIT + 1", "cls.LIMIT + 2"),
    ("return 0.5", "return 0.6"),
    ('unit="mi"', 'unit="km"'),
    ("as flown", "as planned"),
    ('role="feature"', 'role="label"'),
    ('version="1.0.0"', 'version="1.0.0", key="hour"'),
    ('version="1.0.0"', 'version="1.0.0", unknown_columns="keep"'),
    ('version="1.0.0"', 'version="1.0.1"'),
    ("All flights", "Some flights"),
    ("Any trip", "Some trip"),
    ("max=23", "max=24"),
]


@pytest.mark.parametrize(("old", "new"), OF_CONTRACT)
def test_all_of_a_contract_counts_where_code_names_it(project: Project, old: str, new: str) -> None:
    named = CONTRACT + "def stage(x): return x, In\n"
    annotated = CONTRACT + "def stage(x: In) -> tm.Frame[In]: return x\n"
    assert old in CONTRACT
    assert project.digest("\n" + named) == project.digest(named)
    assert project.digest(named.replace(old, new)) != project.digest(named)
    assert project.digest(annotated.replace(old, new)) == project.digest(annotated)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('version="1.0.0"', 'version="2.0.0"', True),
        ("All flights", "Some flights", True),
        ("max=23", "max=24", False),
        # Its own way to say which columns are read is followed like any method.
        ("def over(cls):", "def reads(cls, *_):", False),
    ],
)
def test_of_a_contract_that_is_asked_for_columns_only_what_it_checks_counts(
    project: Project, old: str, new: str, same: bool
) -> None:
    source = CONTRACT + "def stage(x): return In.reads('hour')\n"
    assert (project.digest(source.replace(old, new)) == project.digest(source)) is same


def test_the_base_of_all_contracts_counts_by_name(project: Project) -> None:
    source = "import tidemill as tm\ndef stage(x): return issubclass(x, tm.Contract)"
    assert project.digest(source) == project.digest(source)


def test_a_metaclass_of_a_package_is_refused(project: Project) -> None:
    source = "import msgspec\nclass A(msgspec.Struct):\n    n: int = 1\ndef stage(): return A"
    reasons = [item.reason for item in project.code(source).unresolved]
    assert any("metaclass msgspec" in reason for reason in reasons)


def test_generated_methods_of_a_dataclass_do_not_count_but_written_ones_do(
    project: Project,
) -> None:
    source = (
        "from dataclasses import dataclass\n@dataclass({})\nclass A:\n    n: int\n{}\n"
        "def stage(): return A(1)"
    )
    written = "    def __eq__(self, other): return {}"
    assert project.digest(source.format("", "")) != project.digest(source.format("order=True", ""))
    assert project.digest(source.format("", written.format(1))) != project.digest(
        source.format("", written.format(2))
    )


ANSWERING = """
class Meta(type):
    def __getattr__(cls, name): {}
class A(metaclass=Meta): pass
def stage(): return A
"""


def test_a_metaclass_that_answers_for_any_name(project: Project) -> None:
    codes = [project.code(ANSWERING.format(f"return {number}")) for number in (20, 21)]
    assert [code.unresolved for code in codes] == [(), ()]
    assert codes[0].digest != codes[1].digest


def test_a_class_that_can_not_be_looked_at_is_refused(project: Project) -> None:
    code = project.code(ANSWERING.format("raise ValueError(name)"))
    [reason] = {item.reason for item in code.unresolved}
    assert reason.startswith("looking at it raises ValueError: __")
