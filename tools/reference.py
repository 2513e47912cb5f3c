"""Write docs/reference.md from the code; `reference.py --check` exits 1 when it is old.

Public names with their signatures and docstrings, the help of every command, exit codes, roles, events.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, is_typeddict

import click
from click.testing import CliRunner

import tidemill
from tidemill.cli import cli
from tidemill.contracts import column_types as columns
from tidemill.contracts.column_types import ColumnArguments
from tidemill.core import errors
from tidemill.governance.permissions import REQUIREMENTS
from tidemill.ledger.event import Event
from tidemill.project.project import Project

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
WIDTH = 100

INTRO = """\
# Reference

Made from the code by `tools/reference.py`. Everything public is in `import tidemill as tm`;
other modules may change at any time.

- [Public names](#public-names)
- [Commands](#commands)
- [Exit codes](#exit-codes)
- [Roles](#roles)
- [Events](#events)

## Public names
"""
COLUMNS = (
    "Bool Int8 Int16 Int32 Int64 Int128 UInt8 UInt16 UInt32 UInt64 UInt128 Float16 Float32 Float64 "
    "Decimal String Enum Categorical Binary Date Datetime Time Duration List Array Struct"
)
GROUPS: Mapping[str, str] = {
    "Workflow": "Workflow impure log memo prediction_log record_usage resources retries rollout",
    "Contracts": "Contract rule Rows Budget Freshness Unique References Drift DriftAlarm diff validate "
    "Validated",
    "Tests": "case",
    "Columns": COLUMNS,
    "Exchange with other tools": "read_odcs write_odcs",
    "Sources": "files sql output pull delta iceberg dlt dbt mlflow_model Source",
    "Sinks": "parquet sqlite duckdb postgres call Call",
    "Windows and folds": "last all fold",
    "What stage functions take and give": "Frame Params Predictor Parent Fitted fitted Encoder encoder "
    "batches Batches Scores scores",
    "Metrics, curves and thresholds": "metrics calibration lift roc precision_recall split threshold",
    "Triggers": (
        "degraded prediction_shift contract_changed volume every new_data max_age any_of all_of"
    ),
    "Gates and reviews": (
        "beats_live beats_baseline no_slice_worse calibrated latency size cost_per_1k contract_ok "
        "no_pii_to fresh golden gate Candidate GateResult review"
    ),
    "Hyperparameter search": "search uniform loguniform integers choices Trial TrialPruned",
    "Plots": "plots permutation_importance",
    "Serving": "Client Predictions ServingError RowsRefused",
    "Project": "open",
    "Errors and version": "TidemillError RunFailed __version__",
}
ROLES = """\
Each role may do all that the ones before it may: viewer, operator, reviewer, admin. Through a token an action
needs a scope, too; `run`, `review`, `deliver` and `admin` include `read`. See [Roles](how-to/roles.md).
"""
# Their docstring is that of a type of another library, or there is none.
SAID = {
    "Params": "The mapping that a training function gets as `params`.",
    "__version__": "The version of Tidemill, as text.",
}


def page() -> str:
    """The whole page; SystemExit when a public name is in no group."""
    grouped = [name for names in GROUPS.values() for name in names.split()]
    if sorted(grouped) != sorted(tidemill.__all__):
        raise SystemExit(f"not in one group each: {set(grouped) ^ set(tidemill.__all__)}")
    parts = [INTRO]
    for title, names in GROUPS.items():
        parts.append(f"### {title}\n")
        if title == "Columns":
            parts.append(column_arguments())
        parts.append(block(entry for name in names.split() for entry in entries(name)))
        if title == "Project":
            parts.append("`tm.open()` gives a project:\n")
            parts.append(block(members("project", Project)))
    parts += [
        "## Commands\n",
        *commands(),
        "## Exit codes\n",
        exit_codes(),
        "## Roles\n",
        ROLES,
        permissions(),
        "## Events\n",
        events(),
    ]
    return "\n".join(parts)


def block(entries: Iterator[str]) -> str:
    return "```text\n" + "\n\n".join(entries) + "\n```\n"


def column_arguments() -> str:
    """What columns take by name: all of them, and those with bounds or lengths besides."""
    common, kinds = (
        set(ColumnArguments.__annotations__),
        filter(is_typeddict, vars(columns).values()),
    )
    lines = [
        f"Every column takes, as `**common`: {arguments(ColumnArguments, set())}. Some take more:\n"
    ]
    lines += [
        f"- `{k.__name__}`: {arguments(k, common)}" for k in kinds if k is not ColumnArguments
    ]
    return "\n".join(lines) + "\n"


def arguments(kind: Any, without: set[str]) -> str:
    told_of = kind.__annotations__.items()
    return ", ".join(f"`{name}: {told(type_)}`" for name, type_ in told_of if name not in without)


def entries(name: str) -> Iterator[str]:
    """A public name, and for a class that users call methods of these as well."""
    value = getattr(tidemill, name)
    yield entry(f"tm.{name}", value, SAID.get(name))
    if inspect.ismodule(value):
        for each in public_members(value):
            yield entry(f"tm.{name}.{each}", getattr(value, each), None)
            if isinstance(getattr(value, each), type):
                yield from members(each.lower(), getattr(value, each))
    if name in ("Client", "Workflow", "Predictor", "Parent"):
        yield from members(name.lower(), value)
    if name == "fold":
        yield from members("tm.fold", type(value))
    if name == "Contract":
        yield entry("SomeContract.reads", value.reads, None)


def public_members(module: ModuleType) -> Sequence[str]:
    """The names of a module that are for users: those in its `__all__`, or the functions that it defines."""
    own = (name for name, value in vars(module).items() if inspect.isfunction(value))
    defined = (name for name in own if getattr(module, name).__module__ == module.__name__)
    found: Sequence[str] = getattr(module, "__all__", None) or [
        name for name in defined if not name.startswith("_")
    ]
    return found


def members(name: str, kind: type) -> Iterator[str]:
    """The public methods and properties of a class, in the order of its source."""
    for attribute, value in vars(kind).items():
        if attribute.startswith("_"):
            continue
        if isinstance(value, property):
            yield f"{name}.{attribute}\n{indented(inspect.getdoc(value) or '')}"
        elif callable(value):
            yield entry(f"{name}.{attribute}", value, None, drop_first=True)


def entry(name: str, value: Any, said: str | None, *, drop_first: bool = False) -> str:
    """A signature and its docstring, as a block of text."""
    text = inspect.getdoc(value) if said is None else said
    return f"{name}{signature(name, value, drop_first)}\n{indented(text or '')}"


def signature(name: str, value: Any, drop_first: bool) -> str:
    """`(a: int, *, b: str = 'x')`, in lines of their own when that is long; empty for what isn't called."""
    if not callable(value) or name in (
        "tm.Params",
        "tm.Frame",
        "tm.Predictor",
        "tm.Parent",
        "tm.Contract",
    ):
        return ""
    if isinstance(value, type) and issubclass(value, Exception):
        return ""
    parameters = list(inspect.signature(value).parameters.values())[drop_first:]
    texts = list(parameter_texts(parameters))
    flat = f"({', '.join(texts)})"
    if len(name) + len(flat) <= WIDTH:
        return flat
    return "(\n" + "".join(f"    {text},\n" for text in texts) + ")"


def parameter_texts(parameters: Sequence[inspect.Parameter]) -> Iterator[str]:
    starred = False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
        elif parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield parameter_text(parameter)


def parameter_text(parameter: inspect.Parameter) -> str:
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
    if parameter.annotation is parameter.empty:
        return f"{stars}{parameter.name}"
    text = f"{stars}{parameter.name}: {told(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    return f"{text} = {'...' if type(default).__module__ == 'dataclasses' else repr(default)}"


def told(annotation: Any) -> str:
    """An annotation as it was written."""
    text = getattr(annotation, "__forward_arg__", annotation)
    return text if isinstance(text, str) else getattr(text, "__name__", repr(text))


def indented(text: str) -> str:
    return textwrap.indent(text.strip(), "    ")


def commands() -> Iterator[str]:
    """The help of the program and of every command."""
    yield help_of(())
    yield from commands_of(cli, ())


def commands_of(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands_of(command, (*path, name))
        else:
            yield help_of((*path, name))


def help_of(path: tuple[str, ...]) -> str:
    title = " ".join(("tidemill", *path))
    done = CliRunner().invoke(
        cli, [*path, "--help"], prog_name="tidemill", terminal_width=WIDTH, catch_exceptions=False
    )
    return f"### {title}\n\n```text\n{done.output.rstrip()}\n```\n"


def exit_codes() -> str:
    """The codes of the error classes, and those that no error stands for."""
    rows = [(0, "", "ok")]
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.TidemillError)
    ]
    rows += sorted((kind.exit_code, f"`{kind.__name__}`", first_line(kind)) for kind in found)
    rows += [
        (130, "", "interrupted; whatever was published is kept"),
        (141, "", "nobody reads the output any more"),
    ]
    return table(("code", "error", "when"), [(str(code), name, text) for code, name, text in rows])


def permissions() -> str:
    """What each action needs."""
    rows = [(str(p), str(needed.role), needed.scope) for p, needed in REQUIREMENTS.items()]
    return table(("action", "role", "scope of a token"), rows)


def events() -> str:
    """The kinds of facts in the ledger, with their fields."""
    rows = []
    for kind in get_args(Event):
        names = ", ".join(f"`{field.name}`" for field in fields(kind))
        rows.append((f"`{kind.__name__}`", names, first_line(kind)))
    return "The ledger keeps these, each with a number and a time:\n\n" + table(
        ("event", "fields", "what happened"), rows
    )


def first_line(value: Callable[..., Any]) -> str:
    return (inspect.getdoc(value) or "").partition("\n")[0]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` only say whether it is as old as the code."""
    text = page()
    if list(arguments) != ["--check"]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what the code says; write it with: python tools/reference.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
