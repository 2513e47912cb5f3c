"""A workflow as it is run on a sample: each ingest takes the same share of rows, told by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import ReferenceRule
from tidemill.core.errors import UsageError
from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.stage import Flow, Input, Stage

# The part of a recipe that says which sample it is for.
SAMPLE = "sample"


def share_of(value: float) -> float:
    """A share of rows as it was given; UsageError unless it is between 0 and 1."""
    if not 0 < value < 1:
        raise UsageError(
            f"{value:g} is no sample; it is a share of rows between 0 and 1, such as 0.05"
        )
    return float(value)


def sampled(flow: Flow, share: float) -> Flow:
    """The workflow on a share of its sources' rows; the whole is itself.

    A sample has fewer rows than there must be, and refers to rows that it hasn't: such rules don't hold.
    """
    if share == 1.0:
        return flow
    return replace(flow, stages=tuple(_sampled(stage, share) for stage in flow.stages))


def _sampled(stage: Stage, share: float) -> Stage:
    inputs = tuple(_eased_input(item) for item in stage.inputs)
    output = stage.output and _eased(stage.output)
    return replace(stage, inputs=inputs, output=output, refers={}, sample=share)


def _eased_input(item: Input) -> Input:
    return item if item.contract is None else replace(item, contract=_eased(item.contract))


def _eased(spec: ContractSpec) -> ContractSpec:
    wider = tuple(rule for rule in spec.wider if not isinstance(rule, ReferenceRule))
    return replace(spec, rows=None, wider=wider)


def on_all_rows(parts: Mapping[str, str]) -> dict[str, str]:
    """The parts of a recipe without what is sampled: those of the same stage on all rows."""
    return {name: digest for name, digest in parts.items() if name != SAMPLE}


def digest_on(stage: Stage, parts: Mapping[str, str], share: float) -> str:
    """The digest of the recipe that a stage with these parts has on a sample."""
    told = parts if share == 1.0 else {**parts, SAMPLE: sample_part(stage, share)}
    return fingerprint("recipe", dict(told))


def sample_part(stage: Stage, share: float) -> str:
    """The digest of what a stage's sample is."""
    return fingerprint(SAMPLE, [share, list(stage.sampled_by)])
