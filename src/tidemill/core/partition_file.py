"""Name the file of a partition: readable, unique, and never longer than a file system takes.

A name is the partition, percent-encoded. One that would be too long for file systems ends in `+` and a hash
of the partition; no encoded name has a `+`. So does a name with capital letters in a folder that ignores
case, as on macOS: there `DE.parquet` and `de.parquet` are one file.
"""

from __future__ import annotations

import re
from hashlib import sha256

from tidemill.core.percent_encoding import percent_encoded

# File systems allow 255 bytes, of which an ending, a temporary name and other tools take some.
MOST_BYTES = 200
_HASH = 32
# Many readers skip files whose name begins so.
_HIDDEN = {".", "_"}
# The hours of a day are written with a capital letter, so these keep their plain names.
_LOWER_HOUR = re.compile(r"(\d{4}-\d\d-\d\d)t(?=\d\d)")


def partition_stem(partition: str, *, ignores_case: bool = False) -> str:
    """The name of a partition's file, without the ending that tells its format.

    It is unique without regard to case if the folder `ignores_case`.
    """
    name = percent_encoded(partition)
    if name[:1] in _HIDDEN:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > MOST_BYTES or (ignores_case and not has_usual_case(partition)):
        digest = sha256(partition.encode()).hexdigest()[:_HASH]
        name = f"{name[: MOST_BYTES - _HASH - 1]}+{digest}"
    return name


def has_usual_case(partition: str) -> bool:
    """Whether, of all partitions that differ only in case, this one has the plain name everywhere."""
    lower = re.sub("[A-Z]+", lambda found: found[0].lower(), partition)
    return partition == _LOWER_HOUR.sub(r"\1T", lower)
