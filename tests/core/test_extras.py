"""Libraries that are missing: the command that installs them."""

import tomllib
from pathlib import Path

import pytest

from tidemill.core import extras
from tidemill.core.extras import install_command, missing_module


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("lightgbm", "pip install 'tidemill[lightgbm]'"),
        ("lightgbm.sklearn", "pip install 'tidemill[lightgbm]'"),
        ("deltalake", "pip install 'tidemill[delta]'"),
        ("starlette.applications", "pip install 'tidemill[console]'"),
        ("sklearn.linear_model", "pip install 'tidemill[sklearn]'"),
        ("yaml", "pip install pyyaml"),
        ("holidays", "pip install holidays"),
    ],
)
def test_a_module_is_installed_by_its_extra_or_its_package(module: str, command: str) -> None:
    assert install_command(module) == command


def test_every_extra_exists() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert {*extras._EXTRAS.values()} <= {*project["project"]["optional-dependencies"]}


def test_a_message_names_the_missing_module() -> None:
    with pytest.raises(ModuleNotFoundError) as raised:
        __import__("no_such_module.at_all")
    assert missing_module(str(raised.value)) == "no_such_module"
    assert missing_module("it broke") == ""
