"""Collect the evidence for recipes: code, query and source of each stage, probing only new stages.

Nothing here imports Polars, so a plan whose stages were all probed before doesn't load it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from tidemill.analysis.code.code_fingerprint import Code, code_of
from tidemill.analysis.code.module_origin import origin_of_module
from tidemill.analysis.query.summary import QuerySummary
from tidemill.contracts.digests import check_digest
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import DeclarationError, Fault, TidemillError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.reuse import Probes
from tidemill.reuse.recipe import Evidence, Platform, probe_key
from tidemill.reuse.shared_state import SharedState, may_change_state
from tidemill.sources.io.file_listing import call_ingest
from tidemill.sources.reader_digest import reader_digest, text_reading
from tidemill.sources.text_files import reading_problems
from tidemill.workflow.stage import Flow, Kind, Stage

if TYPE_CHECKING:
    from tidemill.reuse.probe import Probe


# Probing and compiling import Polars, so the caller passes them in and imports them late.
Prober = Callable[[Stage], "Probe | None"]
Compiler = Callable[[ContractSpec], list[Fault]]
# Takes the URLs of sources, before any stage is called that may print what is in them.
Learner = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class StageEvidence:
    """The evidence of every stage, the probes that were run for it in this process, and its faults.

    Only a probe without faults is cached, so every fault is found in every process.
    """

    evidence: dict[str, Evidence] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)
    source_faults: dict[str, Sequence[Fault]] = field(default_factory=dict)
    contract_faults: dict[str, Sequence[Fault]] = field(default_factory=dict)


def gather_evidence(
    flow: Flow,
    probes: Probes,
    platform: Platform,
    prober: Prober,
    compiler: Compiler,
    learner: Learner = lambda url: None,
) -> StageEvidence:
    """Collect the code, query and source of every stage, probing those that aren't in `probes` yet.

    The rules of contracts that aren't in `probes` yet are compiled, to find those that can't be evaluated.
    """
    codes = _codes(flow)
    shared = SharedState(codes)
    keys = {
        stage.name: probe_key(stage, codes[stage.name], platform)
        for stage in flow.stages
        if stage.kind is Kind.TRANSFORM
    }
    rules = {
        stage.name: _rules_key(check_digest(stage.output), platform)
        for stage in flow.stages
        if stage.output is not None
    }
    cached = probes.get([*keys.values(), *rules.values()])
    known = StageEvidence()
    fresh: dict[str, QuerySummary] = {}
    for stage in flow.stages:
        code = codes.get(stage.name)
        query = cached.get(keys.get(stage.name, ""))
        if query is None and code is not None and stage.name in keys:
            shared.begin()
            query = _probe(stage, code, known, fresh, keys[stage.name], prober)
            if shared.has_changed(stage.name):
                # In every process it has to be called again, to find what it changes.
                fresh.pop(keys[stage.name], None)
        declared = _watched_source(stage, code, shared, learner)
        known.source_faults[stage.name] = declared.faults
        known.evidence[stage.name] = Evidence(
            code=code, query=query, source=declared.digest, text=declared.text
        )
    for stage in flow.stages:
        key = rules.get(stage.name, "")
        if stage.output is not None and key not in cached and key not in fresh:
            known.contract_faults[stage.name] = faults = compiler(stage.output)
            # A contract that compiles has no query to cache, only the fact.
            fresh.update({} if faults else {key: QuerySummary()})
    for name, found in known.evidence.items():
        if reasons := shared.reasons(name):
            known.evidence[name] = replace(found, shared=reasons)
            fresh.pop(keys.get(name, ""), None)
    if fresh:
        probes.put(fresh)
    return known


def _codes(flow: Flow) -> dict[str, Code]:
    """The code of every stage; again if importing a module for one of them may have changed another."""
    functions = {s.name: s.function for s in flow.stages if s.function is not None}
    while True:
        before = {*sys.modules}
        codes = {name: code_of(function) for name, function in functions.items()}
        imported = sys.modules.keys() - before
        if not any(origin_of_module(name) == "project" for name in imported):
            return codes


def _watched_source(
    stage: Stage, code: Code | None, shared: SharedState, learner: Learner
) -> _Source:
    """Return the facts that an ingest declares of its source; note the state that declaring it changes."""
    watched = stage.kind is Kind.INGEST and code is not None and may_change_state(code)
    if watched:
        shared.begin()
    found = _source_evidence(stage, learner)
    if watched:
        shared.has_changed(stage.name)
    return found


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


def _rules_key(contract: str, platform: Platform) -> str:
    """Digest everything that decides whether the rules of a contract with a digest can be evaluated."""
    here = [platform.engine, platform.python, platform.machine, platform.tidemill]
    return fingerprint("compiled rules", contract, here)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The digest of an ingest's source, how its text is read, and the faults in how it is declared.

    The digest is empty for a source that is invalid now, which listing its files reports.
    """

    digest: str = ""
    text: str = ""
    faults: Sequence[Fault] = ()


def _source_evidence(stage: Stage, learner: Learner) -> _Source:
    """Return what the declaration of a source tells; the source itself isn't read."""
    if stage.kind is not Kind.INGEST:
        return _Source()
    assert stage.output is not None
    try:
        source = call_ingest(stage)
        if url := getattr(source, "url", "") or getattr(source, "uri", ""):
            learner(url)
        digest = reader_digest(source, stage)
    except DeclarationError as error:
        return _Source(faults=error.faults)
    except TidemillError:
        # Its function needs something that isn't available now.
        return _Source()
    problems = reading_problems(stage.output, source)
    faults = [Fault(message=f"ingest {stage.name!r}: {p}", where=stage.place) for p in problems]
    return _Source(digest=digest, text=text_reading(source), faults=faults)


def probe_faults(stage: Stage, probed: Probe | None) -> Iterator[Fault]:
    """The faults that a probe found in a stage.

    An error of an impure stage is no fault: it may depend on something that isn't available now.
    """
    if probed is not None:
        yield from probed.faults
        yield from probed.raised if stage.impure is None else ()


def list_faults(
    known: StageEvidence, stages: Sequence[Stage], read: Iterable[Fault]
) -> list[Fault]:
    """The faults of some stages: of their queries, their code (`read`), their sources, their contracts."""
    faults = [f for stage in stages for f in probe_faults(stage, known.probes.get(stage.name))]
    faults += read
    faults += [f for stage in stages for f in known.source_faults.get(stage.name, ())]
    faults += [f for stage in stages for f in known.contract_faults.get(stage.name, ())]
    # Stages that share a contract share its faults.
    return list(dict.fromkeys(faults))
