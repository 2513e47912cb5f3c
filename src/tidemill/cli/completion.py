"""`tidemill completion`: the script that lets a shell complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tidemill.cli.terminal.output import print_text

_SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "tidemill"


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and names in SHELL.

    \b
    bash: add `eval "$(tidemill completion bash)"` to ~/.bashrc
    zsh:  add `eval "$(tidemill completion zsh)"` to ~/.zshrc, after compinit
    fish: write it to ~/.config/fish/completions/tidemill.fish

    Stages, environments, schedules and runs are completed from the ledger and the settings, so that nothing
    of the workflow is imported.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    print_text(kind(root, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE").source())
