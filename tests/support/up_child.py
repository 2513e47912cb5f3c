"""A process of the supervisor that imports nothing: it does in a moment what its options say.

Jobs whose reasons contain a word of these are answered in another way: die, hang, garbage.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from tidemill.operations.io.job_channel import (
    ChildMessage,
    ChildOptions,
    decode_line,
    encode_line,
)
from tidemill.operations.supervision import (
    Ending,
    JobAnswer,
    SourcePlace,
    UpJob,
    WorkflowDescription,
)


def main(descriptor: int, text: str) -> None:
    options = decode_line(text.encode(), ChildOptions)
    root = Path(options.root)
    mode = (root / "mode").read_text() if (root / "mode").exists() else ""
    if mode == "slow":
        # Somebody else has to end it.
        time.sleep(600)
    name = root / "name"
    workflow = name.read_text() if name.exists() else "shop"
    with socket.socket(fileno=descriptor) as stream, stream.makefile("rb") as lines:
        stream.sendall(encode_line(first_message(mode, workflow)))
        for line in lines:
            job = decode_line(line, UpJob)
            with (root / "jobs").open("a") as file:
                file.write(f"{'; '.join(job.because)}\n")
            mode = (root / "mode").read_text() if (root / "mode").exists() else ""
            answer(stream, mode)


def first_message(mode: str, workflow: str) -> ChildMessage:
    if mode == "refuse":
        return ChildMessage(fault="you may not supervise a project", is_refusal=True)
    if mode == "fault":
        return ChildMessage(fault="shop.py:1: SyntaxError")
    place = SourcePlace(stage="sales", pattern="data/*.csv")
    return ChildMessage(
        description=WorkflowDescription(
            workflow=workflow, sources=(place,), has_endpoints=mode == "endpoints"
        )
    )


def answer(stream: socket.socket, mode: str) -> None:
    if mode == "die":
        os._exit(3)
    if mode == "garbage":
        stream.sendall(b"not JSON\n")
    elif mode == "hang":
        time.sleep(600)
    elif mode == "fail":
        failed = JobAnswer(ending=Ending.FAILED, failures=("sales: no",), exit_code=1)
        stream.sendall(encode_line(ChildMessage(answer=failed)))
    elif mode == "held":
        held = JobAnswer(ending=Ending.HELD, summary="the code changed", seq=1)
        stream.sendall(encode_line(ChildMessage(answer=held)))
    else:
        done = JobAnswer(ending=Ending.OK, summary="done")
        stream.sendall(encode_line(ChildMessage(answer=done)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
