"""Find the retention settings that count for an environment of a home that workflows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ledger.workflow_scope import split_name
from tidemill.workflow.environment import Environment

_NOT_RECORDED = "how long it keeps data isn't recorded yet"
_NOT_BY_ITSELF = "automatic = false"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRetention:
    """The settings of a workflow; `workflow` is "" for the one that sweeps.

    `obstacle` says why nothing of it may be removed, if that is so.
    """

    settings: RetentionSettings
    workflow: str = ""
    obstacle: str = ""

    def told(self, why: str) -> str:
        """A reason, with the workflow whose settings give it."""
        return f"{why} (workflow {self.workflow})" if self.workflow else why

    def hold(self, stage: str) -> str:
        """Say why nothing of a stage may be removed; "" if something may."""
        if self.obstacle or self.settings.is_held(stage):
            return self.told(self.obstacle or "legal hold")
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRetention:
    """The settings of the workflow that sweeps, and those that others of the home `recorded`.

    What a workflow has goes by its own settings. Nothing goes of one that recorded none, unless another
    continues its environments: then by those of that one. `prefix` is what the names of the environments of
    the workflow that sweeps begin with. A sweep that nobody started (`by_itself`) removes nothing of a
    workflow with `automatic = false`.
    """

    own: RetentionSettings
    prefix: str = ""
    recorded: Mapping[str, RetentionSettings] = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    by_itself: bool = False
    _found: dict[str, tuple[WorkflowRetention, ...]] = field(default_factory=dict, repr=False)

    def of(self, environment: str) -> tuple[WorkflowRetention, ...]:
        """The settings that must all allow to remove something of an environment.

        In one of no workflow, or "" for something of no environment, those of all workflows.
        """
        prefix = split_name(environment)[0]
        if prefix not in self._found:
            self._found[prefix] = (*self._of(prefix),)
        return self._found[prefix]

    def _of(self, prefix: str) -> Iterator[WorkflowRetention]:
        known = [self.prefix, *sorted({*self.recorded} - {self.prefix})]
        if prefix:
            heirs = {split_name(name)[0] for name in self._branches_of(prefix)}
            known = [prefix] if prefix in known else [each for each in known if each in heirs]
        yield from map(self._of_known, known)
        if not known:
            yield WorkflowRetention(
                settings=RetentionSettings(hold=True),
                workflow=prefix.removesuffix("/"),
                obstacle=_NOT_RECORDED,
            )

    def _branches_of(self, prefix: str) -> Iterator[str]:
        for name, each in self.environments.items():
            if each.parent and split_name(each.parent)[0] == prefix:
                yield name

    def _of_known(self, prefix: str) -> WorkflowRetention:
        if prefix == self.prefix:
            return WorkflowRetention(settings=self.own)
        settings = self.recorded[prefix]
        return WorkflowRetention(
            settings=settings,
            workflow=prefix.removesuffix("/"),
            obstacle=_NOT_BY_ITSELF if self.by_itself and not settings.automatic else "",
        )

    @property
    def every(self) -> list[WorkflowRetention]:
        """The settings of all workflows of the home."""
        names = [self.prefix, *self.recorded, *self.environments]
        prefixes = dict.fromkeys(split_name(name)[0] for name in names)
        return [each for prefix in prefixes for each in self.of(prefix)]

    @property
    def keeps_all(self) -> bool:
        """Whether a workflow keeps everything, and so also what can't be told to be another's."""
        kept = (each for each in self.every if each.obstacle != _NOT_RECORDED)
        return any(each.obstacle or each.settings.hold for each in kept)

    def longest(self, span: Callable[[RetentionSettings], float | None]) -> float | None:
        """The longest of a span in all settings; None if one keeps for ever, or isn't known."""
        spans = [
            span(each.settings) if each.obstacle != _NOT_RECORDED else None for each in self.every
        ]
        known = [length for length in spans if length is not None]
        return max(known) if len(known) == len(spans) else None

    @property
    def grace(self) -> float:
        """The longest grace time."""
        return max(each.settings.grace for each in self.every)

    @property
    def least_span(self) -> float | None:
        """The shortest time that any workflow keeps results; None if none is ever removed."""
        spans = (each.settings.least_span for each in self.every)
        return min((span for span in spans if span is not None), default=None)

    @property
    def most_last(self) -> int:
        """The largest number of superseded results of a partition that any workflow keeps."""
        return max(each.settings.most_last for each in self.every)
