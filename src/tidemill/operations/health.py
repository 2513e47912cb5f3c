"""Judge whether a machine, a home and a ledger are fit for work: from what was measured, to findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass

_MB, _GB = 1e6, 1e9
# File systems on which locks or shared memory of SQLite's write-ahead log aren't reliable.
_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.s3fs", "afs", "glusterfs")
)  # fmt: skip
_LEAST_PYTHON = (3, 11)
_LITTLE_MEMORY = 1 * _GB
_LEAST_FILES, _LEAST_WATCHES, _LEAST_INSTANCES = 1_024, 8_192, 64
_SLOW_IMPORT_S, _SLOW_FSYNC_MS, _CLOCK_S = 3.0, 50.0, 2.0
_LARGE_LOG = 500 * _MB


class Level(StrEnum):
    """How serious a finding is: nothing to do, worth knowing, or something doesn't work."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFinding:
    """What was found in one area, and what to do about it."""

    area: str
    level: Level
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Python's version, the platform, the versions of packages (None: can't be imported), and extras.

    `extras` maps each extra to its packages that aren't installed.
    """

    python: tuple[int, int, int]
    platform: str
    packages: Mapping[str, str | None]
    extras: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLimits:
    """What processes may use here: CPUs, bytes of memory, open files, and watches of files; None: unknown.

    `allowed_cpus` and `allowed_memory` are the limits of the control group.
    """

    cpus: int
    allowed_cpus: float | None = None
    memory: int | None = None
    allowed_memory: int | None = None
    open_files: int | None = None
    watches: int | None = None
    watch_instances: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The time now (Unix seconds), how far it jumped during the check, and times it can be compared with.

    `file_offset` is how much later a file that was just written seems to be; `newest_event` is the time of
    the newest event of the ledger. `zones` says whether time zones can be looked up.
    """

    now: float
    jumped: float = 0.0
    file_offset: float | None = None
    newest_event: float | None = None
    zones: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The disk of a folder, of which `missing` says that it doesn't exist yet.

    `problem` says why a probe file can't be written, renamed or removed. Sizes are in bytes.
    """

    folder: str
    missing: bool = False
    problem: str = ""
    kind: str = ""
    free: int = 0
    size: int = 1
    free_files: int | None = None
    fsync_ms: float | None = None
    open_to_others: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFile:
    """The file of a ledger; `problem` says why it can't be read, `damage` what SQLite found in it.

    `checked` is False if its structure wasn't looked at. `leases` are the names that are held, with
    descriptions of who holds them.
    """

    path: str
    problem: str = ""
    damage: str = ""
    checked: bool = True
    bytes: int = 0
    log_bytes: int = 0
    version: int = 0
    known_version: int = 0
    events: int = 0
    leases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the project declares; `problem` says why its settings or its workflow can't be read.

    `unset` are the environment variables of secrets that aren't set, `outputs` the folders of sinks that
    can't be written to, with the reason. `programs` are those of channels that can't be started, `settings`
    the faults of settings. With `is_alone` people are alerted, but nothing elsewhere notices
    when that ends.
    """

    place: str = ""
    problem: str = ""
    import_s: float = 0.0
    stages: int = 0
    unset: Sequence[str] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    settings: Sequence[str] = ()
    is_alone: bool = False


def _found(area: str, text: str, advice: str = "", *, level: Level | None = None) -> HealthFinding:
    chosen = level or (Level.FAULT if advice else Level.OK)
    return HealthFinding(area=area, level=chosen, text=text, advice=advice)


def _note(area: str, text: str, advice: str) -> HealthFinding:
    return _found(area, text, advice, level=Level.NOTE)


def judge_installation(found: Installation) -> Iterator[HealthFinding]:
    """Judge the versions of Python and of packages."""
    version = ".".join(map(str, found.python))
    text = f"Python {version} on {found.platform}"
    least = ".".join(map(str, _LEAST_PYTHON))
    too_old = found.python[:2] < _LEAST_PYTHON
    yield _found("python", text, f"Tidemill needs Python {least} or newer" if too_old else "")
    missing = [name for name, installed in found.packages.items() if installed is None]
    shown = ", ".join(f"{name} {has}" for name, has in found.packages.items() if has is not None)
    if missing:
        names = ", ".join(missing)
        yield _found("packages", f"{names} can't be imported", "reinstall: `pip install tidemill`")
    yield _found("packages", shown or "none")
    whole = [name for name, lacks in found.extras.items() if not lacks]
    yield _found("extras", f"installed: {', '.join(whole) or 'none'}")


def judge_limits(found: MachineLimits) -> Iterator[HealthFinding]:
    """Judge what processes may use."""
    allowed = found.allowed_cpus
    cpus = plural(found.cpus, "CPU")
    less = allowed is not None and allowed < found.cpus
    yield _found("cpus", f"{cpus}, of which the control group allows {allowed:g}" if less else cpus)
    memory = min((m for m in (found.memory, found.allowed_memory) if m), default=None)
    if memory is not None:
        text = f"{memory / _GB:.1f} GB"
        if memory < _LITTLE_MEMORY:
            yield _note("memory", text, "steps with much data may be ended: set `memory` of stages")
        else:
            yield _found("memory", text)
    for name, value, least, advice in (
        ("open files", found.open_files, _LEAST_FILES, "raise it: `ulimit -n 4096`"),
        ("file watches", found.watches, _LEAST_WATCHES,
         "raise fs.inotify.max_user_watches with sysctl; until then folders are listed"),
        ("watch instances", found.watch_instances, _LEAST_INSTANCES,
         "raise fs.inotify.max_user_instances with sysctl; until then folders are listed"),
    ):  # fmt: skip
        if value is not None:
            text = f"at most {value:,}"
            yield _note(name, text, advice) if value < least else _found(name, text)


def judge_clock(found: Clock) -> Iterator[HealthFinding]:
    """Judge the clock against itself, files and the ledger."""
    if abs(found.jumped) > _CLOCK_S:
        yield _found(
            "clock",
            f"the clock jumped by {found.jumped:+.1f} s during the check",
            "let one service set it, such as chrony: leases and schedules follow it",
        )
    behind = (found.newest_event or 0) - found.now
    if behind > _CLOCK_S:
        yield _found(
            "clock",
            f"the clock is {_length(behind)} behind the newest event of the ledger",
            "set the clock: what is recorded now would seem to be older than what came before it",
        )
    offset = found.file_offset
    if offset is not None and abs(offset) > _CLOCK_S:
        yield _note(
            "clock",
            f"files are written {_length(abs(offset))} in the {'future' if offset > 0 else 'past'}",
            "the disk's server has another clock: changed source files may be seen late",
        )
    yield _found("clock", "it runs steadily")
    if found.zones:
        yield _found("time zones", "known")
    else:
        advice = "install them: `pip install tzdata`"
        yield _found("time zones", "Europe/Vienna isn't known", advice)


def _length(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def judge_disk(found: Disk) -> Iterator[HealthFinding]:
    """Judge the disk of a home, and whether it can be written to."""
    if found.missing:
        text = f"{found.folder} doesn't exist yet: the first run creates it"
        yield _found("home", text)
    if found.problem:
        yield _found(
            "home",
            f"{found.folder} can't be written to: {found.problem}",
            "make it writable for this user, or move it: [tool.tidemill] home",
        )
        return
    if not found.missing:
        yield _found("home", f"{found.folder} can be written to, and files in it replaced")
    if found.open_to_others:
        yield _note(
            "home",
            f"everybody on this machine can read {found.folder}",
            f"if rows are private: `chmod 700 {found.folder}`",
        )
    if found.kind in _NETWORK:
        yield _found(
            "disk",
            f"{found.folder} is on a network file system ({found.kind})",
            "keep the ledger on a local disk: SQLite's locks aren't safe there",
        )
    yield from _judge_space(found)
    if found.fsync_ms is not None and found.fsync_ms > _SLOW_FSYNC_MS:
        text = f"forcing a file to the disk takes {found.fsync_ms:.0f} ms"
        yield _note("disk", text, "each event waits for that: a local SSD takes 1 to 5 ms")


def _judge_space(found: Disk) -> Iterator[HealthFinding]:
    share = found.free / max(found.size, 1)
    text = f"{found.free / _GB:,.1f} GB free ({share:.0%})"
    clean = "free some space: `tidemill sweep --dry-run` shows what can go"
    if found.free < 100 * _MB:
        yield _found("disk", text, clean)
    elif found.free < 2 * _GB or share < 0.05:
        yield _note("disk", text, clean)
    else:
        yield _found("disk", f"{text}{f', {found.kind}' if found.kind else ''}")
    if found.free_files is not None and found.free_files < 10_000:
        yield _note(
            "disk", f"room for {found.free_files:,} more files", "remove files you don't need"
        )


def judge_ledger(found: LedgerFile | None) -> Iterator[HealthFinding]:
    """Judge the file of the ledger; None if there is none yet."""
    if found is None:
        yield _found("ledger", "none yet: nothing was ever run here")
        return
    if found.problem or found.damage:
        text = f"{found.path} can't be read: {found.problem}" if found.problem else (
            f"{found.path} is damaged: {found.damage}"
        )  # fmt: skip
        advice = "`tidemill verify --repair` repairs it, or restore a backup"
        yield _found("ledger", text, advice)
        return
    if found.version > found.known_version:
        yield _found(
            "ledger",
            f"it has schema {found.version}; this Tidemill knows up to {found.known_version}",
            "a newer Tidemill wrote it: `pip install -U tidemill`",
        )
    elif found.version < found.known_version:
        text = f"it has schema {found.version}, and the next command upgrades it to {found.known_version}"
        yield _note(
            "ledger", text, "back it up first, if you may want to go back to the old version"
        )
    unchecked = "" if found.checked else "; `tidemill doctor --full` checks its structure as well"
    size = f"{plural(found.events, 'event')} in {found.bytes / _MB:,.1f} MB"
    yield _found("ledger", f"{size}{unchecked}")
    if found.log_bytes > _LARGE_LOG:
        text = f"its write-ahead log has {found.log_bytes / _MB:,.0f} MB"
        yield _note("ledger", text, "end what reads it for long: then it is emptied by itself")
    for name, holder in sorted(found.leases.items()):
        yield _found("leases", f"{name} is held by {holder}")


def judge_project(found: Declared) -> Iterator[HealthFinding]:
    """Judge the settings and the workflow."""
    if found.problem:
        yield _found("project", found.problem, "correct it: until then no command works here")
    else:
        text = f"{found.place}: {plural(found.stages, 'stage')}, imported in {found.import_s:.1f} s"
        advice = "let stages import large libraries themselves: each command imports the module"
        slow = found.import_s > _SLOW_IMPORT_S
        yield _note("project", text, advice) if slow else _found("project", text)
    for name in found.unset:
        yield _note(
            "secrets", f"{name} isn't set", "set it where Tidemill runs, or remove its name"
        )
    for fault in found.settings:
        yield _found("settings", fault, "correct it: `tidemill check` says whether it fits")
    for name, program in sorted(found.programs.items()):
        yield _found(
            "alerts",
            f"channel {name} can't start {program!r}",
            "install it, or write its whole path",
        )
    if found.is_alone:
        yield _note(
            "alerts",
            "if nothing checks this project any more, nobody is told",
            "let a service elsewhere wait for a heartbeat: [tool.tidemill.alerts] heartbeat",
        )
    for folder, why in sorted(found.outputs.items()):
        yield _found("outputs", f"{folder} can't be written to: {why}", "make it writable")


def judge_surroundings(variables: Mapping[str, str], encoding: str) -> Iterator[HealthFinding]:
    """Judge environment variables of proxies, and the encoding of text."""
    if encoding.lower().replace("-", "") != "utf8":
        advice = "set LC_ALL=C.UTF-8: names in other scripts are shown as escapes"
        yield _note("locale", f"text is encoded as {encoding}", advice)
    else:
        yield _found("locale", "UTF-8")
    proxies = sorted(name for name in variables if name.lower() in ("http_proxy", "https_proxy"))
    if proxies:
        advice = "add 127.0.0.1 to NO_PROXY, if servers on this machine are asked"
        yield _note("proxy", f"{', '.join(proxies)} is set", advice)


def has_faults(findings: Sequence[HealthFinding]) -> bool:
    """Whether anything doesn't work."""
    return any(finding.level is Level.FAULT for finding in findings)
