"""Let several pytest processes share a list of test files: `pytest -p tools.claims --claims FD FILE...`.

All processes get the same files and the reading end of the same pipe, which holds the number of each file.
Who reads a number has claimed the file: it is imported and run then.
"""

import gc
import os
import sys
from collections.abc import Iterator
from itertools import zip_longest

import pytest

# The bytes of a number in the pipe.
WIDTH = 2

_MODULES = pytest.StashKey[list[pytest.Collector]]()


def claimable(count: int) -> int:
    """The reading end of a new pipe with the numbers from 0 on."""
    reading, writing = os.pipe()
    os.write(writing, b"".join(number.to_bytes(WIDTH, "big") for number in range(count)))
    os.close(writing)
    return reading


def claims(pipe: int) -> Iterator[int]:
    """Numbers that nobody else has claimed, until there are none."""
    while number := os.read(pipe, WIDTH):
        yield int.from_bytes(number, "big")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--claims", type=int, required=True, help="the pipe of unclaimed files")


def pytest_collection(session: pytest.Session) -> bool:
    """Find the modules of the files, and import none."""
    # Marks are known after the import.
    option = session.config.option
    marks, option.markexpr = option.markexpr, ""
    modules = session.perform_collect(genitems=False)
    option.markexpr = marks
    session.stash[_MODULES] = [found for found in modules if isinstance(found, pytest.Collector)]
    assert len(session.stash[_MODULES]) == len(session.config.args)
    return True


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests of one file after the other."""
    for number in claims(session.config.getoption("claims")):
        tests = _collected(session, session.stash[_MODULES][number])
        # After the last test of a file only what is made for the session stays.
        for test, following in zip_longest(tests, tests[1:], fillvalue=session):
            session.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Others may have claimed all files, or those with tests that are selected."""
    if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


def _collected(session: pytest.Session, module: pytest.Collector) -> list[pytest.Item]:
    """The selected tests of a module, as pytest collects them before it runs any."""
    without_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    gc.disable()
    try:
        tests = [*session.genitems(module)]
    finally:
        gc.enable()
        sys.dont_write_bytecode = without_bytecode
    session.config.hook.pytest_collection_modifyitems(
        session=session, config=session.config, items=tests
    )
    session.testscollected += len(tests)
    return tests
