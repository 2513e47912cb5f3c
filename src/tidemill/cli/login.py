"""`tidemill login` and `tidemill logout`."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.terminal.output import print_text


@click.command("login")
@click.option("--browser", is_flag=True,
              help="Log in with a browser of this machine, not on any device.")  # fmt: skip
@project_options
def login(browser: bool) -> None:
    """Log in at the identity provider of [tool.tidemill.oidc], and act as that person from now on.

    The login is kept in a folder of your own, for all projects with this provider and client.
    """
    with project_session() as project:
        actor = project.logins.login(lambda text: print_text(text, err=True), browser=browser)
    print_text(f"logged in as {actor.name}")


@click.command("logout")
@project_options
def logout() -> None:
    """Forget the login; commands act as the user of this process again."""
    with project_session() as project:
        was = project.logins.logout()
    print_text("logged out" if was else "nobody was logged in")
