"""The options of an environment's runs: the sample and the profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ports.ledger import State
from tidemill.workflow.environment import PRODUCTION, Environment, RunProfile
from tidemill.workflow.param_overrides import override_profile
from tidemill.workflow.profile_params import apply_profile
from tidemill.workflow.sample import check_share, sample_workflow
from tidemill.workflow.stage import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """The requested options of an environment; `profiles` are the defined ones, `place` names their file.

    `params` are parameters of models for one run, which aren't kept with the environment.

    Raises UsageError for a profile that doesn't exist, or that has a different sample.
    """

    sample: float | None = None
    profile: str | None = None
    profiles: Mapping[str, RunProfile] = field(default_factory=dict)
    place: str = ""
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sample = None if self.profile is None else self._find_profile(self.profile).sample
        if None not in (sample, self.sample) and sample != self.sample:
            raise UsageError(
                f"the profile {self.profile!r} uses a sample of {sample:g}, not {self.sample:g}: "
                "omit the sample"
            )

    @property
    def _requested_sample(self) -> float | None:
        """The requested sample, given directly or by the profile."""
        sample = None if self.profile is None else self.profiles[self.profile].sample
        return self.sample if sample is None else sample

    def require_allowed_in(self, environment: str) -> None:
        """Raise UsageError if production would run with a sample or a profile."""
        if environment == PRODUCTION and self.params:
            raise UsageError(
                f"{PRODUCTION} never runs with parameters for one run: use --env NAME, such as --env "
                f"dev-{this_user()} --create, or declare them"
            )
        if environment == PRODUCTION and (self.sample is not None or self._changes_results):
            kind = (
                "on a sample"
                if self.profile is None
                else f"with the profile {self.profile!r}, which changes what is computed"
            )
            raise UsageError(
                f"{PRODUCTION} never runs {kind}: use --env NAME, such as --env dev-{this_user()}"
            )

    @property
    def _changes_results(self) -> bool:
        return self.profile is not None and self.profiles[self.profile].changes_results

    def worker_profile(self, environment: Environment) -> RunProfile | None:
        """The profile that says how much of the machine runs of an environment use; None for the settings.

        It is the requested one, else that of the environment.
        """
        return self.profiles.get(self.profile or environment.profile)

    def expiry_of(self, environment: Environment, now: float) -> float | None:
        """When an environment that is created now expires, by its profile; None if it doesn't."""
        profile = self.profiles.get(environment.profile)
        return None if profile is None or profile.lifetime is None else now + profile.lifetime

    def new_environment(self, base: Environment) -> Environment:
        """A new environment with these options, and with those of `base` where they aren't set."""
        return replace(
            base,
            sample=base.sample
            if self._requested_sample is None
            else check_share(self._requested_sample),
            profile=base.profile if self.profile is None else self.profile,
        )

    def resolve_environment(self, state: State) -> Environment:
        """The environment of a state, created or not yet; UsageError if its options differ."""
        found = state.environments.get(state.environment)
        if found is None:
            return self.new_environment(Environment(name=state.environment))
        # How much of the machine is used may differ from run to run.
        if self.profile not in (None, found.profile) and self._changes_results:
            own = f"with the profile {found.profile!r}" if found.profile else "without a profile"
            other = f"{found.name}-{self.profile} --profile {self.profile}"
        elif self._requested_sample not in (None, found.sample):
            own = "on all rows" if found.sample == 1.0 else f"on a sample of {found.sample:g}"
            option = (
                f"--sample {self._requested_sample:g}"
                if self.profile is None
                else f"--profile {self.profile}"
            )
            other = f"{found.name}-{self._requested_sample:g} {option}"
        else:
            return found
        raise UsageError(
            f"the environment {found.name!r} runs {own}, which was fixed when it was created: "
            f"use another one, such as --env {other}"
        )

    def apply(self, declared: Flow, state: State) -> Flow:
        """The workflow as it runs in the environment of a state."""
        settled = self.resolve_environment(state)
        flow = self.apply_profile(declared, settled)
        if self.params:
            flow = apply_profile(flow, override_profile(self.params))
        return sample_workflow(flow, settled.sample)

    def apply_profile(self, declared: Flow, environment: Environment) -> Flow:
        """The workflow with the parameters of an environment's profile; UsageError if that doesn't exist."""
        name = environment.profile
        if name and name not in self.profiles:
            raise UsageError(
                f"the environment {environment.name!r} uses the profile {name!r}, which isn't in "
                f"{self.place} ({did_you_mean(name, self.profiles)}): restore it, or drop the environment "
                f"with tidemill env drop {environment.name}"
            )
        return apply_profile(declared, self.profiles[name]) if name else declared

    def _find_profile(self, name: str) -> RunProfile:
        if name not in self.profiles:
            advice = did_you_mean(name, self.profiles)
            raise UsageError(f"there is no profile {name!r} in {self.place} ({advice})")
        return self.profiles[name]


def options_text(environment: Environment) -> str:
    """Describe the options of an environment, as a suffix of its name; "" if it has none."""
    share = "" if environment.sample == 1.0 else f", on a sample of {environment.sample:g}"
    return share + (f", with the profile {environment.profile}" if environment.profile else "")
