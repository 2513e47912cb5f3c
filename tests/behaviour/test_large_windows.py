"""Training on batches: the stage gets its partitions one after the other, and is reused like any other."""

from __future__ import annotations

from pathlib import Path

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.tides import day

BATCHED = MODEL.replace(
    '    assert features.join(labels, on=["day", "id"]).collect().height\n',
    '    joined = tm.batches(features, labels, on=["day", "id"], rows=3)\n'
    "    frames = list(joined)\n"
    "    assert [frame.height for frame in frames] == [3, 3, 2]\n"
    f"    assert [str(d) for f in frames for d in f['day']] == {[day(n // 2) for n in range(8)]!r}\n"
    "    assert len(joined.partitions) == 4\n",
)


def test_a_training_function_reads_its_window_in_batches(tmp_path: Path) -> None:
    sea = Sea(tmp_path, BATCHED)
    for number in range(WINDOW):
        sea.flood(number)
    assert "ok train model" in sea.ok()
    # Reading the partitions inside of the function is no hidden input.
    assert sea.ok() == {}
    sea.edit("rows=3", "rows=5 - 2")
    assert "ok train model" in sea.ok(train=["model"])


def test_trials_of_a_search_read_theirs_in_batches(tmp_path: Path) -> None:
    text = MODEL.replace(
        '    assert features.join(labels, on=["day", "id"]).collect().height\n',
        '    joined = tm.batches(features, labels, on=["day", "id"])\n'
        "    assert len(joined.partitions) == joined.height / 2\n"
        "    assert len(joined.partitions) in (3, 4)\n",
    ).replace(
        "seed=1)", 'seed=1, search=tm.search({"value": tm.uniform(0, 20)}, metric="mae", trials=2))'
    )
    sea = Sea(tmp_path, text)
    for number in range(WINDOW):
        sea.flood(number)
    assert sea.ok()["ok trial model"] == ["trial 0", "trial 1"]
