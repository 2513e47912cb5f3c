"""A function counts by its text, its defaults, its closure, and those of its decorators that matter."""

from __future__ import annotations

from tests.support.code_values import reason
from tests.support.modules import Project


def test_a_default_that_is_left_alone_by_the_text_is_the_value_of_then(project: Project) -> None:
    source = "LIMIT = {}\ndef stage(x, top=LIMIT): return top\nLIMIT = 5\n"
    assert project.digest(source.format(1)) != project.digest(source.format(2))


def test_the_name_of_the_function_itself_does_not_count(project: Project) -> None:
    assert project.digest("def stage(x): return 1") == project.digest(
        "def other(x): return 1", "other"
    )


def test_the_decorator_of_a_workflow_does_not_count(project: Project) -> None:
    source = (
        "from tidemill.workflow.workflow import Workflow\nimport sys\nflow = Workflow('w')\n"
        "this = sys.modules[__name__]\n"
        "{}\ndef stage(x): return x"
    )
    plain = project.digest("def stage(x): return x")
    for decorator in ("@flow.transform", "@flow.transform(version='1')", "@this.flow.transform"):
        assert project.digest(source.format(decorator)) == plain
    other = "def mark(f): return f\n@{}\ndef stage(x): return x"
    marked = project.digest(other.format("mark"))
    assert len({plain, marked, project.digest(other.format("(lambda f: f)"))}) == 3


def test_annotations_count_where_a_decorator_may_look_at_them(project: Project) -> None:
    source = "def coerce(f): return f\nfrom functools import cache\n@{}\ndef low(x: {}): return x\n"
    source += "def stage(): return low(1)"
    assert project.digest(source.format("cache", "int")) == project.digest(
        source.format("cache", "str")
    )
    assert project.digest(source.format("coerce", "int")) != project.digest(
        source.format("coerce", "str")
    )


def test_a_closure_without_value_that_the_text_does_not_name(project: Project) -> None:
    source = (
        "def make():\n    class A:\n        def p(self): return super()\n"
        "        found.append(p)\n        early = code(p)\n    return A.early\n"
    )
    main = project.load(
        main="found = []\nfrom tidemill.analysis.code.code_fingerprint import code_of as code\n"
        + source
    )
    assert "no value yet" in reason(main.make())
