"""Hosts of a test, each a network namespace of its own: a hub, and others that can be cut off from it.

Their addresses are those for documentation (RFC 5737); nothing outside of the namespaces is reached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

HUB = "192.0.2.1"
_BRIDGE = "bridge"


def missing() -> str:
    """Why there can't be any here; empty when there can."""
    absent = [name for name in ("ip", "setpriv") if shutil.which(name) is None]
    if absent:
        return f"there is no {' and no '.join(absent)}"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return f"network namespaces can't be made: {made.stderr.strip()}" if made.returncode else ""


class Hosts:
    """The namespaces of a hub and of numbered hosts around it."""

    def __init__(self, stack: ExitStack, count: int) -> None:
        self._name = f"tidemill-{os.getpid()}"
        self.hub = self._add(stack, "hub")
        self._in(self.hub, "link", "add", _BRIDGE, "type", "bridge")
        self._in(self.hub, "address", "add", f"{HUB}/24", "dev", _BRIDGE)
        self._in(self.hub, "link", "set", _BRIDGE, "up")
        self._in(self.hub, "link", "set", "lo", "up")
        self.names = [self._add_host(stack, number) for number in range(count)]

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """A command as it is run on a host."""
        return ["ip", "netns", "exec", host, *command]

    def cut(self, number: int) -> None:
        """Cut a host off: nothing that is sent arrives, and nobody is told."""
        self._in(self.hub, "link", "set", f"to{number}", "down")

    def heal(self, number: int) -> None:
        """Connect a host again."""
        self._in(self.hub, "link", "set", f"to{number}", "up")

    def _add(self, stack: ExitStack, what: str) -> str:
        name = f"{self._name}-{what}"
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        return name

    def _add_host(self, stack: ExitStack, number: int) -> str:
        name, here = self._add(stack, str(number)), f"to{number}"
        self._in(
            self.hub, "link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", name
        )
        self._in(self.hub, "link", "set", here, "master", _BRIDGE, "up")
        self._in(name, "address", "add", f"192.0.2.{10 + number}/24", "dev", "eth0")
        self._in(name, "link", "set", "eth0", "up")
        self._in(name, "link", "set", "lo", "up")
        return name

    def _in(self, namespace: str, *words: str) -> None:
        _ip("-netns", namespace, *words)


@contextmanager
def hosts(count: int) -> Iterator[Hosts]:
    """A hub and so many hosts, until the block ends."""
    with ExitStack() as stack:
        yield Hosts(stack, count)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
