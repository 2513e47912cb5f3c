"""Read a stage's published output from another project; its ledger already has the content hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ConflictError, SourceError, did_you_mean
from tidemill.core.partition import UNPLACED, WHOLE, is_valid_key
from tidemill.ledger.binding import Binding, Product, content_of
from tidemill.ledger.workflow_scope import split_name, workflow_prefix
from tidemill.ports.sources import ExternalSources
from tidemill.store.frames import FrameStore
from tidemill.workflow.source import Output, SourceFile


class OutputTable:
    """The head of a stage in another project, as it is at the first access."""

    def __init__(
        self,
        source: Output[Any],
        contract: ContractSpec,
        outside: ExternalSources,
        reading: str = "",
    ) -> None:
        self._source = source
        self._contract = contract
        self._reading = reading
        self._ledger, artifacts = outside.project(source.project)
        self._frames = FrameStore(artifacts, lambda: None)
        self._name = f"{source.project}:{source.stage}@{source.env}"
        self._loaded: dict[str, Binding] | None = None

    def list_files(self) -> dict[str, SourceFile]:
        files: dict[str, SourceFile] = {}
        for key, binding in sorted(self._bindings().items()):
            path, product = self._path(key), binding.product
            files[path] = SourceFile(
                path=path,
                size=product.bytes,
                mtime_ns=0,
                digest=self._digest(product),
                rows={self._own_partition(key): product.rows},
                reading=self._reading,
            )
        if not files:
            raise SourceError(f"{self._name} has no partition; nothing was removed")
        return files

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        chosen = []
        for key, binding in sorted(self._bindings().items()):
            file = files.get(self._path(key))
            if file is not None and file.digest == self._digest(binding.product):
                chosen.append(binding)
        if len(chosen) < len(files):
            raise SourceError(f"{self._name} was published again during this run; run again")
        self._frames.require({self._name: chosen})
        columns = self._columns(chosen[0].product)
        return self._frames.all_columns(chosen, columns)

    def _bindings(self) -> dict[str, Binding]:
        if self._loaded is None:
            try:
                self._loaded = self._load_bindings(whole=False)
            except ConflictError:
                # A run there published something between the two reads.
                self._loaded = self._load_bindings(whole=True)
        return self._loaded

    def _load_bindings(self, *, whole: bool) -> dict[str, Binding]:
        source = self._source
        heads = {
            prefix: self._ledger.state(prefix + source.env, whole=whole).heads
            for prefix in self._prefixes()
        }
        found = [prefix for prefix, stages in heads.items() if source.stage in stages]
        if not found:
            advice = did_you_mean(
                source.stage, {name for stages in heads.values() for name in stages}
            )
            raise SourceError(f"{self._name} has not been published ({advice})")
        # A home from before that a workflow took over has the stage twice.
        own = [prefix for prefix in found if prefix] or found
        if len(own) > 1:
            names = ", ".join(prefix.rstrip("/") for prefix in own)
            raise SourceError(
                f"{self._name} is published by several workflows ({names}): name one with workflow="
            )
        bound = heads[own[0]][source.stage].partitions
        return {key: held for key, held in bound.items() if key != UNPLACED}

    def _prefixes(self) -> list[str]:
        """What precedes the environment in the ledger there, for each workflow that may be meant."""
        source = self._source
        if source.workflow:
            return [workflow_prefix(source.workflow)]
        recorded = map(split_name, self._ledger.state(source.env).environments)
        return sorted({prefix for prefix, name in recorded if name == source.env})

    def _path(self, key: str) -> str:
        return self._name if key == WHOLE else f"{self._name} {key}"

    def _own_partition(self, key: str) -> str:
        cut = self._contract.partitioning
        if cut.is_whole:
            return WHOLE
        if key == WHOLE or not is_valid_key(key, cut):
            raise SourceError(
                f"{self._name} is partitioned differently: {key!r} is not a partition {cut}; "
                f"partition {self._contract.name} the same way, or not at all"
            )
        return key

    def _columns(self, product: Product) -> list[str]:
        missing = [name for name in self._contract.required_columns if name not in product.columns]
        if missing:
            advice = did_you_mean(missing[0], product.columns)
            raise SourceError(
                f"{self._name} has no column {missing[0]!r} of contract {self._contract.name} "
                f"({advice})"
            )
        return [name for name in self._contract.names if name in product.columns]

    def _digest(self, product: Product) -> str:
        columns = self._columns(product)
        return content_of({name: product.columns[name] for name in columns}, product.rowset)
