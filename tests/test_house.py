"""The house: what is shipped is what is kept here, what is pinned is what is asked for, and the
scripts that hold the code to its bars see a miss."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bench import common, sitting
from tools import console_assets, native, test_times, unit

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "tidemill"


def python(
    *arguments: str | Path, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def kept_files() -> set[str]:
    """Every file of the package in this checkout, as a wheel would name it."""
    return {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__", ".tidemill"} & set(path.parts)
    }


def build(target: str, into: Path, source: Path = ROOT) -> Path:
    """Build with what is installed: no isolation, so no network."""
    done = python("-m", "hatchling", "build", "-t", target, "-d", into, cwd=source)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = into.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a release makes it: from the source distribution, not from the checkout."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    [source] = unpacked.iterdir()
    return build("wheel", tmp_path_factory.mktemp("wheel"), source)


class TestWheel:
    def test_holds_every_file_of_the_package_and_no_other(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert shipped == kept_files()
        assert "tidemill/py.typed" in shipped

    @pytest.mark.parametrize(
        "pattern",
        [
            "adapters/sqlite/sql/*.sql",  # the ledger reads its statements from files
            "templates/**/*.py",  # `tidemill init` copies a project that runs
        ],
    )
    def test_holds_package_data(self, wheel: Path, pattern: str) -> None:
        wanted = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.glob(pattern)}
        with zipfile.ZipFile(wheel) as archive:
            assert wanted
            assert wanted <= set(archive.namelist())

    def test_holds_the_javascript_that_git_ignores(self, wheel: Path) -> None:
        folder = console_assets.VENDORED.relative_to(PACKAGE.parent).as_posix()
        with zipfile.ZipFile(wheel) as archive:
            found = {
                name: console_assets.digest(archive.read(f"{folder}/{name}"))
                for name in console_assets.MANIFEST
            }
        assert found == console_assets.MANIFEST

    def test_carries_license_and_asks_for_a_python(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            [license_file] = [n for n in archive.namelist() if n.endswith("licenses/LICENSE")]
            assert archive.read(license_file) == (ROOT / "LICENSE").read_bytes()
            [metadata] = [n for n in archive.namelist() if n.endswith("METADATA")]
            assert "Requires-Python: >=3.11" in archive.read(metadata).decode()

    def test_imports_by_itself(self, wheel: Path, tmp_path: Path) -> None:
        """In front of the checkout on the path, so that nothing is found only there."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
        script = "import tidemill; print(tidemill.__file__, tidemill.__version__)"
        done = python("-c", script, cwd=tmp_path, PYTHONPATH=str(tmp_path))
        assert done.returncode == 0, done.stderr
        where, version = done.stdout.split()
        assert Path(where).is_relative_to(tmp_path)
        assert f"-{version}-" in wheel.name


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal_name(requirement: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    name = re.split(r"[ <>=!~;\[]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file_name: str) -> dict[str, list[str]]:
    """The lines of each pinned distribution, by name."""
    pins: dict[str, list[str]] = {}
    text = (ROOT / "requirements" / file_name).read_text(encoding="utf-8")
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            pins.setdefault(normal_name(line), []).append(line)
    return pins


class TestRequirements:
    @pytest.mark.parametrize(
        "file_name", ["build.txt", "dev.txt", "docs.txt", "ray.txt", "torch.txt", "torch-cpu.txt"]
    )
    def test_every_line_is_an_exact_pin_with_hashes(self, file_name: str) -> None:
        lines = [line for pins in pinned(file_name).values() for line in pins]
        shape = re.compile(r"[a-z0-9.-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
        assert lines
        assert [line for line in lines if not shape.fullmatch(line)] == []

    def test_all_that_is_declared_is_pinned(self) -> None:
        project = pyproject()["project"]
        groups = pyproject()["dependency-groups"]
        extras = [
            name
            for extra, names in project["optional-dependencies"].items()
            if extra != "embed"  # 1.6 GB, of which one test has a use
            for name in names
        ]
        tools = [name for name in groups["dev"] + groups["build"] if isinstance(name, str)]
        declared = {normal_name(name) for name in [*project["dependencies"], *extras, *tools]}
        beside = (ROOT / "requirements" / "beside").glob("*.txt")
        files = ["dev.txt", "torch.txt", "ray.txt", *(f"beside/{path.name}" for path in beside)]
        assert declared <= {name for file in files for name in pinned(file)}

    def test_the_build_tools_are_the_same_in_both_files(self) -> None:
        everything = pinned("dev.txt")
        assert {name: everything[name] for name in pinned("build.txt")} == pinned("build.txt")

    @pytest.mark.parametrize("file_name", ["torch.txt", "ray.txt"])
    def test_what_slow_tests_need_fits_beside_all_else(self, file_name: str) -> None:
        everything, slow = pinned("dev.txt"), pinned(file_name)
        # XGBoost needs a library of CUDA, too, but not on every machine.
        shared = {name for name in everything.keys() & slow.keys() if "nvidia" not in name}
        assert {name: slow[name] for name in shared} == {name: everything[name] for name in shared}

    def test_pytorch_without_cuda_is_of_the_same_version(self) -> None:
        [cpu] = pinned("torch-cpu.txt")["torch"]
        version = cpu.split()[0].removesuffix("+cpu")
        assert [line for line in pinned("torch.txt")["torch"] if line.split()[0] == version]

    def test_what_builds_the_site_fits_beside_all_else(self) -> None:
        everything, site = pinned("dev.txt"), pinned("docs.txt")
        shared = everything.keys() & site.keys()
        assert {name: site[name] for name in shared} == {name: everything[name] for name in shared}
        assert "zensical" in site


SHAPELY = '''
def add(left: int, right: int) -> int:
    """Sum."""
    return left + right
'''


class TestShape:
    def run(self, folder: Path, **modules: str) -> subprocess.CompletedProcess[str]:
        package = folder / "house"
        package.mkdir()
        (package / "__init__.py").write_text("")
        for name, text in modules.items():
            (package / f"{name}.py").write_text(text)
        return python(ROOT / "tools" / "shape.py", package)

    def test_a_package_in_shape_passes(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, plain=SHAPELY)
        assert (done.returncode, "MISSED" in done.stdout) == (0, False)

    @pytest.mark.parametrize(
        ("text", "missed"),
        [
            ("x = 1\n" * 501, "module lines, max"),
            ("def f() -> None:\n" + "    pass\n" * 100, "function lines, max"),
            ("def f() -> None:\n" + "    pass\n" * 45, "function lines, p95"),
            ("def f() -> int:\n    return " + " or ".join("1" * 10) + "\n", "mccabe, p95"),
            (
                "def f(a: int, b: int, c: int, d: int, *, e: int, f: int, g: int, h: int) -> None:"
                "\n    pass\n",
                "functions of over 7 parameters, %",
            ),
            ("def f(a) -> None:\n    pass\n", "annotated, %"),
            ("def f(a: int):\n    pass\n", "annotated, %"),
            ("try:\n    x = 1\nexcept Exception:\n    x = 2\n", "broad excepts per kloc"),
            (
                "try:\n    x = 1\nexcept (OSError, Exception):\n    x = 2\n",
                "broad excepts per kloc",
            ),
            ("try:\n    x = 1\nexcept:\n    x = 2\n", "broad excepts per kloc"),
            ("x: int = 'x'  # type: ignore[assignment]\n", "type ignores per kloc"),
            (
                "def f() -> None:\n" + "    from house import other\n" * 51,
                "imports of the package in functions",
            ),
        ],
    )
    def test_a_miss_is_named(self, tmp_path: Path, text: str, missed: str) -> None:
        done = self.run(tmp_path, bent=text, other="")
        assert done.returncode == 1
        assert f"MISSED {missed}: " in done.stdout

    @pytest.mark.parametrize(
        ("statement", "seen"),
        [
            ("from house import one\n", {"at load", "at all"}),
            ("import house.one\n", {"at load", "at all"}),
            ("from . import one\n", {"at load", "at all"}),
            ("from .one import two\n", {"at load", "at all"}),
            ("def f() -> None:\n    import house.one\n", {"at all"}),
            (
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.one\n",
                {"at all"},
            ),
        ],
    )
    def test_a_cycle_is_seen(self, tmp_path: Path, statement: str, seen: set[str]) -> None:
        done = self.run(tmp_path, one="from house import two\n", two=statement)
        assert done.returncode == 1
        assert set(re.findall(r"MISSED import cycles (at \w+)", done.stdout)) == seen
        assert "house.one -> house.two" in done.stdout or "house.two -> house.one" in done.stdout

    def test_a_folder_without_a_package_is_no_pass(self, tmp_path: Path) -> None:
        assert python(ROOT / "tools" / "shape.py", tmp_path).returncode == 1


def file_report(statements: int, missing: list[int]) -> dict[str, Any]:
    """One file as coverage reports it, with one branch, which is taken."""
    return {
        "summary": {
            "covered_lines": statements - len(missing),
            "num_statements": statements,
            "covered_branches": 1,
            "num_branches": 1,
        },
        "missing_lines": missing,
        "missing_branches": [],
    }


class TestCoverageBars:
    @pytest.mark.parametrize(
        ("pure", "nested", "io", "missed"),
        [
            ([], [], [], set()),
            ([], [], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], set()),  # 192 of 202
            ([], [], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], {"rest"}),  # 191 of 202
            ([7], [], [], {"pure"}),
            ([], [8], [], {"pure"}),
        ],
    )
    def test_each_kind_of_code_has_its_bar(
        self,
        tmp_path: Path,
        pure: list[int],
        nested: list[int],
        io: list[int],
        missed: set[str],
    ) -> None:
        files = {
            "src/tidemill/planning/plan.py": file_report(100, pure),
            "/home/tidemill/src/tidemill/contracts/checks/casts.py": file_report(100, nested),
            "src/tidemill/runs/io/execute.py": file_report(100, io),
            "src/tidemill/cli/plan.py": file_report(100, []),
        }
        report = tmp_path / "coverage.json"
        report.write_text(json.dumps({"files": files}))
        done = python(ROOT / "tools" / "coverage_bars.py", report)
        assert set(re.findall(r"MISSED (\w+)", done.stdout)) == missed
        assert done.returncode == (1 if missed else 0)

    def test_nothing_measured_is_no_pass(self, tmp_path: Path) -> None:
        report = tmp_path / "coverage.json"
        report.write_text(json.dumps({"files": {}}))
        assert python(ROOT / "tools" / "coverage_bars.py", report).returncode == 1


class TestStep:
    @pytest.mark.parametrize(
        ("script", "code", "outcome"),
        [
            ("pass", 0, "ok"),
            ("raise SystemExit(3)", 3, r"FAILED \(3\)"),
            ("import os; os.kill(os.getpid(), 15)", 143, r"FAILED \(-15\)"),
        ],
    )
    def test_tells_name_outcome_and_seconds(self, script: str, code: int, outcome: str) -> None:
        done = python(ROOT / "tools" / "step.py", "probe", sys.executable, "-c", script)
        assert done.returncode == code
        assert re.fullmatch(rf"--- probe\n--- probe: {outcome}, \d+\.\d s\n", done.stdout)


def missing_library(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


class TestUnit:
    def test_the_longest_files_come_first_and_each_once(self) -> None:
        seconds = {"a": 5.0, "b": 0.1, "gone": 50.0}
        assert unit.longest_first(["c", "b", "a"], seconds, 1.0) == ["a", "c", "b"]

    def test_marks_stand_in_the_files_of_their_tests(self) -> None:
        """`--full` runs the files that say so, not those which inherit a mark from elsewhere."""
        shared = [*(ROOT / "tests" / "support").rglob("*.py"), *(PACKAGE / "testing").rglob("*.py")]
        marks = re.compile(r"mark\.(slow|thorough)\b")
        found = [path.name for path in shared if marks.search(path.read_text(encoding="utf-8"))]
        assert found == ["thoroughness.py"]
        assert not unit.MARKED["test-full"].search("the slow ones, by nature")
        assert unit.MARKED["test-full"].search("@pytest.mark.slow\ndef test_all() -> None:\n")

    def test_only_files_that_exist_are_recorded(self) -> None:
        recorded = json.loads(unit.SECONDS.read_text(encoding="utf-8"))
        assert {*recorded} <= {*unit.SELECTED}
        files = {file for seconds in recorded.values() for file in seconds}
        assert [file for file in files if not (ROOT / file).exists()] == []

    @pytest.fixture
    def suite(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A small suite, in which one of two files runs with coverage."""
        for folder in ("core", "e2e"):
            (tmp_path / "tests" / folder).mkdir(parents=True)
            text = f"def test_{folder}():\n    pass\n"
            (tmp_path / "tests" / folder / f"test_{folder}.py").write_text(text)
        (tmp_path / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "claims.py", tmp_path / "tools")
        (tmp_path / "seconds.json").write_text('{"test": {}}')
        # Options of the outer run, which this small suite doesn't know.
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setattr(unit, "ROOT", tmp_path)
        monkeypatch.setattr(unit, "SECONDS", tmp_path / "seconds.json")
        monkeypatch.setattr(unit, "REPORTS", tmp_path)
        monkeypatch.setattr(unit, "PROCESSES", 3)
        # What tests that failed leave goes with this test.
        monkeypatch.setattr(unit, "MEMORY", tmp_path)
        monkeypatch.setitem(unit.SELECTED, "test", ["-p", "no:cacheprovider", "-m", "not slow"])
        return tmp_path

    @pytest.mark.parametrize(
        ("folder", "text", "shown"),
        [
            (
                "core",
                "def test_it():\n    assert False\n",
                "FAILED tests/core/test_core.py::test_it",
            ),
            ("e2e", "import missing\n", "ERROR tests/e2e/test_e2e.py"),
        ],
    )
    def test_any_failing_process_fails_and_all_show_their_output(
        self, suite: Path, capfd: pytest.CaptureFixture[str], folder: str, text: str, shown: str
    ) -> None:
        (suite / "tests" / folder / f"test_{folder}.py").write_text(text)
        assert unit.main("test") == 1
        output = capfd.readouterr().out
        assert len(re.findall(r"=+ 1 (?:passed|failed|error) in ", output)) == 2
        assert len(re.findall(r"=+ no tests ran in ", output)) == 4
        assert shown in output
        assert ("until the next run" in output) == unit.has_room(unit.MEMORY)

    def test_all_processes_share_all_files(self, suite: Path) -> None:
        for name in ("x", "y"):
            (suite / "tests" / "core" / f"test_{name}.py").write_text(
                "import os\nimport time\nfrom pathlib import Path\n\nimport pytest\n\n\n"
                # Whoever claims one of these files waits until somebody else has claimed the other.
                f"def test_it():\n    Path('{suite}/{name}').touch(exist_ok=False)\n"
                f"    while not (Path('{suite}/x').exists() and Path('{suite}/y').exists()):\n"
                "        time.sleep(0.01)\n\n\n"
                f"@pytest.mark.slow\ndef test_slow():\n    assert False\n"
            )
        assert unit.main("test") == 0
        reports = {path.name for path in suite.glob("*.xml")}
        assert reports == {
            f"test-{number}{suffix}.xml" for number in (1, 2, 3) for suffix in ("", "-untraced")
        }

    def test_a_process_that_dies_fails_and_the_other_runs_what_is_left(self, suite: Path) -> None:
        (suite / "tests" / "core" / "test_a.py").write_text(
            "import os\n\n\ndef test_it():\n    os._exit(3)\n"
        )
        for name in "bcd":
            (suite / "tests" / "core" / f"test_{name}.py").write_text(
                f"def test_it():\n    open('{suite}/{name}', 'x')\n"
            )
        assert unit.main("test") == 3
        assert sorted(path.name for path in suite.glob("?")) == [*"bcd"]

    def test_files_that_no_process_claimed_fail(
        self, suite: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(unit, "run_in_turn", lambda *_: 0)
        assert unit.main("test") == 1
        assert "no process ran tests/core/test_core.py" in capfd.readouterr().out

    def test_own_tests_of_pure_code_run_with_coverage(self) -> None:
        files = ["tests/runs/io/test_b.py", "tests/core/test_a.py"]
        traced, untraced = unit.groups_of("test", files)
        assert traced.files == files[1:]
        assert "coverage" in traced.program
        assert untraced.files == files[:1]
        assert "coverage" not in untraced.program
        (every,) = unit.groups_of("coverage", files)
        assert (every.files, every.program) == (files, traced.program)
        (slow,) = unit.groups_of("test-full", files)
        assert (slow.files, slow.program) == (files, untraced.program)
        for group in (traced, untraced, every, slow):
            os.close(group.pipe)

    def test_files_are_written_into_memory_where_it_has_room(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unit, "MEMORY", tmp_path)
        monkeypatch.setattr(unit, "ROOM_BYTES", 1)
        folder = unit.folder_in_memory()
        assert folder is not None
        (folder / "left").touch()
        assert unit.folder_in_memory() == folder
        assert [*folder.iterdir()] == []
        monkeypatch.setattr(unit, "ROOM_BYTES", 1 << 60)
        assert unit.folder_in_memory() is None
        monkeypatch.setattr(unit, "MEMORY", tmp_path / "missing")
        assert unit.folder_in_memory() is None

    def test_nothing_follows_after_an_interrupt(self, tmp_path: Path) -> None:
        ends = [[sys.executable, "-c", f"raise SystemExit({code})"] for code in (1, 2)]
        mark = tmp_path / "mark"
        touch = [sys.executable, "-c", f"open({str(mark)!r}, 'w')"]
        assert unit.run_in_turn([*ends, touch], {}, None) == 1
        assert not mark.exists()


REPORT = """<testsuites><testsuite>
<testcase classname="tests.core.test_a.TestX" name="test_one[a]" file="src/suite.py" time="2.5"/>
<testcase classname="tests.core.test_a" name="test_two" file="tests/core/test_a.py" time="0.25"/>
<testcase classname="tests.test_b" name="test_three" file="tests/test_b.py" time="0.5"/>
</testsuite></testsuites>"""


class TestTimes:
    @pytest.fixture(autouse=True)
    def reports(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(test_times, "REPORTS", tmp_path)
        monkeypatch.setattr(test_times, "SECONDS", tmp_path / "seconds.json")

    def test_the_longest_is_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "test-2.xml").write_text(REPORT)
        assert test_times.main([]) == 0
        head, *lines = capsys.readouterr().out.splitlines()
        assert head == "test: 3 tests, 3 s in all processes"
        assert [line.split() for line in lines] == [
            ["2.50", "s", "test", "tests/core/test_a.py::TestX::test_one[a]"],
            ["0.50", "s", "test", "tests/test_b.py::test_three"],
            ["0.25", "s", "test", "tests/core/test_a.py::test_two"],
        ]

    def test_a_record_has_the_long_files_and_keeps_the_part_that_was_not_run(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "seconds.json").write_text('{"test": {"old": 3}, "test-full": {"kept": 4}}')
        (tmp_path / "test-1.xml").write_text(REPORT)
        assert test_times.main(["--record"]) == 0
        assert json.loads((tmp_path / "seconds.json").read_text()) == {
            "test": {"tests/core/test_a.py": 2.8},
            "test-full": {"kept": 4},
        }

    def test_without_a_report_it_says_what_makes_one(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert test_times.main([]) == 1
        assert "make test" in capsys.readouterr().err


class TestNative:
    """What make does when the system lacks LightGBM's OpenMP runtime."""

    @pytest.fixture(autouse=True)
    def without_openmp(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(ctypes, "CDLL", missing_library)

    @staticmethod
    def machine(monkeypatch: pytest.MonkeyPatch, *managers: str, root: bool) -> list[list[str]]:
        """A machine that has these managers, which do nothing; returns the calls that they get."""
        calls: list[list[str]] = []

        def call(command: list[str], **_: object) -> int:
            calls.append(command)
            return 1

        monkeypatch.setattr(shutil, "which", lambda name: name if name in managers else None)
        monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
        monkeypatch.setattr(subprocess, "call", call)
        return calls

    def test_a_present_runtime_needs_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = self.machine(monkeypatch, "apt-get", root=True)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: name)
        assert native.main("openmp") == 0
        assert calls == []

    def test_root_on_debian_installs_after_refreshing_the_lists(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.machine(monkeypatch, "apt-get", root=True)
        calls: list[str] = []

        def call(command: list[str], **_: object) -> int:
            calls.append(command[1])
            if calls == ["install", "update", "install"]:
                monkeypatch.setattr(ctypes, "CDLL", lambda name: name)
            return 100 if calls == ["install"] else 0

        monkeypatch.setattr(subprocess, "call", call)
        assert native.main("openmp") == 0
        assert calls == ["install", "update", "install"]

    @pytest.mark.parametrize(
        ("manager", "advice"),
        [
            ("apt-get", "run `sudo apt-get install -y --no-install-recommends libgomp1`"),
            ("dnf", "run `sudo dnf install -y libgomp`"),
            ("unknown", "install it"),
        ],
    )
    def test_a_user_is_told_what_to_run(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        manager: str,
        advice: str,
    ) -> None:
        calls = self.machine(monkeypatch, manager, root=False)
        assert native.main("openmp") == 1
        assert calls == []
        told = capsys.readouterr().err
        assert "libgomp.so.1: cannot open shared object file" in told
        assert advice in told

    @pytest.mark.parametrize(
        ("managers", "installs"), [(["brew"], [["brew", "install", "libomp"]]), ([], [])]
    )
    def test_macos_asks_homebrew_where_there_is_one(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        managers: list[str],
        installs: list[list[str]],
    ) -> None:
        calls = self.machine(monkeypatch, *managers, root=False)
        monkeypatch.setattr(sys, "platform", "darwin")
        assert native.main("openmp") == 1
        assert calls == installs
        assert "run `brew install libomp`" in capsys.readouterr().err


def test_make_runs_every_benchmark_that_has_results() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    [names] = re.findall(r"^BENCHMARKS := (.*)$", lines, re.MULTILINE)
    measured = {path.stem for path in (ROOT / "bench" / "results").glob("*.json")}
    assert {*names.split()} == measured


def figure(value: float, unit: str = "s", **others: Any) -> dict[str, Any]:
    """A row of a benchmark as it is saved."""
    row = {"name": "it", "value": value, "unit": unit, "goal": 1.0, "least": False, "noise": 0.0}
    return {**row, **others}


def saved(*rows: dict[str, Any], cpu: str = "one", pace_ms: float = 3.0) -> dict[str, Any]:
    return {"machine": {"cpu": cpu, "cores": 2, "pace_ms": pace_ms}, "rows": [*rows]}


class TestBenchmarksAreCompared:
    @pytest.mark.parametrize(
        ("before", "after", "worse"),
        [
            (figure(1.0), figure(1.05), False),
            (figure(1.0), figure(1.2), True),
            (figure(1.0), figure(0.5), False),
            (figure(1.0, noise=0.3), figure(1.2), False),
            (figure(1.0), figure(1.2, noise=0.3), True),
            (figure(1.0, noise=9.0), figure(2.0), True),
            (figure(1.0, goal=None), figure(1.2, goal=None), True),
            (figure(1.0, "x", goal=None), figure(2.0, "x", goal=None), False),
            (figure(100, "/s"), figure(80, "/s"), True),
            (figure(100, "/s"), figure(120, "/s"), False),
            (figure(0.9, "", least=True), figure(0.5, "", least=True), True),
            (figure(0, "steps", goal=0), figure(1, "steps", goal=0), True),
            (figure(0, "ms", goal=250), figure(0.5, "ms", goal=250), False),
            (figure(0, "ms", goal=250), figure(50, "ms", goal=250), True),
            (figure(-0.001, "x"), figure(0.0005, "x"), False),
            (figure(40, "", goal=None), figure(80, "", goal=None), False),
            (figure(1.0), figure(0.5, name="another"), True),
        ],
    )
    def test_a_row_is_worse_by_more_than_its_noise_or_gone(
        self, before: dict[str, Any], after: dict[str, Any], worse: bool
    ) -> None:
        found = sitting.worse_rows(saved(before), saved(after))
        assert bool(found) is worse

    @pytest.mark.parametrize("machine", [{"cpu": "another"}, {"pace_ms": 4.0}, {"pace_ms": 2.0}])
    def test_only_ratios_are_compared_with_those_of_another_machine(
        self, machine: dict[str, Any]
    ) -> None:
        before = saved(figure(1.0), figure(1.0, "x", name="ratio"))
        after = saved(figure(2.0), figure(2.0, "x", name="ratio"), **machine)
        assert [*sitting.worse_rows(before, after)] == [("ratio", 0)]

    def test_rows_of_one_name_are_compared_in_their_order(self) -> None:
        before, after = (
            saved(figure(1.0), figure(9.0, "us")),
            saved(figure(1.0), figure(18.0, "us")),
        )
        assert [*sitting.worse_rows(before, after)] == [("it", 1)]

    @pytest.mark.parametrize(
        "path", sorted((ROOT / "bench" / "results").glob("*.json")), ids=lambda path: path.stem
    )
    def test_committed_figures_can_be_measured_alone(self, path: Path) -> None:
        found = json.loads(path.read_text(encoding="utf-8"))
        assert [row["name"] for row in found["rows"] if not row.get("part")] == []

    @pytest.fixture
    def results(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[dict[str, list[float | None]]], dict[str, Path]]:
        """Lets benchmarks save these figures, one a call; None fails. All have the figure 1 committed."""

        def prepare(figures: dict[str, list[float | None]]) -> dict[str, Path]:
            files = {name: tmp_path / f"{name}.json" for name in figures}

            def run(command: list[str], **_: object) -> None:
                name = command[2].removeprefix("bench.")
                if (value := figures[name].pop(0)) is None:
                    raise subprocess.CalledProcessError(1, command)
                files[name].write_text(json.dumps(saved(figure(value))), encoding="utf-8")

            monkeypatch.setattr(sitting, "RESULTS", tmp_path)
            monkeypatch.setattr(sitting, "_WATCH_S", 0.0)
            monkeypatch.setattr(sitting, "_git_file", lambda _: json.dumps(saved(figure(1.0))))
            monkeypatch.setattr(sitting, "_run_command", run)
            return files

        return prepare

    @pytest.mark.parametrize(("second", "code"), [(1.0, 0), (1.6, 1)])
    def test_a_benchmark_with_a_worse_row_is_measured_once_more(
        self, results: Any, second: float, code: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = results({"spine": [2.0, second]})
        assert sitting.main(["spine"]) == code
        [row] = json.loads(files["spine"].read_text(encoding="utf-8"))["rows"]
        assert row["noise"] == pytest.approx(min(0.5, abs(second - 2.0) / second))
        said = "worse: spine: it: 1 before, 1.6 s, noise 10 %"
        assert (said in capsys.readouterr().out) is bool(code)

    def test_only_parts_with_worse_rows_are_measured_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        measured: list[str] = []

        def part(name: str, *values: float) -> Callable[[], list[common.Row]]:
            left = [*values]

            def measure() -> list[common.Row]:
                measured.append(name)
                return [common.Row(name="it", value=left.pop(0), unit="s", goal=3)]

            return measure

        def run(command: list[str], **_: object) -> None:
            common.drive("spine", command[3:], lambda _: parts)

        parts = {
            "first": part("first", 1, 1),
            "slow": part("slow", 1, 2, 1),
            "last": part("last", 1, 1),
        }
        for module in (common, sitting):
            monkeypatch.setattr(module, "RESULTS", tmp_path)
            monkeypatch.setattr(module, "others_share", lambda: nullcontext(lambda: 0.0))
        common.drive("spine", [], lambda _: parts)
        before = tmp_path / "before.json"
        (tmp_path / "spine.json").rename(before)
        monkeypatch.setattr(sitting, "_WATCH_S", 0.0)
        monkeypatch.setattr(sitting, "_git_file", lambda _: before.read_text(encoding="utf-8"))
        monkeypatch.setattr(sitting, "_run_command", run)
        assert sitting.main(["spine"]) == 0
        assert measured == ["first", "slow", "last", "first", "slow", "last", "slow"]
        rows = json.loads((tmp_path / "spine.json").read_text(encoding="utf-8"))["rows"]
        assert [(row["part"], row["value"]) for row in rows] == [
            ("first", 1.0),
            ("slow", 1.0),
            ("last", 1.0),
        ]
        assert rows[1]["noise"] == 0.5

    @pytest.mark.parametrize("ours", [True, False])
    def test_a_server_of_a_benchmark_is_none_of_the_others(self, ours: bool) -> None:
        # It leaves our tree, as servers do, and lasts until its input ends.
        code = (
            "import os, sys, time\n"
            "if os.fork(): os._exit(0)\n"
            "while time.process_time() < 0.3: pass\n"
            "print('worked', flush=True)\n"
            "sys.stdin.read()"
        )
        variables = os.environ if ours else {**os.environ, common.MARK: "another"}
        before = common._started_cpu_s()
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables,
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"worked\n"
            used = common._started_cpu_s() - before
        assert (used > 0.2) is ours

    def test_a_benchmark_that_fails_keeps_no_other_from_being_compared(
        self, results: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        results({"spine": [2.0, 2.0], "reuse": [None], "scale": [2.0, 2.0]})
        assert sitting.main(["spine", "reuse", "scale"]) == 1
        lines = [line for line in capsys.readouterr().out.splitlines() if "measured" not in line]
        assert [line.split(": ")[:2] for line in lines] == [
            ["worse", "spine"],
            ["failed", "reuse"],
            ["worse", "scale"],
        ]
