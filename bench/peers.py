"""Other model servers with the same model, each in a virtual environment of its own under build/peers.

`install` makes those that are missing, with uv if it is there, else with venv and pip.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.common import BENCH, PYTHON
from bench.http_load import Target, free_port, running

FOLDER = BENCH.parent / "build" / "peers"
SCRIPTS = BENCH / "peer_servers"
ROW = [0.0, *((at + 1) / 20 for at in range(19))]
# LightGBM is the one of the model; uvloop 0.22 keeps MLServer from starting.
PACKAGES = {
    "KServe": ("kserve==0.21.0",),
    "MLServer": ("mlserver==1.7.1", "uvloop<0.22"),
    "LitServe": ("litserve==0.2.19",),
    "BentoML": ("bentoml==1.4.40",),
    "MLflow": ("mlflow==3.17.0",),
    "Ray Serve": ("ray[serve]==2.60.0",),
}
LIGHTGBM = "lightgbm==4.7.0"


def _place(name: str) -> Path:
    return FOLDER / name.lower().replace(" ", "-")


def install(names: Iterable[str] = PACKAGES) -> None:
    """Make the environments that are missing; say which can't be made."""
    for name in names:
        packages = PACKAGES[name]
        place = _place(name)
        if (place / "complete").exists():
            continue
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(PYTHON).parent))
        python = str(place / "bin" / "python")
        make = (
            [uv, "venv", "-q", "-p", PYTHON, str(place)]
            if uv
            else [PYTHON, "-m", "venv", str(place)]
        )
        add = [uv, "pip", "install", "-q", "-p", python] if uv else [python, "-m", "pip", "install"]
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"... installing {', '.join(packages)}", file=sys.stderr, flush=True)
        try:
            subprocess.run(make, check=True)
            subprocess.run([*add, *packages, LIGHTGBM], check=True)
            (place / "complete").touch()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} can't be installed: {error}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class _Started:
    """How a peer is started, where it answers, and what it is asked."""

    command: list[str | Path]
    path: str
    body: Any
    ready: str
    variables: Mapping[str, str]


def _kserve(python: Path, model: Path, folder: Path, port: int) -> _Started:
    command: list[str | Path] = [python, SCRIPTS / "kserve_server.py", model, str(port)]
    return _Started(
        command, "/v1/models/demand:predict", {"instances": [ROW]}, "/v1/models/demand", {}
    )


def _mlserver(python: Path, model: Path, folder: Path, port: int) -> _Started:
    settings = {
        "debug": False, "host": "127.0.0.1", "http_port": port, "parallel_workers": 0,
        "grpc_port": free_port(), "metrics_port": free_port(),
    }  # fmt: skip
    about = {
        "name": "demand",
        "implementation": "mlserver_runtime.Served",
        "parameters": {"uri": str(model)},
        "inputs": [{"name": "rows", "datatype": "FP64", "shape": [-1, len(ROW)]}],
        "outputs": [{"name": "prediction", "datatype": "FP64", "shape": [-1]}],
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(about))
    tensor = {"name": "rows", "shape": [1, len(ROW)], "datatype": "FP64", "data": ROW}
    return _Started(
        [python.with_name("mlserver"), "start", "."],
        "/v2/models/demand/infer",
        {"inputs": [tensor]},
        "/v2/models/demand/ready",
        {"PYTHONPATH": str(SCRIPTS)},
    )


def _litserve(python: Path, model: Path, folder: Path, port: int) -> _Started:
    command: list[str | Path] = [python, SCRIPTS / "litserve_server.py", model, str(port)]
    return _Started(command, "/predict", {"input": [ROW]}, "/health", {})


def _bentoml(python: Path, model: Path, folder: Path, port: int) -> _Started:
    shutil.copy(SCRIPTS / "bentoml_service.py", folder)
    command: list[str | Path] = [python.with_name("bentoml"), "serve", "bentoml_service:Served"]
    return _Started(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        "/predict",
        {"rows": [ROW]},
        "/readyz",
        {"MODEL": str(model), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder)},
    )


def _mlflow(python: Path, model: Path, folder: Path, port: int) -> _Started:
    saved = folder / "saved"
    subprocess.run([python, SCRIPTS / "mlflow_model.py", model, saved], check=True, cwd=folder)
    command: list[str | Path] = [python.with_name("mlflow"), "models", "serve", "-m", saved]
    variables = {"PATH": f"{python.parent}:/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return _Started(
        [*command, "-h", "127.0.0.1", "-p", str(port), "--env-manager", "local"],
        "/invocations",
        {"inputs": [ROW]},
        "/ping",
        variables,
    )


def _ray(python: Path, model: Path, folder: Path, port: int) -> _Started:
    command: list[str | Path] = [python, SCRIPTS / "ray_server.py", model, str(port)]
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": ""}
    return _Started(command, "/predict", {"input": [ROW]}, "/predict", variables)


_STARTS: Mapping[str, Callable[[Path, Path, Path, int], _Started]] = {
    "KServe": _kserve,
    "MLServer": _mlserver,
    "LitServe": _litserve,
    "BentoML": _bentoml,
    "MLflow": _mlflow,
    "Ray Serve": _ray,
}


def python_of(name: str) -> Path:
    """The interpreter of a peer."""
    return _place(name) / "bin" / "python"


def is_installed(name: str) -> bool:
    """Whether a peer can be measured."""
    return (_place(name) / "complete").exists()


@contextmanager
def peer(name: str, model: Path, work: Path) -> Iterator[tuple[Target, float]]:
    """Run a peer with a LightGBM model; yield where it answers, and the seconds until it did."""
    folder, port = work / _place(name).name, free_port()
    folder.mkdir(exist_ok=True)
    python = python_of(name)
    started = _STARTS[name](python, model, folder, port)
    # What runs here must not leak into it.
    variables = {"PYTHONPATH": "", "OMP_NUM_THREADS": "1", **started.variables}
    with running(started.command, folder, port, variables=variables, ready=started.ready) as (
        process,
        seconds,
    ):
        yield (
            Target(
                name=name,
                process=process,
                port=port,
                path=started.path,
                body=json.dumps(started.body).encode(),
            ),
            seconds,
        )
