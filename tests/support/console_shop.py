"""The console of a small shop with settings, and people who look at it."""

from __future__ import annotations

from pathlib import Path

from tests.support.governed_shop import governed_shop
from tests.support.users import USER

# What nobody should take for markup, or be able to hide by.
HOSTILE = '<script>alert(1)</script> "onmouseover="alert(2) \u202egnp.exe `code` '
SETTINGS = f"""
[tool.tidemill.metrics]
zone = "Pacific/Auckland"

[tool.tidemill.roles]
{USER} = "admin"
ana = "viewer"
"@ops-leads" = "reviewer"

[tool.tidemill.groups]
ops-leads = ["ben"]

[tool.tidemill.alerts]
owners = {{ "or*" = "team-orders" }}
runbook = "https://runbooks.example/{{stage}}"

[tool.tidemill.alerts.channels.oncall]
kind = "command"
command = ["cat"]

[tool.tidemill.alerts.channels.hook]
kind = "webhook"
url = "http://127.0.0.1:9/secret-path"

[tool.tidemill.schedules.nightly]
cron = "0 6 * * mon-fri"
timezone = "Europe/Berlin"
"""


def console_shop(folder: Path) -> Path:
    """Write the project, which never ran."""
    governed_shop(folder)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(SETTINGS)
    return folder


def require_harmless(text: str) -> None:
    """Check that hostile text stands on a page as text."""
    assert "<script>alert(1)" not in text
    assert '"onmouseover="' not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;alert(1)" in text
