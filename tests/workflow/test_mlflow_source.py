"""A model of a registry is named with an alias or a version."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import DeclarationError
from tidemill.workflow.mlflow_source import mlflow_model


def test_names_of_versions() -> None:
    found = mlflow_model("models:/shop.delay@prod")
    assert (found.name, found.alias, found.number) == ("shop.delay", "prod", "")
    found = mlflow_model("models:/my model/12", files="*.lgb")
    assert (found.name, found.alias, found.number) == ("my model", "", "12")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "models:/shop"}, "'models:/shop' names no version"),
        ({"model": "models:/shop/latest"}, "names no version"),
        ({"model": "runs:/1/model"}, "names no version"),
        ({"model": None}, "None names no version"),
        ({"model": "models:/a@b", "files": ""}, "files='' is no pattern"),
        ({"model": "models:/a@b", "server": "http://u:s3cret@a"}, "has a user or a password"),
    ],
)
def test_what_doesnt_fit_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        mlflow_model(**given)
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_server_is_in_no_repr() -> None:
    assert "there" not in repr(mlflow_model("models:/a@b", server="http://there"))
