"""Run all tests with their coverage, in two processes side by side: some folders take as long as all others.

Only one of the two writes to the terminal; what the other said comes after.
"""

import subprocess
import sys
import tempfile

# What takes half of the time.
LONG = ("tests/behaviour", "tests/e2e", "tests/project", "tests/soundness")
PYTEST = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]


def main() -> int:
    """The exit code of the part that failed, if one did."""
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen([*PYTEST, *LONG], stdout=said, stderr=subprocess.STDOUT)
        try:
            code = subprocess.call([*PYTEST, *(f"--ignore={folder}" for folder in LONG)])
            beside.wait()
        finally:
            beside.kill()
        said.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(said.read())
    return code or beside.returncode


if __name__ == "__main__":
    sys.exit(main())
