"""What the fields of classes are annotated with, which Polars makes columns of."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.annotations import field_types_part

IMPORTS = (
    "from dataclasses import InitVar, dataclass, field\nimport dataclasses\n"
    "from typing import Annotated, ClassVar, NamedTuple, NewType, TypedDict\n"
)
LATE = "from __future__ import annotations\n"
STAGE = "\ndef stage(rows): return [A(*row) for row in rows]"
FIELDS = [
    # (a class, an edit of it that others see)
    ("@dataclass\nclass A:\n    n: int", "int", "float"),
    ("@dataclass\nclass A:\n    n: list[int]", "[int]", "[float]"),
    ("@dataclass\nclass A:\n    n: Annotated[int, 1]", ", 1]", ", 2]"),
    ("@dataclass\nclass A:\n    n: int = field(metadata={'unit': 1})", "1}", "2}"),
    ("@dataclass\nclass A:\n    n: InitVar[int]", "[int]", "[float]"),
    ("@dataclass\nclass A:\n    n: ClassVar[int]", "[int]", "[float]"),
    ("@dataclass\nclass B:\n    n: int\n@dataclass\nclass A(B):\n    m: int", "n: int", "n: float"),
    ("Number = int\n@dataclass\nclass A:\n    n: Number", "= int", "= float"),
    ("Number = NewType('Number', int)\n@dataclass\nclass A:\n    n: Number", "int)", "float)"),
    ("@dataclass\nclass B:\n    n: int\n@dataclass\nclass A:\n    m: B", "n: int", "n: float"),
    ("class A(NamedTuple):\n    n: int", "int", "float"),
    ("Number = int\nclass A(NamedTuple):\n    n: Number", "= int", "= float"),
    ("class A(TypedDict):\n    n: int", "int", "float"),
    ("class B(TypedDict):\n    n: int\nclass A(B):\n    m: int", "n: int", "n: float"),
]  # fmt: skip


@pytest.mark.parametrize("late", ["", LATE])
@pytest.mark.parametrize(("source", "old", "new"), FIELDS)
def test_what_a_field_is_counts(
    project: Project, source: str, old: str, new: str, late: str
) -> None:
    source = late + IMPORTS + "\n" + source + STAGE
    at = source.rindex(old)
    before = project.digest(source)
    assert project.digest("# moved\n" + source) == before
    assert project.digest(source[:at] + new + source[at + len(old) :]) != before


def test_the_types_of_a_base_in_another_module_are_found_there(project: Project) -> None:
    lib = (
        LATE + "from dataclasses import dataclass\nNumber = {}\n@dataclass\nclass B:\n    n: Number"
    )
    main = f"{LATE}{IMPORTS}from lib import B\n@dataclass\nclass A(B):\n    m: int{STAGE}"
    digests = []
    for kind in ("int", "float"):
        project.write(lib=lib.format(kind))
        digests.append(project.digest(main))
    assert len(set(digests)) == 2


NOTHING = [
    # Annotations that reach for nothing, and one that names nothing.
    "import random\n@dataclass\nclass A:\n    n: random.Random",
    "import socket\n@dataclass\nclass A:\n    n: 'socket.socket'",
    "@dataclass\nclass A:\n    n: 'nowhere.Number'",
    "@dataclass\nclass A:\n    n: 'A | None'",
    "class A(NamedTuple):\n    n: 'nowhere'",
]


@pytest.mark.parametrize("source", NOTHING)
def test_a_type_reaches_for_nothing(project: Project, source: str) -> None:
    code = project.code(IMPORTS + source + STAGE)
    assert (code.unresolved, code.hidden_inputs) == ((), ())


def test_annotations_that_cannot_be_evaluated_are_refused() -> None:
    class Late(type):
        @property
        def __annotations__(cls) -> Any:  # type: ignore[override]
            raise NameError("nowhere")

    class Row(metaclass=Late): ...

    class Walk:
        def refuse(self, reason: str) -> str:
            return reason

    walk: Any = Walk()
    assert field_types_part(Row, walk) == "an annotation names what isn't there"
