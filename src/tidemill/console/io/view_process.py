"""A process of the console that imported the workflow: it calls views, one after the other.

It is started as a module, with a socket and its options; it ends when the socket is closed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from tidemill.console.io.view_channel import (
    ViewOptions,
    ViewProcessReady,
    ViewProcessReply,
    decode_line,
    encode_line,
)
from tidemill.console.view_calls import ViewCall, ViewCaller
from tidemill.core.spin_limit import spin_limit
from tidemill.project.project import Project, open_project
from tidemill.project.up_worker import fault_text


def main(descriptor: int, text: str) -> None:
    """Answer calls until the other side closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    os.environ.update(spin_limit(os.environ))
    options = decode_line(text.encode(), ViewOptions)
    with socket.socket(fileno=descriptor) as stream, stream.makefile("rb") as lines:
        try:
            project = open_project(options.root, workflow=options.workflow, env=options.environment)
        except Exception as error:  # noqa: BLE001 - the user's module may raise anything
            stream.sendall(encode_line(ViewProcessReady(fault=fault_text(error))))
            return
        caller = ViewCaller(project)
        try:
            known = _own_files(project)
            stream.sendall(encode_line(ViewProcessReady(files=sorted(known))))
            for line in lines:
                answer = caller.call(decode_line(line, ViewCall))
                # Functions import, and rules name functions of modules that nothing else imports.
                found = _own_files(project)
                reply = ViewProcessReply(answer=answer, files=sorted(found - known))
                known |= found
                stream.sendall(encode_line(reply))
        except (BrokenPipeError, ConnectionResetError):
            # Whoever asked is gone.
            return
        finally:
            caller.close()


def _own_files(project: Project) -> set[str]:
    """The files of the project's own modules that are imported, of its settings and of its rules."""
    named = (getattr(module, "__file__", None) for module in [*sys.modules.values()])
    inside = f"{project.root}{os.sep}"
    own = {file for file in named if file and file.startswith(inside) and "-packages" not in file}
    return {*own, str(project.root / "pyproject.toml"), str(project.workspace.rules_path)}


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
