"""Read which packages a project pins."""

from __future__ import annotations

from pathlib import Path

from tidemill.governance.pinned_packages import pinned_packages

_FILES = (
    "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "pyproject.toml",
    "requirements*.txt", "requirements/*.txt",
)  # fmt: skip


def project_pins(root: Path) -> frozenset[str]:
    """The packages that files in a project's folder pin; a file that can't be read pins none."""
    found: dict[str, str] = {}
    for pattern in _FILES:
        for path in sorted(root.glob(pattern)):
            try:
                found[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
    return pinned_packages(found)
