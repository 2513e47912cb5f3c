"""What a run did to one stage, added up from the events of the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import field

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE, summarize_keys
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Effect
from tidemill.ledger.run import FAILURES, Attempt, Outcome
from tidemill.lineage.openlineage.contract_checks import BrokenRules

_DONE = (Outcome.OK, Outcome.BOUND)


@dataclass(frozen=True, slots=True)
class PublishedPart:
    """What counts of a published partition."""

    content: str
    rows: int
    bytes: int
    objects: int


@dataclass(slots=True)
class StageTally:
    """The attempts at steps of a stage, and what they published.

    `recipes` are the digests of the recipes that computed it, `inputs` the names of the stages that were
    read. `artifact` is the id of a trained model.
    """

    stage: str
    started: float
    ended: float
    outcomes: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    failure: Attempt | None = None
    skipped: str = ""
    rows_in: int = 0
    bytes_in: int = 0
    published: dict[str, PublishedPart] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    recipes: set[str] = field(default_factory=set)
    inputs: dict[str, None] = field(default_factory=dict)
    effects: dict[tuple[str, str, str, str], Effect] = field(default_factory=dict)
    delivered: int = 0
    broken: BrokenRules = field(default_factory=BrokenRules)
    artifact: str = ""

    def add_attempt(self, attempt: Attempt, at: float) -> None:
        self.ended = max(self.ended, at)
        self.outcomes[str(attempt.outcome)] += 1
        self.keys.add(attempt.partition)
        if attempt.outcome in _DONE:
            self.rows_in += attempt.rows_in
            self.bytes_in += attempt.bytes_in
        elif attempt.outcome in FAILURES:
            self.failure = self.failure or attempt
            self.broken.add(attempt.findings)
            self.broken.refused |= bool(attempt.findings)
        elif attempt.outcome is Outcome.SKIPPED:
            self.skipped = self.skipped or attempt.message

    def add_binding(self, partition: str, binding: Binding) -> None:
        product = binding.product
        self.published[partition] = PublishedPart(
            product.content, product.rows, product.bytes, len(product.objects)
        )
        self.recipes.add(binding.recipe)
        self.inputs.update(dict.fromkeys(binding.inputs))
        if binding.model:
            self.inputs[binding.model] = None
        if product.artifact is not None:
            self.artifact = product.artifact.id
        self.broken.add(binding.findings)

    def add_effect(self, effect: Effect) -> None:
        self.effects[effect.place] = effect
        self.delivered += effect.action == "write"

    @property
    def failures(self) -> int:
        return sum(self.outcomes[str(outcome)] for outcome in FAILURES)

    @property
    def skips(self) -> int:
        return self.outcomes[str(Outcome.SKIPPED)]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.published.values())

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.published.values())

    @property
    def objects(self) -> int:
        return sum(part.objects for part in self.published.values())

    @property
    def version(self) -> str:
        """What identifies what was published: of a model its id, of rows a digest of their values."""
        if self.artifact or not self.published:
            return self.artifact
        contents = sorted((key, part.content) for key, part in self.published.items())
        if len(contents) == 1:
            return contents[0][1]
        return fingerprint("published version", [[key, content] for key, content in contents])

    @property
    def partitions(self) -> list[str]:
        """The partitions with a name of their own, in order."""
        return sorted(self.keys - {WHOLE, UNPLACED, ""})

    def parameters(self) -> Iterable[tuple[str, str]]:
        """The partitions, how steps ended, and how many partitions were removed, as texts."""
        named = self.partitions
        yield "partitions", summarize_keys(named) if named else ""
        steps = [f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items())]
        yield "steps", ", ".join(steps)
        yield "removed partitions", str(len(self.removed)) if self.removed else ""
