"""What servers count of a rollout reaches the one that judges once, whatever the ledger answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import StorageError
from tidemill.serving.io.shared_evidence import MOST_OUTPUTS, SharedEvidence
from tidemill.serving.rollout_counts import Arm, Observed, OutputComparison
from tidemill.serving.worker_messages import StepObserved


class Box:
    """A letter box for one message, whose ledger may be away, or not answer."""

    def __init__(self) -> None:
        self.message = ""
        self.is_away = self.loses_answers = False

    def post(self, message: str) -> bool:
        self._ask()
        if self.message:
            return False
        self.message = message
        self._answer()
        return True

    def take(self) -> str:
        self._ask()
        found, self.message = self.message, ""
        return found

    def _ask(self) -> None:
        if self.is_away:
            raise StorageError("the ledger is away")

    def _answer(self) -> None:
        if self.loses_answers:
            raise StorageError("it isn't known if it did")


def step(requests: int, **arm: object) -> StepObserved:
    counted = Arm(requests=requests, latency=(0, requests), **arm)  # type: ignore[arg-type]
    return StepObserved(since=7.5, observed=Observed(candidate=counted))


def test_counts_arrive_as_they_were() -> None:
    box = Box()
    sender, judge = SharedEvidence(box), SharedEvidence(box)
    observed = Observed(
        candidate=Arm(requests=3, errors=1, outside=1, latency=(0, 2), outputs=(1.0, 2, "a", True)),
        control=Arm(requests=1, outputs=(None,)),
        comparison=OutputComparison(pairs=2, changed=1, largest=0.5),
    )
    sender.add("risk", StepObserved(since=7.25, observed=observed))
    sender.send()
    assert judge.receive() == {"risk": StepObserved(since=7.25, observed=observed)}
    assert judge.receive() == {}
    # With nothing to say nothing is sent.
    sender.send()
    assert box.message == ""


def test_a_message_is_bounded_and_another_program_is_not_believed() -> None:
    box = Box()
    sender, judge = SharedEvidence(box), SharedEvidence(box)
    sender.add("risk", step(9999, outputs=(1.0,) * 9999))
    sender.send()
    arm = judge.receive()["risk"].observed.candidate
    assert (arm.requests, len(arm.outputs)) == (9999, MOST_OUTPUTS)
    box.message = '{"server": 1}'
    assert judge.receive() == {}


def test_a_message_is_bounded_however_long_the_ledger_was_away() -> None:
    box = Box()
    sender, judge = SharedEvidence(box), SharedEvidence(box)
    box.is_away = True
    for _ in range(20):
        sender.add("risk", step(300, outputs=(1.0,) * 300))
        sender.send()
    box.is_away = False
    arms = []
    for _ in range(2):
        sender.send()
        arms.append(judge.receive()["risk"].observed.candidate)
    assert sum(arm.requests for arm in arms) == 6_000
    assert max(len(arm.outputs) for arm in arms) == MOST_OUTPUTS


ACTS = st.sampled_from(["one", "other", "send", "judge", "away", "back", "lose answers"])


@given(st.lists(ACTS, max_size=40))
def test_each_request_counts_once(acts: list[str]) -> None:
    box = Box()
    senders, judge = [SharedEvidence(box), SharedEvidence(box)], SharedEvidence(box)
    answered = counted = 0
    for act in [*acts, "back", *["send", "judge"] * 6]:
        if act in ("one", "other"):
            senders[act == "other"].add("risk", step(1))
            answered += 1
        elif act == "send":
            for each in senders:
                each.send()
        elif act == "judge":
            found = judge.receive()
            counted += found["risk"].observed.candidate.requests if found else 0
        else:
            box.is_away = act == "away"
            box.loses_answers = act == "lose answers"
    assert counted == answered
