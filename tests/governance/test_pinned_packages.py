"""Which packages a project pins, from the files that projects have."""

from __future__ import annotations

import pytest

from tidemill.governance.pinned_packages import pinned_packages


@pytest.mark.parametrize(
    ("name", "text", "pinned"),
    [
        ("requirements.txt", "polars==1.2\nnumpy>=2\n# lightgbm==4\n", {"polars"}),
        ("requirements-a.txt", "scikit_learn[a]===1.5 ; x", {"scikit_learn"}),
        ("requirements/dev.txt", "torch==2.*\nx == 1.0 \\\n  --hash=sha256:00", {"x"}),
        ("uv.lock", '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "own"\n', {"a"}),
        ("poetry.lock", '[[package]]\nname = "b"\nversion = "1"\n', {"b"}),
        ("pylock.toml", '[[packages]]\nname = "c"\nversion = "1"\n', {"c"}),
        ("Pipfile.lock", '{"default": {"d": {"version": "==1"}}, "develop": {}}', {"d"}),
        (
            "pyproject.toml",
            '[project]\ndependencies = ["e==1", "f>2"]\noptional-dependencies = {x = ["g==2"]}\n'
            '[dependency-groups]\ndev = ["h==3", {include-group = "x"}]',
            {"e", "g", "h"},
        ),
        # Files that can't be read pin nothing.
        ("uv.lock", "[[package", set()),
        ("poetry.lock", 'package = "none"', set()),
        ("Pipfile.lock", "[]", set()),
        ("pyproject.toml", "project = 3", set()),
        # What is described there is the project itself.
        ("pyproject.toml", "[project]\nname = 'own'\ndependencies = ['a', 'b==1']", {"own", "b"}),
        ("requirements.txt", "", set()),
    ],
)  # fmt: skip
def test_files_pin_packages(name: str, text: str, pinned: set[str]) -> None:
    assert pinned_packages({name: text}) == pinned


def test_files_add_up() -> None:
    assert pinned_packages({"requirements.txt": "a==1", "requirements/x.txt": "b==1"}) == {"a", "b"}
