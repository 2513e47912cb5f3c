"""A Slurm cluster of one's own on 127.0.0.1, for tests: `python -m tools.slurm_cluster` installs it (Debian).

Its controller and its only node are processes of this program, in a folder of their own; users prove who they
are to nobody, so both listen on 127.0.0.1 alone. It runs as root, because Slurm's node does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tools import native

INSTALL = [
    "apt-get", "install", "--no-install-recommends", "--yes", "slurmctld", "slurmd", "slurm-client", "munge",
]  # fmt: skip
# Tests take minutes, also where Slurm is installed for other reasons.
WANTED = "TIDEMILL_TEST_SLURM"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_START_S, _END_S = 60.0, 20.0
# Any devices will do: who uses them is told only their numbers.
_DEVICES = ("null", "zero", "full", "random")
_CONF = """\
ClusterName=tidemill
SlurmctldHost=localhost(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=10000
KillWait=2
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus}
PartitionName=debug Nodes=localhost Default=YES MaxTime=INFINITE State=UP
PartitionName=down Nodes=localhost State=DOWN
"""


class NotStarted(Exception):
    """Slurm doesn't start here; the message says why."""


def missing() -> str:
    """Why there is no cluster for tests; empty when there can be one."""
    if WANTED in os.environ:
        return lacking()
    return f"only `make test-slurm` starts a cluster of Slurm, by {WANTED}=1"


def lacking() -> str:
    """What this machine lacks for a cluster; empty when it has all."""
    if os.name != "posix" or not Path("/proc").is_dir():
        return "Slurm is only started on Linux"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"there is no {', '.join(absent)}: run `make test-slurm`"
    return "" if os.geteuid() == 0 else "Slurm's node runs as root only"


@contextmanager
def cluster(*, cpus: int = 4, memory: int = 8000, gpus: int = 2) -> Iterator[dict[str, str]]:
    """A new cluster with a node of so many CPUs, MB and devices; the variables by which it is reached."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="tidemill-slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        environment = _configure(folder, cpus, memory, gpus)
        for program, *options in (["slurmctld"], ["slurmd", "-N", "localhost"]):
            log = stack.enter_context((folder / f"{program}.log").open("wb"))
            running = subprocess.Popen(
                [str(shutil.which(program)), "-D", *options],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(_end, running)
        _await_node(folder, environment)
        yield environment


def _configure(folder: Path, cpus: int, memory: int, gpus: int) -> dict[str, str]:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        ports = [each.getsockname()[1] for each in held]
    text = _CONF.format(folder=folder, ports=ports, cpus=cpus, memory=memory, gpus=gpus)
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
    devices = "".join(f"Name=gpu File=/dev/{name}\n" for name in _DEVICES[:gpus])
    (folder / "gres.conf").write_text(devices)
    return {"SLURM_CONF": str(folder / "slurm.conf")}


def _await_node(folder: Path, environment: dict[str, str]) -> None:
    end, said = time.monotonic() + _START_S, ""
    while said != "idle":
        if time.monotonic() > end:
            logs = "\n".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))
            raise NotStarted(f"Slurm's node is {said or 'not there'}:\n{logs}")
        time.sleep(0.1)
        found = subprocess.run(
            ["sinfo", "--noheader", "--partition=debug", "--format=%T"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        said = found.stdout.strip()


def _end(running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(_END_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


if __name__ == "__main__":
    sys.exit(native.provide(lacking(), INSTALL))
