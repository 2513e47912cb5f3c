"""Tell systemd that this process is ready, alive or stopping; does nothing outside of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

_SOCKET, _WATCHDOG = "NOTIFY_SOCKET", "WATCHDOG_USEC"


class SystemdNotifier:
    """Sends states to the socket that systemd names in the environment, if it does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get(_SOCKET, "")
        usec = environment.get(_WATCHDOG, "")
        # systemd ends a service that is silent for this long; half of it is what its manual advises.
        self.watchdog_s = int(usec) / 2e6 if self._address and usec.isdigit() else None

    @classmethod
    def of_process(cls) -> SystemdNotifier:
        """The notifier of this process; its children aren't to notify."""
        found = cls(os.environ)
        for name in (_SOCKET, _WATCHDOG):
            os.environ.pop(name, None)
        return found

    def send(self, **states: str) -> None:
        """Send states such as `READY="1"` or `STATUS="..."`; a socket that is gone changes nothing."""
        if not self._address:
            return
        # A name that begins with @ is in the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        lines = (f"{name}={' '.join(value.split())}" for name, value in states.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), address)
