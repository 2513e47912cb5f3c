"""Check the options of a delivered table: what it delivers, and where to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from tidemill.core.errors import Fault
from tidemill.workflow.approved_model import approved_model_faults
from tidemill.workflow.sink import sink_faults
from tidemill.workflow.stage import OnNewModel
from tidemill.workflow.workflow import StageDeclaration, Workflow, contract_of


def table_input(declared: StageDeclaration) -> str:
    """The name of the stage whose rows a table delivers or scores."""
    options = declared.options
    given = options.get("features") if options.get("stage") is None else options["stage"]
    return getattr(given, "__name__", str(given))


def table_faults(declared: StageDeclaration, workflow: Workflow) -> Iterator[Fault]:
    """Yield what is wrong with the options of a table by themselves."""
    for message, hint in (*_row_faults(declared, workflow), *_option_faults(declared)):
        yield Fault(message=f"table {declared.name!r}{message}", where=declared.place, hint=hint)


def _row_faults(declared: StageDeclaration, workflow: Workflow) -> Iterator[tuple[str, str]]:
    options = declared.options
    model, features, stage = (options.get(name) for name in ("model", "features", "stage"))
    if stage is not None and (model is not None or features is not None):
        yield (
            ": stage= delivers rows as they are, model= and features= deliver predictions",
            "leave one of them out",
        )
    elif stage is None and model is None:
        yield (
            " delivers nothing",
            "name a stage, stage=orders, or a model with its features, model=live, features=features",
        )
    elif stage is None:
        yield from approved_model_faults(model, workflow)
        if features is None:
            yield ": model= without features=", "name the stage that the model scores"


def _option_faults(declared: StageDeclaration) -> Iterator[tuple[str, str]]:
    options = declared.options
    for message, hint in sink_faults(options.get("sink")):
        yield f": {message}", hint
    contract = options.get("contract")
    if contract is not None and contract_of(contract) is None:
        yield f": contract={contract!r} is not a contract", "name a class derived from tm.Contract"
    if contract is not None and options.get("stage") is not None:
        yield (
            ": contract= is for predictions; rows of a stage have its contract",
            "leave contract out, and read the stage itself",
        )
    policy = options.get("on_new_model", "keep")
    if policy not in get_args(OnNewModel):
        yield (
            f": on_new_model={policy!r} is neither 'keep' nor 'rescore'",
            "'keep' leaves delivered rows as they are, 'rescore' scores them with the live version",
        )
    public = options.get("public", False)
    if not isinstance(public, bool):
        yield f": public={public!r} is neither True nor False", ""
    exclude = options.get("exclude_training", False)
    if not isinstance(exclude, bool):
        yield f": exclude_training={exclude!r} is neither True nor False", ""
    elif exclude and options.get("stage") is not None:
        yield ": exclude_training= is for predictions of a model", "leave it out"
