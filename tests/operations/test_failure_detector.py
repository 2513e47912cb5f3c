"""The detector of too many failures."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tidemill.contracts.profiles.e_detector import Detector
from tidemill.operations.failure_detector import RUN_LENGTH, FailureDetector


def test_some_failures_in_a_row_are_an_alarm_and_one_is_none() -> None:
    detector = FailureDetector(allowed=0.01)
    for at in range(50):
        detector.add(at, good=1, bad=0)
    detector.add(50, good=0, bad=1)
    assert detector.level < 1
    for at in range(51, 54):
        detector.add(at, good=0, bad=1)
    assert detector.level >= 1
    assert detector.since == 50


def test_it_ends_after_successes() -> None:
    detector = FailureDetector(allowed=0.01)
    for at in range(20):
        detector.add(at, good=0, bad=1)
    assert detector.level == pytest.approx(1.25)
    for at in range(20, 40):
        detector.add(at, good=1, bad=0)
    assert detector.level < 1
    for at in range(40, 5000):
        detector.add(at, good=1, bad=0)
    assert detector.since is None


@pytest.mark.untraced
@pytest.mark.parametrize("allowed", [0.01, 0.05, 0.2, 0.95])
def test_false_alarms_are_as_rare_as_promised(allowed: float) -> None:
    generator = random.Random(3)
    alarms, count = 0, 20_000
    detector = FailureDetector(allowed=allowed)
    for at in range(count):
        bad = generator.random() < allowed
        detector.add(at, good=not bad, bad=bad)
        if detector.level >= 1:
            alarms += 1
            detector = FailureDetector(allowed=allowed)
    assert alarms <= 2 * count / RUN_LENGTH


def test_it_sums_as_the_detector_of_drift_does() -> None:
    generator = random.Random(5)
    ours, theirs = FailureDetector(allowed=0.05), Detector.even(RUN_LENGTH, 4)
    sums = theirs.start()
    shares = np.array([min(0.05 + (f - 1) * 0.05, 0.905) for f in (2, 5, 10, 50)])
    for at in range(200):
        bad = generator.random() < 0.1
        ours.add(at, good=not bad, bad=bad)
        ratio = shares / 0.05 if bad else (1 - shares) / 0.95
        sums = theirs.add(sums, np.log(ratio))
        if theirs.level(sums) > 1:
            break
        assert ours.level == pytest.approx(theirs.level(sums))
