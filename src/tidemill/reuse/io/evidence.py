"""Collect the evidence for recipes: code, query and source of each stage, probing only new stages.

Nothing here imports Polars, so a plan whose stages were all probed before doesn't load it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.analysis.code.code_fingerprint import Code, code_of
from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.errors import DeclarationError, Fault, TidemillError
from tidemill.ports.reuse import Probes
from tidemill.reuse.recipe import Evidence, Platform, probe_key
from tidemill.sources.io.file_listing import call_ingest
from tidemill.sources.reader_digest import reader_digest
from tidemill.workflow.stage import Flow, Kind, Stage

if TYPE_CHECKING:
    from tidemill.reuse.probe import Probe


# Probing imports Polars, so the caller passes it in and imports it late.
Prober = Callable[[Stage], "Probe | None"]


@dataclass(slots=True, kw_only=True)
class StageEvidence:
    """The evidence of every stage, and the probes that were run for it in this process."""

    evidence: dict[str, Evidence] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)


def gather_evidence(
    flow: Flow, probes: Probes, platform: Platform, prober: Prober
) -> StageEvidence:
    """Collect the code, query and source of every stage, probing those that aren't in `probes` yet."""
    codes = {s.name: code_of(s.function) for s in flow.stages if s.function is not None}
    keys = {
        stage.name: probe_key(stage, codes[stage.name], platform)
        for stage in flow.stages
        if stage.kind is Kind.TRANSFORM
    }
    cached = probes.get(keys.values())
    known = StageEvidence()
    fresh: dict[str, QuerySummary] = {}
    for stage in flow.stages:
        code = codes.get(stage.name)
        query = cached.get(keys.get(stage.name, ""))
        if query is None and code is not None and stage.name in keys:
            query = _probe(stage, code, known, fresh, keys[stage.name], prober)
        known.evidence[stage.name] = Evidence(code=code, query=query, source=_source_digest(stage))
    if fresh:
        probes.put(fresh)
    return known


def _probe(
    stage: Stage,
    code: Code,
    known: StageEvidence,
    fresh: dict[str, QuerySummary],
    key: str,
    prober: Prober,
) -> QuerySummary | None:
    probed = prober(stage)
    if probed is None:
        return None
    known.probes[stage.name] = probed
    doubtful = code.unresolved or code.hidden_inputs or probed.query.touched
    if not (doubtful or probed.faults or probed.raised):
        fresh[key] = probed.query
    return probed.query


def _source_digest(stage: Stage) -> str:
    """The digest of an ingest's source; "" if it is invalid, which listing its files reports."""
    if stage.kind is not Kind.INGEST:
        return ""
    try:
        return reader_digest(call_ingest(stage), stage)
    except TidemillError:
        return ""


def source_faults(stage: Stage) -> Sequence[Fault]:
    """The faults in how an ingest declares its source; the source itself isn't read."""
    if stage.kind is not Kind.INGEST:
        return ()
    try:
        reader_digest(call_ingest(stage), stage)
    except DeclarationError as error:
        return error.faults
    except TidemillError:
        # Its function needs something that isn't available now.
        return ()
    return ()


def probe_faults(known: StageEvidence, names: Mapping[str, object]) -> list[Fault]:
    """The faults that probes found in some stages."""
    return [f for name, probed in known.probes.items() if name in names for f in probed.faults]
