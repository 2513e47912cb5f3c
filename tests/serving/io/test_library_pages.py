"""Pages of files that a process only reads may be unmapped, and keep their contents."""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
from pathlib import Path

import pytest

from tidemill.serving.io import library_pages
from tidemill.serving.io.library_pages import clean_mappings, unmap_clean_pages, unmap_soon

LINES = """\
00001000-00003000 r-xp 00000000 08:01 7   /lib/code.so
Rss:                 900 kB
Private_Dirty:       900 kB
Anonymous:             0 kB
00003000-00004000 r--p 00002000 08:01 7   /lib/code.so
Rss:                 900 kB
Anonymous:             4 kB
00004000-00005000 rw-p 00003000 08:01 7   /lib/code.so
Rss:                 900 kB
00005000-00006000 r--p 00000000 00:00 0
Rss:                 900 kB
00006000-00007000 r--p 00000000 00:00 0   [vvar]
Rss:                 900 kB
00007000-00008000 r--p 00000000 08:01 8   /lib/small.so
Rss:                 100 kB
00008000-00009000 r--p 00000000 08:01 9   /lib/a name with spaces.so
Rss:                 300 kB
Anonymous:             0 kB
VmFlags: rd mr
""".splitlines()


def test_only_mappings_without_changes_are_unmapped() -> None:
    assert list(clean_mappings(LINES)) == [(0x1000, 0x3000, 900), (0x8000, 0x9000, 300)]
    assert list(clean_mappings(LINES[:4])) == [(0x1000, 0x3000, 900)]
    assert list(clean_mappings([])) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc and MADV_DONTNEED")
def test_unmapped_pages_have_their_contents_when_they_are_read_again(tmp_path: Path) -> None:
    size = 1 << 20
    (tmp_path / "file").write_bytes(bytes(range(256)) * (size // 256))
    with (tmp_path / "file").open("rb") as file:
        clean = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ)
        changed = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    changed[:4] = b"mine"
    place = ctypes.addressof(ctypes.c_char.from_buffer(changed))
    # As the loader does it with what it has relocated.
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), size, mmap.PROT_READ) == 0
    assert sum(clean[::4096]) == sum(changed[4096::4096]) == 0
    mapped = [mapping for mapping in mappings() if mapping[2] == 1024]
    assert mapped
    assert place not in [start for start, _, _ in mapped]
    assert unmap_clean_pages() >= 1024
    assert not {start for start, _, _ in mapped} & {start for start, _, _ in mappings()}
    assert clean[:] == (tmp_path / "file").read_bytes()
    assert changed[:5] == b"mine\x04"


def test_pages_are_unmapped_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[threading.Thread] = []
    done = threading.Event()

    def unmap() -> None:
        found.append(threading.current_thread())
        done.set()

    monkeypatch.setattr(library_pages, "unmap_clean_pages", unmap)
    unmap_soon(0)
    assert done.wait(60)
    assert found[0].daemon


def mappings() -> list[tuple[int, int, int]]:
    return list(clean_mappings(Path("/proc/self/smaps").read_text().splitlines()))


def test_nothing_is_unmapped_where_mappings_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_pages, "_SMAPS", tmp_path / "none")
    assert unmap_clean_pages() == 0
    monkeypatch.setattr(sys, "platform", "darwin")
    assert unmap_clean_pages() == 0
