"""The examples in examples/operate are valid: a unit of systemd and a container file."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from tidemill.cli import cli
from tidemill.operations.up_settings import UpSettings

EXAMPLES = Path(__file__).parents[2] / "examples" / "operate"
UNIT = (EXAMPLES / "tidemill-up.service").read_text()
CONTAINER = (EXAMPLES / "Containerfile").read_text()


def test_a_stop_has_time_to_drain() -> None:
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    # A run that is interrupted has ten seconds more.
    assert int(stop) > UpSettings().drain + 10
    assert "--stop-timeout 60" in CONTAINER


@pytest.mark.slow
def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze isn't installed")
    [command] = re.findall(r"^ExecStart=(\S+)", UNIT, re.MULTILINE)
    unit = tmp_path / "tidemill-up.service"
    # The program has to be there; the unit is otherwise as it is.
    unit.write_text(UNIT.replace(command, "/bin/true"))
    for arguments in (
        ("verify", "--man=no"),
        ("security", "--offline=true", "--threshold=35", "--no-pager"),
    ):
        done = subprocess.run(
            [analyze, *arguments, str(unit)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    unit.write_text(unit.read_text().replace("Type=notify", "Type=perhaps"))
    done = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert "perhaps" in done.stderr


def instructions(text: str) -> list[list[str]]:
    joined = re.sub(r"\\\n", " ", text)
    lines = (line for line in joined.splitlines() if line and not line.startswith("#"))
    return [line.split(maxsplit=1) for line in lines]


KNOWN = {
    "FROM", "COPY", "RUN", "WORKDIR", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD",
}  # fmt: skip


def test_the_container_file_is_valid() -> None:
    steps = instructions(CONTAINER)
    assert {word for word, _ in steps} == KNOWN
    assert steps[0][0] == "FROM"
    for word, rest in steps:
        if word == "RUN":
            checked = subprocess.run(["sh", "-n", "-c", rest], check=False)
            assert checked.returncode == 0, rest
    [user] = [rest for word, rest in steps if word == "USER"]
    assert user.split(":")[0] not in ("0", "root")
    # What is run is in the form of a list, so that it gets the signals.
    for word, rest in steps:
        if word in ("CMD", "HEALTHCHECK"):
            program, *arguments = shlex.split(re.sub(r"[\[\],]", " ", rest.partition("[")[2]))
            assert program == "tidemill"
            assert arguments[0] in cli.list_commands(click.Context(cli))


def test_the_unit_starts_a_command_that_there_is() -> None:
    [command] = re.findall(r"^ExecStart=(.+)$", UNIT, re.MULTILINE)
    assert os.path.basename(command.split()[0]) == "tidemill"
    assert command.split()[1] in cli.list_commands(click.Context(cli))
