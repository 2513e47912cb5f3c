"""Keep a process running: one that ends by itself is started again, later each time."""

from __future__ import annotations

import signal
import threading
import time

from tidemill.operations.backoff import RetriedFailure, add_failure
from tidemill.operations.io.children import SupervisedProcess

# Seconds: the first and the longest wait, what counts as steady, and until a process is killed.
_FIRST_S, _LONGEST_S, _STEADY_S, _END_S = 2.0, 300.0, 60.0, 5.0


class KeptProcess:
    """A module with arguments, in a process that is there until `close`."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = module, *arguments
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._process: SupervisedProcess | None = None
        self._thread = threading.Thread(target=self._keep, name="tidemill-kept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the process."""
        self._over.set()
        with self._lock:
            process = self._process
            if process is not None:
                process.send_signal(signal.SIGTERM)
        self._thread.join(_END_S)
        if process is not None and self._thread.is_alive():
            process.kill()
        self._thread.join()

    def _keep(self) -> None:
        failure: RetriedFailure | None = None
        while not self._over.is_set():
            began = time.monotonic()
            why = self._run()
            now = time.monotonic()
            known = None if now - began > _STEADY_S else failure
            failure = add_failure(known, why, now, first=_FIRST_S, longest=_LONGEST_S)
            self._over.wait(failure.retry_at - now)

    def _run(self) -> str:
        """Run the process until it ends; return how it did."""
        with self._lock:
            if self._over.is_set():
                return ""
            try:
                process = self._process = SupervisedProcess(*self._command)
            except OSError as error:
                return str(error)
        process.wait()
        with self._lock:
            self._process = None
            process.close()
        return process.describe_end()
