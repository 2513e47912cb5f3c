"""The state that the services of an open project share: settings, workflow, adapters, recipes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tidemill.core.errors import (
    AccessError,
    ConflictError,
    DeclarationError,
    Fault,
    StorageError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from tidemill.core.partition import summarize_keys
from tidemill.core.redaction import Redactor
from tidemill.costs.budget import budget_faults, limit_faults
from tidemill.environments.io.environment_options import EnvironmentOptions
from tidemill.environments.io.environments import load_state, preview_state
from tidemill.governance.permissions import Actor, Permission, find_refusal
from tidemill.governance.roles import Grants
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.binding import Binding
from tidemill.ledger.governance_events import Acted
from tidemill.ledger.price import Price
from tidemill.models.library_faults import library_faults
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.project.composition import (
    compile_rules,
    open_tools,
    probe,
    probe_before_scan,
    this_platform,
)
from tidemill.project.identity import current_actor, has_token
from tidemill.project.masked_output import masked_output
from tidemill.project.model_formats import own_format_codes
from tidemill.project.model_probe import is_installed
from tidemill.project.settings import Settings, configured_secrets
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.reuse.format_code import link_formats
from tidemill.reuse.io.evidence import StageEvidence, gather_evidence, list_faults
from tidemill.reuse.recipe import Recipe, recipe_of
from tidemill.reuse.trial_key import link_scoring
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.model_gates import Golden
from tidemill.workflow.param_overrides import checked_overrides, parse_overrides
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import UNDECLARED, Flow, Kind, Stage, undeclared_stage
from tidemill.workflow.workflow import Workflow

if TYPE_CHECKING:
    from tidemill.governance.policy import RuleSet
    from tidemill.lineage.io.origins import ProvenanceFacts

T = TypeVar("T")
# The file of policy rules, beside the settings. A project without it loads nothing of them.
RULES_FILE = "tidemill.rules.toml"


class Workspace:
    """One workflow in one environment. Adapters open, and recipes are computed, at first use.

    `params` are parameters of models for this run, by model and name, or as texts `model.name=value`.
    `secrets` are masked in text; by default the values of the variables that the settings name.

    Raises DeclarationError when the workflow has faults, UsageError when production is opened on a
    sample or with a profile, or a secret is too short to be masked.
    """

    def __init__(
        self,
        settings: Settings,
        workflow: Workflow | Flow,
        environment: str,
        sample: float | None = None,
        profile: str | None = None,
        secrets: Iterable[str] | None = None,
        params: Mapping[str, Mapping[str, Any]] | Sequence[str] = (),
    ) -> None:
        self.secrets = configured_secrets(settings) if secrets is None else frozenset(secrets)
        self.declared: Flow = workflow if isinstance(workflow, Flow) else seal(workflow)
        given = params if isinstance(params, Mapping) else parse_overrides(self.declared, params)
        self.options = EnvironmentOptions(
            params=checked_overrides(self.declared, given),
            sample=sample,
            profile=profile,
            profiles=settings.profiles,
            place=settings.profiles_place,
        )
        self.options.require_allowed_in(environment)
        self._token: str | None = None
        # Set it before stages are probed, if sources are scanned afterwards.
        self.will_scan = False
        self.settings = settings
        self.environment = environment
        self._flow: Flow | None = self.declared if environment == PRODUCTION else None

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.settings.root

    @property
    def home(self) -> Path:
        """The folder that holds the ledger and the stored objects, or what this machine keeps of them."""
        return self.root / self.settings.home

    @property
    def has_home(self) -> bool:
        """Whether anything may have been recorded: nothing has if there is no home yet."""
        return bool(self.settings.home_url) or self.home.exists()

    @cached_property
    def tools(self) -> Runtime:
        """The adapters. A new home gets a .gitignore that excludes all of it."""
        return self.open_tools()

    def open_tools(self, *, when_used: bool = False) -> Runtime:
        """Open the adapters; with `when_used` the server of a ledger is asked only by the first use."""
        trusts = self.trusts if self.environment in self.settings.trusted else None
        return open_tools(
            self.settings, self.declared, self.redactor, trusts=trusts, when_used=when_used
        )

    @cached_property
    def redactor(self) -> Redactor:
        """Removes secrets from text: those of the settings, and of the sources that were opened."""
        return Redactor(self.secrets)

    @property
    def has_rules(self) -> bool:
        """Whether the project has a file of policy rules; a link to one that is gone counts."""
        path = self.rules_path
        return path.exists() or path.is_symlink()

    @property
    def rules_path(self) -> Path:
        """The file of policy rules, which may not exist."""
        return self.root / RULES_FILE

    @cached_property
    def rules(self) -> RuleSet:
        """The policy rules of the project; DeclarationError lists all faults of their file."""
        found: RuleSet = import_module("tidemill.governance.io.rules").load_rules(self.rules_path)
        return found

    @property
    def flow(self) -> Flow:
        """The stages as this environment runs them: with its sample, and its profile's parameters."""
        if self._flow is None:
            self.preview_state()
        assert self._flow is not None
        return self._flow

    @cached_property
    def evidence(self) -> StageEvidence:
        """The analysis of each stage's query and code; only changed stages are probed."""
        learn = self.tools.external_sources.learn_secrets
        prober = probe_before_scan if self.will_scan else probe
        with masked_output(self.redactor):
            return gather_evidence(
                self.flow, self.tools.probes, this_platform(), prober, compile_rules, learn
            )

    @cached_property
    def recipes(self) -> Mapping[str, Recipe]:
        """What each stage computes, as digests."""
        return self._recipes_of(self.flow)

    @property
    def declared_recipes(self) -> Mapping[str, Recipe]:
        """What each stage computes as it is declared, whatever this environment samples or overrides."""
        return self.recipes if self.flow is self.declared else self._recipes_of(self.declared)

    def _recipes_of(self, flow: Flow) -> Mapping[str, Recipe]:
        here, known = this_platform(), self.evidence.evidence
        own = {stage.name: recipe_of(stage, known[stage.name], here) for stage in flow.stages}
        own = link_formats(flow, own, own_format_codes(self.tools.formats))
        return link_scoring(flow, own)

    @cached_property
    def actor(self) -> Actor:
        """Who acts: the holder of the token in TIDEMILL_TOKEN, who is logged in, or this process's user.

        AccessError for a token or a login that doesn't count.
        """
        return self.find_actor()

    def find_actor(self) -> Actor:
        """Who acts now, as `actor` was found at its first use: tokens are revoked, and people log out."""
        oidc, token = self.settings.oidc, self._token
        if oidc is not None and not has_token(token):
            login = self._find_login()
            if login is not None:
                return login
            if oidc.required:
                raise AccessError(
                    f"nobody is logged in: run `tidemill login`, which asks {oidc.issuer}"
                )
        return current_actor(lambda: self.tools, token)

    @cached_property
    def _find_login(self) -> Callable[[], Actor | None]:
        # Only projects with a provider need an HTTP client.
        logins = import_module("tidemill.project.logins").open_logins(self)
        found: Callable[[], Actor | None] = logins.actor
        return found

    def use_token(self, text: str) -> None:
        """Act as the holder of a token, in place of that in TIDEMILL_TOKEN; before anything is opened."""
        self.secrets, self._token = self.secrets | {text}, text

    def trusts(self, person: str, environment: str = "") -> bool:
        """Whether results that a person computed count in the workspace's environment, or in another."""
        names = self.settings.trusted.get(environment or self.environment)
        grants = self.settings.grants
        return names is None or any(grants.includes(name, person) for name in names)

    def may(self, permission: Permission) -> bool:
        """Whether who acts may do something."""
        return self.refusal(permission) is None

    def require(self, permission: Permission) -> Actor:
        """Return who acts, or raise AccessError with who may if this actor may not."""
        refusal = self.refusal(permission)
        if refusal is not None:
            raise AccessError(refusal)
        return self.actor

    def refusal(self, permission: Permission) -> str | None:
        """Why who acts may not do something; None if they may."""
        return find_refusal(permission, self.actor, self.declared.name, self.grants)

    def require_to_publish(self, permission: Permission) -> Actor:
        """As `require`; AccessError also if the results of who acts don't count in the environment."""
        refusal = self.publishing_refusal(permission)
        if refusal is not None:
            raise AccessError(refusal)
        return self.actor

    def publishing_refusal(self, permission: Permission) -> str | None:
        """Why who acts may not publish: by role, or because their results don't count; None if they may."""
        refusal, person = self.refusal(permission), self.actor.name
        if refusal is not None or self.trusts(person):
            return refusal
        names = ", ".join(self.settings.trusted[self.environment])
        return (
            f"{person} may not {permission} in {self.environment}, where only results of {names} count: "
            f"{self.settings.file}: [tool.tidemill.trusted]; work in another environment, such as "
            f"`tidemill run --env dev-{person} --create`"
        )

    def record_action(self, permission: Permission, subject: str, detail: str = "") -> None:
        """Record that who acts does something of which no other event tells; raise as `require` does."""
        event = self.action_event(permission, subject, detail)
        self.tools.ledger.append([event], now=self.tools.clock())

    def note_action(self, permission: Permission, subject: str, detail: str = "") -> None:
        """Record an action as far as the ledger can be written; raise as `require` does.

        A damaged ledger is exported and rebuilt all the same.
        """
        with suppress(StorageError):
            self.record_action(permission, subject, detail)

    def action_event(self, permission: Permission, subject: str, detail: str = "") -> Acted:
        """The event of an action, for the transaction in which it is done; raises as `require` does."""
        return Acted(
            environment=self.environment,
            action=str(permission),
            subject=subject,
            actor=self.require(permission).name,
            detail=detail,
        )

    @property
    def grants(self) -> Grants:
        """The roles of the settings, with who acts in the groups that the identity provider stated."""
        return self.settings.grants.with_member(self.actor.name, self.actor.groups)

    def acting_as(self, actor: Actor, token: str = "") -> Workspace:
        """The same workspace for another actor, as servers use it whose callers are authenticated.

        Processes that are started for the actor get the `token`.
        """
        other = copy(self)
        other.__dict__["actor"] = actor
        other._token = token or None
        return other

    def process_environment(self) -> dict[str, str]:
        """The environment variables of a process that acts as this workspace does; they hold its token."""
        return {**os.environ, **({TOKEN_VARIABLE: self._token} if self._token else {})}

    def refuse_faults(self, stages: Collection[str], others: Iterable[Fault] = ()) -> None:
        """Raise DeclarationError with the faults of some stages and the `others`, if there are any.

        They are found without data, so that nothing runs of what `check` refuses.
        """
        some = [stage for stage in self.flow.stages if stage.name in stages]
        code = [fault for stage in some for fault in self.recipes[stage.name].faults]
        faults = [*list_faults(self.evidence, some, code), *self._search_faults(some)]
        faults += [
            *self._rule_faults(),
            *self._review_faults(),
            *self._golden_faults(some),
            *self._budget_faults(),
            *others,
        ]
        if faults:
            raise DeclarationError(f"workflow {self.flow.name!r}", faults)

    def _review_faults(self) -> Iterator[Fault]:
        if any(s.approval is not None and s.approval.review for s in self.flow.stages):
            faults: Iterator[Fault] = import_module(
                "tidemill.governance.review_term_faults"
            ).review_term_faults(self.flow, self.settings.grants.groups)
            yield from faults

    def _rule_faults(self) -> Iterable[Fault]:
        """The faults of the file of policy rules."""
        if not self.has_rules:
            return ()
        try:
            rules = self.rules.rules
        except DeclarationError as error:
            return error.faults
        faults: Iterable[Fault] = import_module("tidemill.governance.rules_file").approver_faults(
            rules, self.settings.grants.groups, RULES_FILE
        )
        return faults

    def _budget_faults(self) -> Iterator[Fault]:
        """The faults of budgets, and of that of the profile that is asked for."""
        settings = self.settings
        yield from budget_faults(settings.budget, self.price, f"{settings.file}: [tool.tidemill")
        if self.options.profile is not None:
            profile = settings.profiles[self.options.profile]
            yield from limit_faults(profile.budget, self.price, profile.place, "budget")

    def _search_faults(self, stages: Iterable[Stage]) -> Iterator[Fault]:
        for stage in stages:
            search = stage.training.search if stage.training is not None else None
            if search is None:
                continue
            if obstacle := self.tools.sampler.find_obstacle():
                yield Fault(message=f"model {stage.name!r}: {obstacle}", where=stage.place)
            if search.cost is not None and not self.price.cpu_hour:
                yield Fault(
                    message=f"model {stage.name!r}: cost={search.cost:g} limits nothing without a price",
                    where=search.place,
                    hint="set one: [tool.tidemill] cpu_hour = 0.05",
                )

    def _golden_faults(self, stages: Iterable[Stage]) -> Iterator[Fault]:
        for stage in stages:
            gates = stage.approval.gates if stage.approval is not None else ()
            if any(isinstance(gate, Golden) for gate in gates):
                # Only these rows have to be checked as data is, by Polars.
                module = import_module("tidemill.models.io.golden_file")
                yield from module.golden_faults(stage, self.root)

    def missing_libraries(self, stages: Collection[str]) -> list[Fault]:
        """Faults for libraries that trainings of some stages need and that aren't installed."""
        formats = [(form.name, form.modules) for form in self.tools.formats]
        return [
            fault
            for stage in self.flow.stages
            if stage.name in stages and (code := self.recipes[stage.name].code) is not None
            for fault in library_faults(stage, code.modules, formats, is_installed)
        ]

    @property
    def price(self) -> Price:
        """The prices in the settings that count now."""
        return self.settings.price_book.at(self.tools.clock())

    def stage(self, name: str) -> Stage:
        """The stage of that name; UsageError suggests the nearest one."""
        if name not in self.flow.names:
            advice = did_you_mean(name, self.flow.names)
            if name in self.undeclared(self.preview_state()):
                advice = (
                    f"it is {UNDECLARED}: `tidemill env forget {name}` removes what it published"
                )
            raise UnknownNameError(f"there is no stage {name!r} ({advice})")
        return self.flow[name]

    def known_stage(self, name: str, state: State | None = None) -> Stage:
        """The stage of that name, also if it is published but no longer declared; else UsageError.

        Who asks for many stages passes the `state` in which they are published.
        """
        if name in self.flow.names:
            return self.flow[name]
        state = state or self.state()
        head = state.heads.get(name)
        if head is None or not head.partitions:
            return self.stage(name)
        partitions = head.partitions
        product = partitions[next(iter(partitions))].product
        if product.artifact is not None:
            kind = Kind.MODEL
        elif product.scores is not None:
            kind = Kind.EVALUATE
        else:
            kind = Kind.INGEST if name in state.sources else Kind.TRANSFORM
        return undeclared_stage(name, kind)

    def undeclared(self, state: State) -> list[str]:
        """The stages that have published partitions, but aren't in the workflow any more."""
        gone = sorted(set(state.heads) - {stage.name for stage in self.declared.stages})
        return [name for name in gone if state.heads[name].partitions]

    def state(self, *, whole: bool = False) -> State:
        """The published state of the environment; UsageError when the environment doesn't exist.

        With `whole` all of it is read at once, so that no run can change it meanwhile. AccessError if the
        actor may not read.
        """
        self.require(Permission.READ)
        return load_state(self.tools.ledger, self.environment, whole=whole)

    def preview_state(self, *, whole: bool = False) -> State:
        """The state that a run would start from: a new environment starts as a branch of production."""
        self.require(Permission.READ)
        state = preview_state(self.tools.ledger, self.environment, whole=whole)
        if self._flow is None:
            self._flow = self.options.apply(self.declared, state)
        return state

    def read_state(self, use: Callable[[State], T]) -> T:
        """Call `use` with the state; again with all of it read at once when a run published meanwhile."""
        try:
            return use(self.state())
        except ConflictError:
            return use(self.state(whole=True))

    def has_budgets(self, state: State) -> bool:
        """Whether a budget limits this environment, whose state may be a preview."""
        profile = self.settings.profiles.get(self.options.resolve_environment(state).profile)
        own = profile is not None and profile.budget is not None
        return own or self.settings.budget.is_declared

    def bindings(self, stage: str) -> Mapping[str, Binding]:
        """The published bindings of a stage by partition."""
        head = self.state().heads.get(stage)
        return head.partitions if head else {}

    def published(self, stage: str, partition: str = "") -> Mapping[str, Binding]:
        """A published partition of a stage, or all of them; UsageError when there is none."""
        known = self.bindings(stage)
        found = {key: known[key] for key in sorted(known) if key == (partition or key)}
        if not found:
            there = summarize_keys(known) or f"nothing published yet; run `tidemill run {stage}`"
            raise UsageError(f"{stage} has no {partition or 'partition'}: there is {there}")
        return found

    def facts(self, state: State | None = None) -> ProvenanceFacts:
        """What explanations need: the stages, their recipes, a state (default: all of it), and the ledger."""
        state = state or self.state(whole=True)
        from tidemill.lineage.io.origins import ProvenanceFacts

        return ProvenanceFacts(
            flow=self.flow, recipes=self.recipes, state=state, ledger=self.tools.ledger
        )

    @property
    def needs_checkpoint(self) -> bool:
        """Whether events were appended, and checkpoints are made by themselves."""
        if not self.settings.audit.is_on or "tools" not in self.__dict__:
            return False
        ledger = self.tools.ledger
        return isinstance(ledger, WorkflowLedger) and ledger.has_appended

    def close(self) -> None:
        """Close files and connections."""
        if "tools" in self.__dict__:
            self.tools.external_sources.close()
            self.tools.ledger.close()
