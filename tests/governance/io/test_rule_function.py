"""Functions of rules run in a process of their own; whatever goes wrong is an error."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.support.process_groups import living
from tests.support.waiting import until
from tidemill.governance.io.rule_function import RuleProcess
from tidemill.governance.policy import RuleFunctionError

MODULE = """
import os, sys, time

def texts(facts):
    print("noise")
    os.write(1, b"more noise")
    return repr(sorted(facts.items()))

def applies(facts): return True
def raises(facts): return facts["cost"] > 1
def hangs(facts): time.sleep(60)
def dies(facts): os._exit(3)
def says(facts): print("the end", file=sys.stderr); os._exit(3)
def forgets(facts): pass
def huge(facts): return b"x" * 1000
def leaves(facts): sys.exit(2)
def crashes(facts): import ctypes; ctypes.string_at(0)
def binary(facts): os.write(2, b"\\xff\\xfe"); os._exit(3)
def much(facts): return "x" * 10_000_000
def counts(facts): import numpy; return numpy.True_
def noisy(facts):
    while True: print("x" * 100_000)
def forked(facts): import subprocess; subprocess.Popen(["sleep", "300"]); return str(os.getpid())
def acts(facts): return os.environ.get("TIDEMILL_TOKEN", "nobody")
"""


def call(folder: Path, name: str, limit: float = 30.0) -> bool | str:
    (folder / "own.py").write_text(MODULE)
    return RuleProcess(f"own:{name}", folder, limit=limit)({"owner": "ana", "slices": ("a", "b")})


def test_a_function_gets_the_facts(tmp_path: Path) -> None:
    assert call(tmp_path, "texts") == "[('owner', 'ana'), ('slices', ('a', 'b'))]"
    assert call(tmp_path, "applies") is True


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "own:raises raised KeyError: 'cost'"),
        ("dies", "the process of own:dies ended: exit code 3"),
        ("says", "the process of own:says ended: the end"),
        ("forgets", "own:forgets returned None, not True, False or a message"),
        ("huge", "own:huge returned b'xxxxx"),
        ("leaves", "the process of own:leaves ended: exit code 2"),
        ("crashes", "the process of own:crashes ended: exit code -11"),
        ("binary", "the process of own:binary ended: \ufffd\ufffd"),
        ("much", "the process of own:much ended: exit code 0"),
        ("counts", "own:counts returned np.True_, not True, False or a message"),
    ],
)
def test_what_goes_wrong_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(RuleFunctionError) as caught:
        call(tmp_path, name)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_function_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(RuleFunctionError, match=r"own:hangs didn't answer within 0\.5 s"):
        call(tmp_path, "hangs", limit=0.5)


def test_a_function_that_prints_without_end_fills_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RuleFunctionError, match="own:noisy didn't answer"):
        call(tmp_path, "noisy", limit=1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_children_of_a_function_end_with_it(tmp_path: Path) -> None:
    group = int(call(tmp_path, "forked"))
    # Killed, and then reaped by init.
    until(lambda: not living(group))


def test_a_function_acts_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TOKEN", "tm_secret")
    assert call(tmp_path, "acts") == "nobody"
