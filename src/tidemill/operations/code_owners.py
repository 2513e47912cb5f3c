"""Write a CODEOWNERS file, by which GitHub and GitLab ask who owns the code of a stage about its changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_HEAD = (
    "# Who is asked about changes; written by `tidemill runbook --codeowners` from the owners of stages.",
    "# Names of teams need your organization: @your-organization/NAME.",
)
# Characters that a pattern of the file would take for syntax, or that end it.
_SYNTAX = frozenset(" \t#\\*?[]!")


def code_owners(owner: str, owned: Iterable[tuple[str, str]]) -> str:
    """The text of the file: `owner` for everything, and for each file the owners of what it declares.

    `owned` are pairs of a path below the project, with slashes, and an owner. Owners that aren't the name of
    a user, a team or an e-mail address are left out.
    """
    found: dict[str, dict[str, None]] = {}
    for path, who in owned:
        if handle := _handle(who):
            found.setdefault(path, {})[handle] = None
    general = _handle(owner)
    lines = [*_HEAD]
    if general:
        lines.append(f"* {general}")
    for path, handles in sorted(found.items()):
        if [*handles] != [general]:
            # The last line that matches counts alone.
            everybody = dict.fromkeys([*filter(None, [general]), *handles])
            lines.append(_line(path, [*everybody]))
    return "\n".join(lines) + "\n"


def _line(path: str, handles: Sequence[str]) -> str:
    pattern = "".join(f"\\{letter}" if letter in _SYNTAX else letter for letter in path)
    return f"/{pattern} {' '.join(handles)}"


def _handle(owner: str) -> str:
    """How the file names an owner: `@name`, or an address; "" if it can't."""
    name = owner.strip()
    if (
        not name
        or not name.isprintable()
        or any(letter.isspace() or letter == "#" for letter in name)
    ):
        return ""
    return name if "@" in name else f"@{name}"
