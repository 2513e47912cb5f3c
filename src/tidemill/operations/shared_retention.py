"""Find the retention settings that count for an environment of a home that workflows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import EnvironmentCreated, Event
from tidemill.ledger.retention_events import RetentionDeclared
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ledger.workflow_scope import split_name
from tidemill.workflow.environment import Environment

# The kinds of events that tell whose settings count.
SETTLING = (RetentionDeclared.__name__, EnvironmentCreated.__name__)
_NOT_RECORDED = "how long it keeps data isn't recorded yet"
_NOT_BY_ITSELF = "automatic = false"
_UNKNOWN = RetentionSettings(hold=True, logs=None, memos=None)
_STAYS = "what may be of any workflow stays (objects never recorded, logs, memos, old events)"


@dataclass(slots=True, kw_only=True)
class RecordedSettings:
    """The settings that workflows recorded, by what the names of their environments begin with.

    `heirs` are the workflows that continue the environments of one, such as under its new name, and `former`
    the environments that others continue. What a workflow recorded counts until another one continues it,
    and again if it records something afterwards.
    """

    settings: dict[str, RetentionSettings] = field(default_factory=dict)
    heirs: dict[str, list[str]] = field(default_factory=dict)
    former: dict[str, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take an event of `SETTLING` into account; they must come in order."""
        if isinstance(event, RetentionDeclared):
            self.settings[f"{event.workflow}/"] = event.settings
            return
        assert isinstance(event, EnvironmentCreated)
        self.former.pop(event.environment, None)
        heir, before = split_name(event.environment)[0], split_name(event.parent)[0]
        if event.parent and before != heir:
            self.former[event.environment] = event.parent
            self.heirs.setdefault(before, []).append(heir)
            self.settings.pop(before, None)

    def continued(self, environment: str) -> list[str]:
        """An environment and those that it continues, but for those of workflows that go on."""
        found = [environment]
        while (before := self.former.get(found[-1], "")) and before not in found:
            if split_name(before)[0] in self.settings:
                break
            found.append(before)
        return found


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

    @property
    def keeps_all(self) -> bool:
        """Whether nothing of the workflow may be removed."""
        return bool(self.obstacle) or self.settings.hold

    @property
    def advice(self) -> str:
        """What to do so that something of another workflow may be removed; "" if nothing needs to be done."""
        name = self.workflow
        if name and self.obstacle == _NOT_RECORDED:
            return (
                f"how long the workflow {name} keeps data isn't recorded yet, so nothing of it is removed, "
                f"and {_STAYS}: run `tidemill sweep` in its project once"
            )
        if name and self.settings.hold:
            return (
                f"the workflow {name} has hold = true, so {_STAYS}: a change counts after the next "
                f"`tidemill sweep` in its project; if it has another name now, `tidemill env adopt {name}` "
                "continues it there"
            )
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
    recorded: RecordedSettings = field(default_factory=RecordedSettings)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    by_itself: bool = False
    _found: dict[str, tuple[WorkflowRetention, ...]] = field(default_factory=dict, repr=False)

    def of(self, environment: str) -> tuple[WorkflowRetention, ...]:
        """The settings that must all allow to remove something of an environment.

        In one of no workflow, or "" for something of no environment, those of all workflows.
        """
        prefix = split_name(environment)[0]
        if prefix not in self._found:
            prefixes = [prefix] if prefix else self._prefixes()
            counting = (each for name in prefixes for each in self._counting(name, ()))
            self._found[prefix] = (*map(self._of, dict.fromkeys(counting)),)
        return self._found[prefix]

    def _prefixes(self) -> list[str]:
        """Those of all workflows, first of the one that sweeps."""
        others = {*self.recorded.settings, *(split_name(name)[0] for name in self.environments)}
        return [self.prefix, *sorted(others - {self.prefix, ""})]

    def _counting(self, prefix: str, before: tuple[str, ...]) -> Iterator[str]:
        """The workflows whose settings count for one: itself, or those that continue it."""
        heirs = {*self.recorded.heirs.get(prefix, ())}.difference(before)
        if heirs and prefix != self.prefix and prefix not in self.recorded.settings:
            for heir in sorted(heirs):
                yield from self._counting(heir, (*before, prefix))
        else:
            yield prefix

    def _of(self, prefix: str) -> WorkflowRetention:
        if prefix == self.prefix:
            return WorkflowRetention(settings=self.own)
        settings, obstacle = self.recorded.settings.get(prefix), ""
        if settings is None:
            settings, obstacle = _UNKNOWN, _NOT_RECORDED
        elif self.by_itself and not settings.automatic:
            obstacle = _NOT_BY_ITSELF
        return WorkflowRetention(
            settings=settings, workflow=prefix.removesuffix("/"), obstacle=obstacle
        )

    @property
    def every(self) -> tuple[WorkflowRetention, ...]:
        """The settings of all workflows of the home."""
        return self.of("")

    @property
    def keeps_all(self) -> bool:
        """Whether a workflow keeps everything, and so also what can't be told to be another's."""
        return any(each.keeps_all for each in self.every)

    @property
    def notes(self) -> list[str]:
        """Which other workflows keep everything, and what to do about that."""
        return [each.advice for each in self.every if each.advice]

    def longest(self, span: Callable[[RetentionSettings], float | None]) -> float | None:
        """The longest of a span in all settings; None if one keeps for ever, or isn't known."""
        spans = [span(each.settings) for each in self.every]
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
