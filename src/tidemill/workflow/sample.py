"""Run a workflow on a sample: each ingest takes the same share of rows, selected by a hash of the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import ReferenceRule
from tidemill.core.errors import UsageError
from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.stage import Flow, Input, Stage

# The part of a recipe that identifies the sample.
SAMPLE = "sample"


def check_share(value: float) -> float:
    """Check a sample's share of rows; UsageError unless it is between 0 and 1, exclusive."""
    if not 0 < value < 1:
        raise UsageError(
            f"{value:g} is not a sample: give a share of rows between 0 and 1, such as 0.05"
        )
    return float(value)


def sample_workflow(flow: Flow, share: float) -> Flow:
    """Return the workflow on a share of its sources' rows; share 1.0 returns it unchanged.

    Drops row counts and references from its contracts: a sample has fewer rows, and lacks some of those
    that others refer to.
    """
    if share == 1.0:
        return flow
    return replace(flow, stages=tuple(_sample_stage(stage, share) for stage in flow.stages))


def _sample_stage(stage: Stage, share: float) -> Stage:
    inputs = tuple(_relax_input(item) for item in stage.inputs)
    output = stage.output and _relax_contract(stage.output)
    return replace(stage, inputs=inputs, output=output, refers={}, sample=share)


def _relax_input(item: Input) -> Input:
    return item if item.contract is None else replace(item, contract=_relax_contract(item.contract))


def _relax_contract(spec: ContractSpec) -> ContractSpec:
    wider = tuple(rule for rule in spec.table_rules if not isinstance(rule, ReferenceRule))
    return replace(spec, rows=None, table_rules=wider)


def without_sample_part(parts: Mapping[str, str]) -> dict[str, str]:
    """Return the recipe parts that the same stage has on all rows."""
    return {name: digest for name, digest in parts.items() if name != SAMPLE}


def recipe_digest_on(stage: Stage, parts: Mapping[str, str], share: float) -> str:
    """Return the digest of the recipe that a stage with these parts has on a sample."""
    all_parts = parts if share == 1.0 else {**parts, SAMPLE: sample_digest(stage, share)}
    return fingerprint("recipe", dict(all_parts))


def sample_digest(stage: Stage, share: float) -> str:
    """Return the digest of a stage's sample: its share and the columns that select its rows."""
    return fingerprint(SAMPLE, [share, list(stage.sample_columns)])
