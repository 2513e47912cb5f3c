"""Compare the files that a statement names with those of a place, by name and by digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from posixpath import join
from urllib.parse import unquote

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition_file import partition_stem
from tidemill.governance.attestation import VerifiedFile
from tidemill.governance.in_toto import AttestedFile


@dataclass(frozen=True, kw_only=True)
class ComparedFiles:
    """The SHA-256 of the files in a `folder`, by their path there with slashes.

    With `is_file` it is one file of it, whatever else is there. The files of a table, `TABLE/NAME` in a
    statement, are in a folder `TABLE`, or in the folder itself.
    """

    folder: str
    digests: Mapping[str, str]
    is_file: bool = False

    def path_of(self, name: str) -> str | None:
        """Where the file is that a statement names; None if it is missing."""
        table, _, last = name.rpartition("/")
        names = (self._inside(table) + each for each in (last, _name_without_case(last)))
        return next((path for path in names if path in self.digests), None)

    def fault_of(self, file: AttestedFile) -> str:
        """How the file of this name differs from what is attested; "" if it doesn't."""
        path = self.path_of(file.name)
        if path is None:
            return f"it is missing in {self.folder}"
        if (digest := self.digests[path]) == file.sha256:
            return ""
        return f"{join(self.folder, path)} has the SHA-256 {digest}"

    def files_besides(self, names: Iterable[str]) -> tuple[VerifiedFile, ...]:
        """The files that no statement names, beside those that one does."""
        known = {*names}
        places = {self._inside(name.rpartition("/")[0]) for name in known}
        paths = {self.path_of(name) for name in known}
        return tuple(
            VerifiedFile(
                name=join(self.folder, path), sha256=digest, fault="no attestation names it"
            )
            for path, digest in sorted(self.digests.items())
            if path not in paths and (self.is_file or path.startswith(tuple(places)))
        )

    def _inside(self, table: str) -> str:
        return f"{table}/" if table in self._folders else ""

    @cached_property
    def _folders(self) -> frozenset[str]:
        """The folders in the folder itself."""
        return frozenset(path.partition("/")[0] for path in self.digests if "/" in path)


def _name_without_case(name: str) -> str:
    """The name that a folder which ignores case has for the file of a partition."""
    stem, dot, ending = name.rpartition(".")
    return f"{partition_stem(unquote(stem), ignores_case=True)}{dot}{ending}"
