"""`Frame[Contract]` carries its contract at run time and costs no Polars."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args, get_origin

from tidemill.workflow.annotations import Frame, Predictor


def test_a_frame_carries_its_contract() -> None:
    alias = Frame[int]
    assert get_origin(alias) is Frame
    assert get_args(alias) == (int,)


def test_a_predictor_is_only_a_protocol() -> None:
    assert Predictor.predict(object(), None) is None  # type: ignore[arg-type]


def test_annotations_do_not_import_polars() -> None:
    code = "import tidemill, sys; tidemill.Frame, tidemill.Predictor; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
