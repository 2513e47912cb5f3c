"""The folder of a model as MLflow keeps it: its file, and the file `MLmodel` that says how to load it."""

from __future__ import annotations

from tidemill.workflow.model import Artifact


def model_file(artifact: Artifact) -> str:
    """The name of a model's file in its folder."""
    return f"model.{artifact.object.partition('.')[2]}"


def describe_flavor(artifact: Artifact) -> str:
    """The text of `MLmodel`, with which MLflow loads a model that predicts the same there; "" if it can't.

    That is a booster of LightGBM that gets numbers as they are in the table: an encoder is none of MLflow's.
    """
    is_plain = all(each.kind == "number" for each in artifact.encodings)
    if artifact.format != "lightgbm" or not is_plain:
        return ""
    name = model_file(artifact)
    version = artifact.packages.get("lightgbm", "")
    return (
        "flavors:\n"
        "  lightgbm:\n"
        f"    data: {name}\n"
        f"    lgb_version: {version or 'unknown'}\n"
        "    model_class: lightgbm.basic.Booster\n"
        "  python_function:\n"
        f"    data: {name}\n"
        "    loader_module: mlflow.lightgbm\n"
    )
