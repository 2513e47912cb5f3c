"""The user of a process is the one whom the operating system knows."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.ledger.io import lease_holder
from tidemill.ledger.io.lease_holder import is_dead, outer_user_id, this_process, this_user

CODE = "from tidemill.ledger.io.lease_holder import this_user; print(this_user())"


def test_environment_variables_that_lie_change_nothing() -> None:
    lies = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"), "boss")
    found = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **lies},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == this_user()


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


@pytest.mark.parametrize(
    ("text", "uid", "outer"),
    [
        # Without a namespace, or in a container that has every id as it is.
        ("         0          0 4294967295\n", 0, None),
        # `unshare -r` of user 1000, and once more within it.
        ("         0       1000          1\n", 0, 1000),
        ("         0          0          1\n", 0, 0),
        # A container without root: its users are ids of who started it.
        ("0 1000 1\n1 100000 65536\n", 0, 1000),
        ("0 1000 1\n1 100000 65536\n", 1000, 100_999),
        ("0 1000 1\n1 100000 65536\n", 65_537, 65_537),
        # Before a map is written everybody is the same.
        ("", 65_534, 65_534),
    ],
)
def test_ids_of_a_user_namespace_are_those_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, uid: int, outer: int | None
) -> None:
    path = tmp_path / "uid_map"
    path.write_text(text)
    monkeypatch.setattr(lease_holder, "_ID_MAP", path)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert outer_user_id() == outer
    if outer is None:
        assert this_user() == pwd.getpwuid(uid).pw_name
    else:
        assert this_user() == f"uid:{outer}"


def test_systems_without_user_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lease_holder, "_ID_MAP", tmp_path / "none")
    assert outer_user_id() is None


# What `unshare -r` does, by a user who isn't root; its Python may be readable by root only.
ENTER = """
import ctypes, os, sys
from tidemill.ledger.io.lease_holder import this_user

libc = ctypes.CDLL(None, use_errno=True)
NEW_USER, SET_DUMPABLE = 0x10000000, 4
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(54321, 54321, 54321)
    os.setresuid(54321, 54321, 54321)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)
own = os.geteuid()
for depth in range(int(sys.argv[1])):
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(NEW_USER) != 0:
        sys.exit(3)
    for name, text in ("uid_map", f"0 {user} 1"), ("setgroups", "deny"), ("gid_map", f"0 {group} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
print(own, os.geteuid(), this_user())
"""


@pytest.mark.parametrize("depth", [1, 2])
def test_nobody_becomes_root_by_a_user_namespace(depth: int) -> None:
    found = subprocess.run(
        [sys.executable, "-c", ENTER, str(depth)], capture_output=True, text=True, check=False
    )
    if found.returncode == 3:
        pytest.skip("this system has no user namespaces for everybody")
    own, inside, name = found.stdout.split()
    assert inside == "0"
    # A namespace within another shows the ids of that one, which is no reason to trust its names.
    assert name == (f"uid:{own}" if depth == 1 else "uid:0")


OUTERMOST, OTHERS = "pid:[4026531836]", "pid:[4026532999]"


@pytest.mark.parametrize(
    ("boot", "namespace", "own_namespace", "machine", "dead"),
    [
        # The same machine, where the process isn't there any more.
        ("b1", OUTERMOST, OUTERMOST, "m1", True),
        # Another container on it.
        ("b1", OTHERS, OUTERMOST, "m1", False),
        # The same machine, which was booted since.
        ("b0", OUTERMOST, OUTERMOST, "m1", True),
        # Another machine of the same name.
        ("b0", OUTERMOST, OUTERMOST, "m2", False),
        ("b0", OUTERMOST, OUTERMOST, "", False),
        # Containers of one image on two machines: they have one name, and one machine's id.
        ("b0", OTHERS, OTHERS, "m1", False),
        ("b0", OUTERMOST, OTHERS, "m1", False),
        # A system that doesn't tell, as that of a program before.
        ("", "", OUTERMOST, "", True),
    ],
)
def test_a_process_that_may_be_on_another_host_of_the_same_name_isnt_dead(
    monkeypatch: pytest.MonkeyPatch,
    boot: str,
    namespace: str,
    own_namespace: str,
    machine: str,
    dead: bool,
) -> None:
    holder = this_process("tidemill serve")
    # No process of this machine has it.
    gone = {**holder, "pid": str(2**22 + 1), "machine": machine}
    gone["space"] = f"{boot} {namespace}".strip()
    monkeypatch.setattr(lease_holder, "_machine", lambda: "m1")
    monkeypatch.setattr(lease_holder, "_process_space", lambda: f"b1 {own_namespace}")
    assert is_dead(gone) is dead


def test_a_machine_without_an_id_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lease_holder, "_MACHINE_ID", tmp_path / "machine-id")
    assert this_process("run")["machine"] == ""
    for text in ("", "0123456789abcdef\n"):
        (tmp_path / "machine-id").write_text(text)
        found = this_process("run")["machine"]
        assert bool(found) is bool(text)
        assert found != "0123456789abcdef"
