"""The effect that a delivery queues."""

from __future__ import annotations

import itertools

import pytest

from tests.support.planning import deliver, ingest, model, reads
from tidemill.delivery.effects import effect_of
from tidemill.workflow.environment import PRODUCTION

RAW = ingest("raw")
OUT = deliver("out", model("guess", reads(RAW)), RAW)


@pytest.mark.parametrize(
    ("environment", "name", "action", "target"),
    [
        (PRODUCTION, "object", "write", "out"),
        # Without an object the partition is removed.
        (PRODUCTION, "", "remove", "out"),
        # Other environments deliver beside the folder of production.
        ("dev", "object", "write", "out@dev"),
        ("dev", "", "remove", "out@dev"),
    ],
)
def test_what_an_effect_does(environment: str, name: str, action: str, target: str) -> None:
    effect = effect_of(OUT, "2013-03-01", environment, "run", name)
    assert (effect.stage, effect.partition, effect.object) == ("out", "2013-03-01", name)
    assert (effect.action, effect.target, effect.format) == (action, target, "parquet")


def test_every_delivery_has_its_own_key() -> None:
    choices = (
        ["2013-03-01", "2013-03-02"],
        [PRODUCTION, "dev"],
        ["run 1", "run 2"],
        ["a", "b", ""],
    )
    effects = [effect_of(OUT, *choice) for choice in itertools.product(*choices)]
    assert len({effect.key for effect in effects}) == len(effects) == 24
    assert effects == [effect_of(OUT, *choice) for choice in itertools.product(*choices)]
