"""Find the libraries that a training will need and that aren't installed, before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tidemill.core.errors import Fault
from tidemill.core.extras import install_command
from tidemill.workflow.stage import Kind, Stage

# What code uses of scikit-learn without returning an estimator.
_HELPERS = tuple(
    f"sklearn.{name}"
    for name in ("datasets", "exceptions", "inspection", "metrics", "model_selection", "utils")
)


def library_faults(
    stage: Stage,
    used: Iterable[str],
    formats: Iterable[tuple[str, Sequence[str]]],
    is_installed: Callable[[str], bool],
) -> Iterator[Fault]:
    """Yield a fault for each library that a model stage uses, or that storing its model takes.

    `used` is what its code uses of modules outside of the project, by dotted names. `formats` are the names
    of the model formats with the modules that each needs. A stage that declares its format needs no other.
    """
    if stage.kind is not Kind.MODEL:
        return
    names = list(used)
    wanted = {name.partition(".")[0]: "it uses {}" for name in names}
    declared = "" if stage.training is None else stage.training.format
    for form, modules in formats:
        library = modules[0].partition(".")[0] if modules else ""
        returned = any(_is_of(name, library) and not name.startswith(_HELPERS) for name in names)
        if form == declared or (not declared and library and returned):
            said = f"a model of {library or form} is stored with {{}}"
            wanted |= {
                tops: said for name in modules if (tops := name.partition(".")[0]) not in wanted
            }
    for module, said in wanted.items():
        if not is_installed(module):
            yield Fault(
                message=f"model {stage.name!r}: {said.format(module)}, which isn't installed",
                where=stage.place,
                hint=_hint(module, declared),
            )


def _is_of(name: str, library: str) -> bool:
    return name == library or name.startswith(f"{library}.")


def _hint(module: str, declared: str) -> str:
    hint = install_command(module)
    if module == "skops" and not declared:
        return f'{hint}; or say what it returns: @flow.model(format="lightgbm")'
    return hint
