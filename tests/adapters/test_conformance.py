"""Every adapter that ships passes the suite of its seam."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidemill.act.unkept import Unkept
from tidemill.adapters.claims import FileClaims
from tidemill.adapters.files import FileArtifacts
from tidemill.adapters.memos import FileMemos
from tidemill.adapters.sqlite import SqliteLedger
from tidemill.ports import Artifacts, Claims, Ledger, Memos
from tidemill.testing.conformance import ArtifactsSuite, ClaimsSuite, LedgerSuite
from tidemill.testing.memory import MemoryArtifacts, MemoryClaims, MemoryLedger
from tidemill.testing.memos_suite import MemosSuite


class TestSqliteLedger(LedgerSuite):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        ledger = SqliteLedger(tmp_path / "state" / "ledger.db")
        yield ledger
        ledger.close()


class TestMemoryLedger(LedgerSuite):
    @pytest.fixture
    def ledger(self) -> Iterator[Ledger]:
        ledger = MemoryLedger()
        yield ledger
        ledger.close()


class TestFileArtifacts(ArtifactsSuite):
    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> Artifacts:
        return FileArtifacts(tmp_path / "state")


class TestMemoryArtifacts(ArtifactsSuite):
    @pytest.fixture
    def artifacts(self) -> Artifacts:
        return MemoryArtifacts()


class TestFileClaims(ClaimsSuite):
    @pytest.fixture
    def claimant(self, tmp_path: Path) -> Callable[[], Claims]:
        return lambda: FileClaims(tmp_path / "claims.lock")


class TestMemoryClaims(ClaimsSuite):
    @pytest.fixture
    def claimant(self) -> Callable[[], Claims]:
        first = MemoryClaims()
        return lambda: MemoryClaims(first)


class TestFileMemos(MemosSuite):
    @pytest.fixture
    def memoist(self, tmp_path: Path) -> Callable[[], Memos]:
        return lambda: FileMemos(tmp_path / "memo")


class TestUnkept(MemosSuite):
    @pytest.fixture
    def memoist(self) -> Callable[[], Memos]:
        memos = Unkept()
        return lambda: memos
