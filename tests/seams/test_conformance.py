"""Every shipped adapter passes the conformance suite of its port."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.claims import FileClaims
from tidemill.adapters.files.memos import FileMemos
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger
from tidemill.ports.reuse import Claims, Memos
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.testing.doubles import MemoryArtifacts, MemoryClaims, MemoryLedger
from tidemill.testing.suites.artifacts_and_claims import ArtifactsSuite, ClaimsSuite
from tidemill.testing.suites.ledger import LedgerSuite
from tidemill.testing.suites.memos import MemosSuite


class TestSqliteLedger(LedgerSuite):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        ledger = SqliteLedger(tmp_path / "state" / "ledger.db")
        yield ledger
        ledger.close()


class TestWorkflowLedger(LedgerSuite):
    """A workflow works in a shared ledger as if it were alone in it."""

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        shared = SqliteLedger(tmp_path / "state" / "ledger.db")
        ledger = WorkflowLedger(shared, "shop/eu", ["daily"])
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
    def new_claims(self, tmp_path: Path) -> Callable[[], Claims]:
        return lambda: FileClaims(tmp_path / "claims.lock")


class TestMemoryClaims(ClaimsSuite):
    @pytest.fixture
    def new_claims(self) -> Callable[[], Claims]:
        first = MemoryClaims()
        return lambda: MemoryClaims(first)


class TestFileMemos(MemosSuite):
    @pytest.fixture
    def open_memos(self, tmp_path: Path) -> Callable[[], Memos]:
        return lambda: FileMemos(tmp_path / "memo")


class TestUnkept(MemosSuite):
    @pytest.fixture
    def open_memos(self) -> Callable[[], Memos]:
        memos = InMemoryMemos()
        return lambda: memos
