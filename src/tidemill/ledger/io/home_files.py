"""Create files and folders of a home: private, or shared with the group of their folder.

A folder that its group may write and that passes its group on (set-group-ID) is shared: what is created in it
is, too, whatever the umask. Everything else can be read by its owner only.
"""

from __future__ import annotations

import errno
import grp
import os
import stat
from contextlib import suppress
from pathlib import Path

from tidemill.core.errors import StorageError, UsageError

LEDGER_NAME = "ledger.db"
# The folder in a home that is being restored; its ledger comes last.
RESTORING = "restoring"
# The file of a home that was moved, or is being moved: it says where to, and then whether all is there.
MOVED, ALL_THERE = "moved-to", "all of it"
# The file of a home to which another one is being moved.
MOVING_HERE = "moving-here"

_SHARED = stat.S_ISGID | stat.S_IWGRP
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
SHARED_FILE, SHARED_FOLDER = 0o660, 0o2770


def is_shared(folder: str | Path) -> bool:
    """Whether what is created in a folder is shared with its group."""
    return os.stat(folder).st_mode & _SHARED == _SHARED


def open_private(path: str | Path, flags: int) -> int:
    """Open a file that only its owner may read, or the group of a shared folder, if it is created.

    It is an opener for `open(..., opener=)`.
    """
    if not flags & os.O_CREAT or not is_shared(os.path.dirname(path) or "."):
        return os.open(path, flags, PRIVATE_FILE)
    descriptor = os.open(path, flags, SHARED_FILE)
    # The umask took from the mode of a new file; that of another user is as it was made.
    if os.fstat(descriptor).st_mode & SHARED_FILE != SHARED_FILE:
        with suppress(PermissionError):
            os.fchmod(descriptor, SHARED_FILE)
    return descriptor


def make_private_folder(path: str | Path, *, below: str | Path | None = None) -> None:
    """Create a folder that only its owner may enter, or the group of a shared parent, if there is none.

    Its parents are created in the same way, except `below`, such as a home, which may have been moved away
    while it was used: FileNotFoundError if it isn't there.
    """
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return
    if below is not None and path == os.path.abspath(below):
        raise FileNotFoundError(errno.ENOENT, "it was moved or removed", path)
    parent = os.path.dirname(path)
    make_private_folder(parent, below=below)
    with suppress(FileExistsError):
        os.mkdir(path, PRIVATE_FOLDER)
        if is_shared(parent):
            os.chmod(path, SHARED_FOLDER)


def require_usable(home: Path) -> None:
    """Raise StorageError for a home that was restored only partly, or that was moved elsewhere."""
    with suppress(OSError):
        target, _, state = (home / MOVED).read_text(encoding="utf-8").partition("\n")
        if state.strip() == ALL_THERE:
            raise StorageError(
                f"the home {home} was moved to {target}: set home (and artifacts) in [tool.tidemill] to "
                f"where it is now. To use this one again as it was, delete {home / MOVED}"
            )
        raise StorageError(
            f"the home {home} is being moved to {target}, or that was interrupted: wait, or delete "
            f"{home / MOVED}, and go on here or call `tidemill home move` again"
        )
    if os.path.exists(home / MOVING_HERE):
        raise StorageError(
            f"another home is being moved to {home}, or that was interrupted: wait for `tidemill home move` "
            "to end, or call it again where the other home is"
        )
    # In a home that this user may not enter neither is there: what opens it says so.
    if os.path.exists(home / RESTORING) and not os.path.exists(home / LEDGER_NAME):
        raise StorageError(
            f"{home} is being restored, or that was interrupted: wait for `tidemill home restore` to end, or "
            "call it again"
        )


def make_home(home: Path, group: str = "") -> None:
    """Create a home that only its owner may enter, or with a `group` one that the group may write.

    Raises UsageError for an unknown group, StorageError if the home exists and isn't shared with it.
    """
    if not group:
        # Published data and logs are as private as the user's home. A stricter umask still counts.
        home.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        return
    try:
        wanted = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r} in this system (home_group)") from None
    try:
        home.mkdir(mode=PRIVATE_FOLDER, parents=True)
    except FileExistsError:
        if not is_shared(home) or home.stat().st_gid != wanted:
            raise StorageError(
                f"{home} isn't shared with the group {group} (home_group): its owner does "
                f"that with `chgrp -R {group} {home} && chmod -R g+rwX,o= {home} && find {home} -type d "
                "-exec chmod g+s {} +`"
            ) from None
        return
    try:
        os.chown(home, -1, wanted)
    except PermissionError:
        home.rmdir()
        raise StorageError(
            f"{home} can't be shared with the group {group} (home_group): only root and its members can"
        ) from None
    # After the group, whose change would take the bit away.
    os.chmod(home, SHARED_FOLDER)
