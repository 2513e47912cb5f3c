"""Whether a requirement applies here, by its environment marker."""

from __future__ import annotations

import platform
import sys

import pytest

from tidemill.analysis.code.requirement_markers import may_hold, normal_name

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


MARKERS: list[tuple[str, bool]] = [
    ("", True),
    (f"python_version == '{HERE}'", True),
    (f"python_version != '{HERE}'", False),
    ("python_version >= '3.11'", True),
    ("python_version >= '3.9'", True),  # as numbers
    ("python_version < '3.9'", False),
    ("'3.9' > python_version", False),
    ("python_version > '3'", True),
    (f"python_version <= '{HERE}.0'", True),
    ("python_full_version < '3.11.0.0.1'", False),
    (f"sys_platform == '{sys.platform}'", True),
    ("sys_platform == 'vax'", False),
    ("sys_platform != 'vax'", True),
    (f"platform_machine in 'vax {platform.machine()}'", True),
    ("platform_machine not in 'vax'", True),
    ("platform_machine in 'vax'", False),
    (f"platform_system == '{platform.system()}' and implementation_name == 'jython'", False),
    (f"platform_system == '{platform.system()}' or implementation_name == 'jython'", True),
    ("(os_name == 'vax' or os_name == 'ps') and python_version > '3'", False),
    ("extra == 'more'", True),
    ("extra == 'MORE'", True),
    ("'more' == extra", True),
    ("extra == 'other'", False),
    ("extra != 'other'", True),
    ("extra != 'more'", False),
    ("extra == 'other' and python_version >= '3'", False),
    ("extra == 'other' or python_version >= '3'", True),
    # What can't be judged holds, unless the rest decides.
    ("python_version ~= '2.0'", True),
    ("python_version == '2.*'", True),
    ("python_version in '2.6 2.7'", True),
    ("platform_release >= '20'", True),
    ("platform_release == '20' and sys_platform == 'vax'", False),
    ("platform_release == '20' and sys_platform != 'vax'", True),
    ("platform_release == '20' or sys_platform == 'vax'", True),
    ("sys_platform < 'a'", True),
    ("sys_platform == 7", True),
    ("sys_platform", True),
    ("extra in 'more'", True),
    ("'2' < python_version < '3'", True),
    ("not a marker", True),
]  # fmt: skip


@pytest.mark.parametrize(("marker", "holds"), MARKERS)
def test_markers(marker: str, holds: bool) -> None:
    assert may_hold(f" {marker} ", {"more"}) is holds


@pytest.mark.parametrize(
    "name", ["Tidal_Things", "tidal-things", " tidal..things", "TIDAL-_-things"]
)
def test_normal_names(name: str) -> None:
    assert normal_name(name) == "tidal-things"
