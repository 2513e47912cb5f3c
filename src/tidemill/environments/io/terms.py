"""On what terms the runs of an environment work: on which sample, and with which profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ports.ledger import State
from tidemill.workflow.environment import PRODUCTION, Environment, RunProfile
from tidemill.workflow.profile_params import tuned
from tidemill.workflow.sample import sampled, share_of
from tidemill.workflow.stage import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked of an environment; `profiles` are those that there are, `place` is where they are said.

    UsageError for a profile that doesn't exist, or that works on another sample than is asked for.
    """

    sample: float | None = None
    profile: str | None = None
    profiles: Mapping[str, RunProfile] = field(default_factory=dict)
    place: str = ""

    def __post_init__(self) -> None:
        said = None if self.profile is None else self._named(self.profile).sample
        if None not in (said, self.sample) and said != self.sample:
            raise UsageError(
                f"the profile {self.profile!r} works on a sample of {said:g}, not of {self.sample:g}: "
                "leave the sample out"
            )

    @property
    def _share(self) -> float | None:
        """The sample that is asked for, by itself or with the profile."""
        said = None if self.profile is None else self.profiles[self.profile].sample
        return self.sample if said is None else said

    def refuse_in(self, environment: str) -> None:
        """UsageError when production is to run otherwise than the workflow says."""
        if environment == PRODUCTION and (self.sample, self.profile) != (None, None):
            kind = "on a sample" if self.profile is None else "with a profile"
            raise UsageError(
                f"{PRODUCTION} never runs {kind}: say --env NAME, such as --env dev-{this_user()}"
            )

    def begun(self, given: Environment) -> Environment:
        """A new environment on these terms, and where they say nothing, on those that it was given."""
        return replace(
            given,
            sample=given.sample if self._share is None else share_of(self._share),
            profile=given.profile if self.profile is None else self.profile,
        )

    def settled(self, state: State) -> Environment:
        """The environment of a state as it began, or as it will; UsageError if it is on other terms."""
        found = state.environments.get(state.environment)
        if found is None:
            return self.begun(Environment(name=state.environment))
        if self.profile not in (None, found.profile):
            own = f"with the profile {found.profile!r}" if found.profile else "without a profile"
            other = f"{found.name}-{self.profile} --profile {self.profile}"
        elif self._share not in (None, found.sample):
            own = "on all rows" if found.sample == 1.0 else f"on a sample of {found.sample:g}"
            said = (
                f"--sample {self._share:g}" if self.profile is None else f"--profile {self.profile}"
            )
            other = f"{found.name}-{self._share:g} {said}"
        else:
            return found
        raise UsageError(
            f"the environment {found.name!r} works {own}, which was settled when it began: "
            f"take another one, such as --env {other}"
        )

    def flow(self, declared: Flow, state: State) -> Flow:
        """A workflow as it is run in the environment of a state."""
        settled = self.settled(state)
        return sampled(self.tuned(declared, settled), settled.sample)

    def tuned(self, declared: Flow, environment: Environment) -> Flow:
        """A workflow with the parameters of an environment's profile; UsageError if there is none such."""
        name = environment.profile
        if name and name not in self.profiles:
            raise UsageError(
                f"the environment {environment.name!r} works with the profile {name!r}, which isn't in "
                f"{self.place} ({did_you_mean(name, self.profiles)}): put it back, or drop the environment "
                f"with tidemill env drop {environment.name}"
            )
        return tuned(declared, self.profiles[name]) if name else declared

    def _named(self, name: str) -> RunProfile:
        if name not in self.profiles:
            advice = did_you_mean(name, self.profiles)
            raise UsageError(f"there is no profile {name!r} in {self.place} ({advice})")
        return self.profiles[name]


def told(environment: Environment) -> str:
    """On what an environment works, in words that follow its name; nothing if on all as it is declared."""
    share = "" if environment.sample == 1.0 else f", on a sample of {environment.sample:g}"
    return share + (f", with the profile {environment.profile}" if environment.profile else "")
