"""Every shipped adapter passes the conformance suite of its port."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.openlineage.server import lineage_server
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.claims import FileClaims
from tidemill.adapters.files.layered_artifacts import LayeredArtifacts
from tidemill.adapters.files.memos import FileMemos
from tidemill.adapters.openlineage.command_transport import CommandTransport
from tidemill.adapters.openlineage.file_transport import FileTransport
from tidemill.adapters.openlineage.http_transport import HttpTransport
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.claims import PostgresClaims
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger
from tidemill.ports.lineage import LineageTransport
from tidemill.ports.reuse import Claims, Memos
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.testing.doubles import MemoryArtifacts, MemoryClaims, MemoryLedger, MemoryLineage
from tidemill.testing.suites.artifacts_and_claims import ArtifactsSuite, ClaimsSuite
from tidemill.testing.suites.ledger import LedgerSuite
from tidemill.testing.suites.lineage import LineageTransportSuite
from tidemill.testing.suites.memos import MemosSuite


class TestSqliteLedger(LedgerSuite):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        ledger = SqliteLedger(tmp_path / "state" / "ledger.db")
        yield ledger
        ledger.close()


class TestPostgresLedger(LedgerSuite):
    @pytest.fixture
    def ledger(self, machine: Callable[[str], Ledger]) -> Ledger:
        return machine("one")


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


class TestLayeredArtifacts(ArtifactsSuite):
    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> Artifacts:
        return LayeredArtifacts(
            FileArtifacts(tmp_path / "upper"), FileArtifacts(tmp_path / "lower")
        )


class TestMemoryArtifacts(ArtifactsSuite):
    @pytest.fixture
    def artifacts(self) -> Artifacts:
        return MemoryArtifacts()


class TestFileClaims(ClaimsSuite):
    @pytest.fixture
    def new_claims(self, tmp_path: Path) -> Callable[[], Claims]:
        return lambda: FileClaims(tmp_path / "claims.lock")


class TestPostgresClaims(ClaimsSuite):
    @pytest.fixture
    def new_claims(self, address: HomeAddress) -> Callable[[], Claims]:
        return lambda: PostgresClaims(address)


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


@dataclass
class Receiver:
    """A transport and its other side."""

    transport: LineageTransport
    arrived: Callable[[], list[bytes]]


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


class TestFileTransport(LineageTransportSuite):
    @pytest.fixture
    def receiver(self, tmp_path: Path) -> Receiver:
        path = tmp_path / "lineage.jsonl"
        return Receiver(FileTransport(path), lambda: lines_of(path))


class TestCommandTransport(LineageTransportSuite):
    @pytest.fixture
    def receiver(self, tmp_path: Path) -> Receiver:
        code = "import sys; open('got', 'wb').write(sys.stdin.buffer.read())"
        command = [sys.executable, "-c", code]
        return Receiver(CommandTransport(command, tmp_path), lambda: lines_of(tmp_path / "got"))


class TestHttpTransport(LineageTransportSuite):
    @pytest.fixture
    def receiver(self) -> Iterator[Receiver]:
        with lineage_server(check=lambda event: []) as server:
            yield Receiver(HttpTransport(f"{server.url}/lineage"), lambda: server.bodies)


class TestMemoryLineage(LineageTransportSuite):
    @pytest.fixture
    def receiver(self) -> Receiver:
        transport = MemoryLineage()
        return Receiver(transport, lambda: transport.events)
