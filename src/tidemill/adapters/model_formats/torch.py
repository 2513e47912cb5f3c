"""Store PyTorch modules as tensors (safetensors) with the name of their class and its arguments."""

from __future__ import annotations

import inspect
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

from tidemill.adapters.model_formats.library import map_written, require_library
from tidemill.adapters.model_formats.torch_class import find_class, import_fault
from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.payload import Payload
from tidemill.workflow.model import ClassLabel, Feed

_MAX_HEADER = 100_000_000


class TorchSafetensors:
    """Store a `torch.nn.Module` of a class in a module of the project.

    The arguments of its constructor are read from its attributes of the same names, and are values that
    JSON has. It gets a tensor (rows x inputs), and returns a number or a probability per class for each row.
    """

    name = "torch"
    modules: tuple[str, ...] = ("torch", "safetensors.torch")
    # Matrix products may depend on how many rows there are.
    is_rowwise = False

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a module of PyTorch; this imports no library."""
        return any(
            base.__module__ == "torch.nn.modules.module" and base.__name__ == "Module"
            for base in type(model).__mro__
        )

    def feed(self, model: Any) -> Feed:
        """A float array."""
        return "matrix"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """Nothing is known: a classifier names its classes in `tm.fitted`."""
        return ()

    def function(self, model: Any) -> Callable[[Any], Any]:
        """The module's `forward`, in evaluation mode and without gradients."""
        torch = require_library("torch")
        model = model.eval()

        def predict(table: Any) -> Any:
            weights = next(model.parameters(), None)
            kind, device = (
                (torch.float32, "cpu") if weights is None else (weights.dtype, weights.device)
            )
            with torch.no_grad():
                found = model(torch.tensor(table, dtype=kind, device=device))
            return found.to(device="cpu", dtype=torch.float64).numpy()

        return predict

    def dump(self, model: Any) -> Payload:
        """The module's tensors and its class; UsageError for a class that no other process can import."""
        save_file = require_library("safetensors.torch").save_file
        reference = {"class": _class_reference(type(model)), "arguments": _arguments(model)}
        metadata = {"tidemill": json.dumps(reference, sort_keys=True)}
        tensors = _separate_tensors(model)
        return map_written(lambda path: save_file(tensors, path, metadata=metadata))

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The module's `forward`, in evaluation mode and without gradients."""
        return self.function(self.restore(payload))

    def restore(self, payload: bytes) -> Any:
        """Construct the module with its arguments, and fill in its tensors; it has no optimizer's state."""
        torch = require_library("torch")
        reference = _reference(payload)
        kind = find_class(reference["class"], torch.nn.Module)
        model = kind(**reference["arguments"])
        model.load_state_dict(require_library("safetensors.torch").load(payload), strict=True)
        return model


def _separate_tensors(model: Any) -> dict[str, Any]:
    """The tensors of a module; those that share memory with another, such as tied weights, are copied."""
    found, places = dict[str, Any](), set[int]()
    for name, value in model.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in places else tensor
        places.add(place)
    return found


def _class_reference(kind: type) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if kind.__module__ == "__main__":
        raise UsageError(
            f"its class {kind.__qualname__} is in __main__, which no other process can import: move it to a "
            "module of the project"
        )
    if "<" in kind.__qualname__:
        raise UsageError(
            f"its class {kind.__qualname__} is inside a function: move it to the top of its module"
        )
    if kind.__module__.partition(".")[0] == "torch":
        raise UsageError(
            f"a bare {kind.__name__} doesn't say how its layers are built: write a class of your own, whose "
            "__init__ builds them"
        )
    if fault := import_fault(kind.__module__):
        raise UsageError(
            f"its class is {name}, {fault}: move it to a module of the project, or declare the requirement, "
            "so that a process that loads the model may import it"
        )
    return name


def _arguments(model: Any) -> dict[str, Any]:
    """The arguments with which a module was constructed, as its attributes tell."""
    found: dict[str, Any] = {}
    for name, parameter in [*inspect.signature(type(model).__init__).parameters.items()][1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if hasattr(model, name):
            found[name] = _plain_argument(model, name)
        elif parameter.default is parameter.empty:
            raise UsageError(
                f"{type(model).__name__} doesn't keep its argument {name!r}: set self.{name} = {name} in "
                "__init__, so that the module can be constructed again"
            )
    return found


def _plain_argument(model: Any, name: str) -> Any:
    value = getattr(model, name)
    try:
        if json.loads(json.dumps(value)) == (list(value) if isinstance(value, tuple) else value):
            return value
    except (TypeError, ValueError):
        pass
    raise UsageError(
        f"the argument {name!r} of {type(model).__name__} is a {type(value).__name__}, which JSON doesn't "
        "have: take numbers, text, lists and dictionaries, and build the rest in __init__"
    )


def _reference(payload: bytes) -> dict[str, Any]:
    """The class and the arguments in the header of a file."""
    try:
        [size] = struct.unpack("<Q", payload[:8])
        if size > _MAX_HEADER:
            raise ValueError(f"a header of {size:,} bytes")
        found = json.loads(json.loads(payload[8 : 8 + size])["__metadata__"]["tidemill"])
        return {"class": str(found["class"]), "arguments": dict(found["arguments"])}
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise TidemillError(f"the model file doesn't name its class: {error}") from error
