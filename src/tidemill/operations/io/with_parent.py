"""Run a module as a program that ends with its parent: `with_parent PIPE MODULE [ARGUMENTS]`."""

from __future__ import annotations

import os
import runpy
import sys

from tidemill.ledger.io.parent_process import exit_with_parent


def main(parent_pipe: int, module: str, arguments: list[str]) -> None:
    """Run the module; only the parent has the other end of the pipe."""
    # Children must not keep the pipe open, nor end with the parent because of it.
    os.set_inheritable(parent_pipe, False)
    exit_with_parent(parent_pipe)
    sys.argv[:] = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
