"""The user of a process is the one whom the operating system knows."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from tidemill.ledger.io.lease_holder import this_user


def test_environment_variables_that_lie_change_nothing() -> None:
    lies = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"), "boss")
    code = "from tidemill.ledger.io.lease_holder import this_user; print(this_user())"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **lies},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("name", ["gates", "rollout", "", "a\nb"])
def test_a_user_without_a_name_of_a_person_is_a_number(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4321)

    def find(uid: int) -> pwd.struct_passwd:
        assert uid == 4321
        return pwd.struct_passwd((name, "x", uid, 1, "", "/", "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwuid", find)
    assert this_user() == "uid:4321"


def test_a_user_id_without_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    assert this_user() == "uid:3999999999"
