"""Note the drift of a model's inputs since its training: something to investigate, never a trigger."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.contracts.table_rules import DriftAlarmRule, DriftRule
from tidemill.core.partition import readable_keys, summarize_keys
from tidemill.ledger.binding import Binding
from tidemill.planning.draft import Draft
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


def drift_notes(draft: Draft, stage: Stage, trained: Binding | None) -> tuple[str, ...]:
    """Describe the findings of drift rules in partitions that came after a training, by input and rule."""
    artifact = trained.product.artifact if trained is not None else None
    if artifact is None:
        return ()
    return tuple(note for item in stage.frames for note in _input_notes(draft, item.name, artifact))


def _input_notes(draft: Draft, name: str, artifact: Artifact) -> Iterator[str]:
    contract = draft.flow[name].output
    rules = contract.table_rules if contract is not None else ()
    names = {rule.name for rule in rules if isinstance(rule, DriftRule | DriftAlarmRule)}
    if not names:
        return
    trained = max(artifact.trained_on.get(name, ()), default="")
    found: dict[str, dict[str, str]] = {}
    bound = draft.bindings(name)
    for key in readable_keys(key for key in bound if key > trained):
        for finding in bound[key].findings:
            if finding.rule in names:
                found.setdefault(finding.rule, {})[key] = finding.message or finding.rule
    for messages in found.values():
        newest = messages[max(messages)]
        yield (
            f"input `{name}` drifted in {summarize_keys(messages)}: {newest}; investigate it: drift alone "
            "doesn't retrain"
        )
