"""Let LightGBM find neither scikit-learn nor pandas: a booster needs neither, and their imports take ten
times as long as those of LightGBM. Both may still be imported by themselves."""

import os
import sys

HIDDEN = {"sklearn", "pandas"}


class UnwantedImports:
    """Says of what LightGBM imports if it is there that it isn't there."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse one import; Python asks the next finder for all others."""
        if name in HIDDEN:
            importing = getattr(sys.modules.get("lightgbm"), "__spec__", None)
            if getattr(importing, "_initializing", False):
                raise ModuleNotFoundError(f"LightGBM works without {name}", name=name)


if os.environ.get("QUICK_BOOSTERS"):
    sys.meta_path.insert(0, UnwantedImports())
