"""Measure what the health of a machine is judged by; nothing is written but a probe file that is removed."""

from __future__ import annotations

import locale
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidemill.operations.health import Clock, Disk, Installation, MachineLimits

_PACKAGES = ("tidemill", "polars", "numpy", "msgspec", "click", "xxhash")
_PROC_SYS = Path("/proc/sys/fs/inotify")
_GROUP = Path("/sys/fs/cgroup")
_ZONE = "Europe/Vienna"


def probe_installation(modules: Mapping[str, Iterable[str]]) -> Installation:
    """The versions of Python and packages; `modules` are those that each extra needs."""
    return Installation(
        python=sys.version_info[:3],
        platform=platform.platform(terse=True),
        packages={name: _version(name) for name in _PACKAGES},
        extras={
            extra: [name for name in names if not _is_there(name)]
            for extra, names in modules.items()
        },
    )


def _version(package: str) -> str | None:
    if not _is_there(package):
        return None
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return "without metadata"


def _is_there(module: str) -> bool:
    with suppress(ImportError, ValueError):
        return find_spec(module) is not None
    return False


def probe_limits(proc: Path = _PROC_SYS, group: Path = _GROUP) -> MachineLimits:
    """What processes may use, as far as the system says it."""
    return MachineLimits(
        cpus=_usable_cpus(),
        allowed_cpus=_allowed_cpus(group),
        memory=_memory(),
        allowed_memory=_number(group / "memory.max"),
        open_files=_open_files(),
        watches=_number(proc / "max_user_watches"),
        watch_instances=_number(proc / "max_user_instances"),
    )


def _usable_cpus() -> int:
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _allowed_cpus(group: Path) -> float | None:
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text().split()
        return float(quota) / float(period)
    return None


def _memory() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _open_files() -> int | None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return soft if soft != resource.RLIM_INFINITY else None
    return None


def _number(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return None


class ClockWatch:
    """Compares the clock with one that nobody sets, from its creation on."""

    def __init__(self) -> None:
        self._began = time.time() - time.monotonic()

    def read(self, file_offset: float | None, newest_event: float | None) -> Clock:
        """The time now, and how far the clock jumped since the watch began."""
        now = time.time()
        return Clock(
            now=now,
            jumped=now - time.monotonic() - self._began,
            file_offset=file_offset,
            newest_event=newest_event,
            zones=_knows_zones(),
        )


def _knows_zones() -> bool:
    try:
        ZoneInfo(_ZONE)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return False
    return True


def probe_disk(folder: Path) -> tuple[Disk, float | None]:
    """The disk of a folder that may not exist yet, and how much later than now a new file seems to be."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    problem, fsync_ms, offset = _probe_file(place)
    free = size = 0
    free_files: int | None = None
    open_to_others = False
    with suppress(OSError):
        found = os.statvfs(place)
        free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        free_files = found.f_favail if found.f_files else None
        open_to_others = place == folder and bool(folder.stat().st_mode & 0o005)
    disk = Disk(
        folder=str(folder),
        missing=place != folder,
        problem=problem,
        kind=file_system(place),
        free=free,
        size=size,
        free_files=free_files,
        fsync_ms=fsync_ms,
        open_to_others=open_to_others,
    )
    return disk, offset


def _probe_file(folder: Path) -> tuple[str, float | None, float | None]:
    """Write, rename and remove a file: what failed, milliseconds to force it to the disk, and its offset."""
    first = folder / f".tidemill-probe-{os.getpid()}-{time.monotonic_ns()}"
    second = first.with_suffix(".renamed")
    try:
        with open(first, "xb") as file:
            file.write(b"probe")
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took = (time.perf_counter() - began) * 1000
        offset = first.stat().st_mtime - time.time()
        os.replace(first, second)
        return "", took, offset
    except OSError as error:
        return error.strerror or str(error), None, None
    finally:
        for each in (first, second):
            with suppress(OSError):
                each.unlink(missing_ok=True)


def file_system(folder: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of the file system of a folder, such as "ext4"; "" if it isn't known."""
    kind, longest = "", -1
    with suppress(OSError):
        real = os.path.realpath(folder)
        for line in mounts.read_text(errors="replace").splitlines():
            _, point, name, *_ = [*line.split(" "), "", "", ""]
            point = point.replace("\\040", " ")
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            # The last of several mounts at one place is the one in use.
            if point and inside and len(point) >= longest:
                kind, longest = name, len(point)
    return kind


def unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, or made where it doesn't exist yet; "" if that is possible."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir():
        return f"{place} is a file"
    return "" if os.access(place, os.W_OK | os.X_OK) else "permission denied"


def text_encoding() -> str:
    """The encoding of text on this system."""
    return locale.getpreferredencoding(do_setlocale=False)
