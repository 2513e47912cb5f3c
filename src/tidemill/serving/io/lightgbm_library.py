"""Find and open LightGBM's C library without importing its package, which takes seconds and 95 MB."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass

_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LightGBMLibrary:
    """The library twice: functions of `short` keep the GIL, those of `long` release it.

    A call of microseconds that releases the GIL may have to wait for it for 5 ms if another thread computes.
    """

    short: Any
    long: Any

    def require_success(self, code: int) -> None:
        """Raise TidemillError with LightGBM's message if a function returned an error code."""
        if code:
            message: bytes = self.short.LGBM_GetLastError()
            raise TidemillError(f"LightGBM: {message.decode(errors='replace')}")


def find_library() -> Path:
    """The file of the library, where the package looks for it; FileNotFoundError if it isn't there."""
    spec = find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("lightgbm isn't installed")
    package = Path(spec.origin).parent
    name = f"lib_lightgbm{_SUFFIXES.get(sys.platform, '.so')}"
    for folder in (package.parent, package / "bin", package / "lib"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{package} has no {name}")


@cache
def open_library() -> LightGBMLibrary:
    """Open the library; OSError if it isn't there, or can't be loaded."""
    path = str(find_library())
    library = LightGBMLibrary(short=ctypes.PyDLL(path), long=ctypes.CDLL(path))
    library.short.LGBM_GetLastError.restype = ctypes.c_char_p
    # The number of threads is one variable of the library. A prediction reads it twice, and writes beyond its
    # buffers if another thread, such as that of a scikit-learn pipeline with LightGBM in it, raises it
    # meanwhile.
    library.short.LGBM_SetMaxThreads(1)
    return library
