"""`tidemill serve`: answer requests with the live versions of models."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.terminal.interrupt import ends_by_itself
from tidemill.cli.terminal.output import print_text

if TYPE_CHECKING:
    from tidemill.project.serving import RunningServer

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


@click.command()
@click.option("--host", default=None, metavar="ADDRESS",
              help="The address to listen on.  [default: 127.0.0.1]")  # fmt: skip
@click.option("--port", default=None, type=click.IntRange(0, 65535), metavar="PORT",
              help="The port to listen on; 0 takes a free one.  [default: 8000]")  # fmt: skip
@click.option("--grpc", is_flag=True, default=None,
              help="Answer the Open Inference Protocol over gRPC as well, on the same port.")  # fmt: skip
@click.option("--workers", default=None, type=click.IntRange(1, 1024), metavar="N",
              help="Serve with up to N processes, as many as are needed.  [default: 1]")  # fmt: skip
@project_options
def serve(**given: Any) -> None:
    """Serve every endpoint of the workflow until Ctrl-C or SIGTERM.

    Requests are answered by the version of the model that is live; `deliver` and `rollback` change it within
    a second, without losing a request. Settings are in [tool.tidemill.serve]. Beyond loopback callers need
    tokens: `tidemill tokens create`, or come through a proxy that says who asks.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("tidemill.serving").setLevel(logging.INFO)
    for name in _THREADS:
        # Threads that wait for a share of one row cost more than the row; libraries read it when they load.
        os.environ.setdefault(name, "1")
    with project_session() as project:
        chosen = {name: value for name, value in given.items() if value is not None}
        ends_by_itself.set()
        try:
            project.serving.serve(project.serving.settings_with(**chosen), _announce)
        finally:
            ends_by_itself.clear()


def _announce(server: RunningServer) -> None:
    lines = {
        f"{server.url}/predict/{name}": (
            f"serves {version}" if version else f"can't answer: {server.faults[name]}"
        )
        for name, version in server.live.items()
    }
    lines[f"{server.url}/docs"] = "describes them, with commands to copy"
    width = max(map(len, lines))
    for url, what in lines.items():
        print_text(f"{url:{width}}  {what}")
    print_text(f"{server.url} (process {os.getpid()}; Ctrl-C stops it)")
