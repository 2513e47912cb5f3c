"""Damage files as failing disks and careless people do, and find what is stored of a project."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.tides import Tides


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file; a negative offset counts from its end."""
    payload = bytearray(path.read_bytes())
    payload[offset] ^= 1 << bit
    path.write_bytes(payload)


def cut(path: Path) -> None:
    """Truncate a file to its half."""
    payload = path.read_bytes()
    path.write_bytes(payload[: len(payload) // 2])


def blank(path: Path) -> None:
    """Overwrite a file with zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path) -> None:
    """Remove all bytes of a file."""
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    """Append a byte to a file."""
    path.write_bytes(path.read_bytes() + b"x")


def swap(one: Path, other: Path) -> None:
    """Exchange the contents of two files."""
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "first byte": lambda path: flip(path, 0),
    "data": lambda path: flip(path, 60, 3),
    "footer": lambda path: flip(path, -40, 5),
    "length of the footer": lambda path: flip(path, -8, 7),
    "magic": lambda path: flip(path, -1),
    "cut": cut,
    "zeros": blank,
    "longer": lengthen,
    "empty": empty,
}


def object_files(tides: Tides, stage: str, partition: str) -> list[Path]:
    """The files of all objects of a published partition, its quarantine last."""
    project = tides.open()
    try:
        product = project.state().heads[stage].partitions[partition].product
        return [Path(project.tools.artifacts.uri(name)) for name in product.all_objects]
    finally:
        project.close()


def copy_home(tides: Tides, root: Path) -> Tides:
    """A copy of a project, to be damaged."""
    shutil.copytree(tides.root, root)
    copy = type(tides)(root, tides.text)
    copy.change = tides.change
    return copy
