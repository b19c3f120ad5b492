"""What both servers share: their life in a guarded folder."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL, Signals
from subprocess import PIPE, Popen, TimeoutExpired
from types import TracebackType
from typing import ClassVar, Self

from drive.embedded.folder import Account, EmbeddedServerError, new_folder_path
from drive.embedded.guardian import Guardian

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_POLL_INTERVAL_S = 0.005
_LOG_TAIL_LINES = 20


class EmbeddedServer(ABC):
    """Run a server inside a `with` block, with its data and its unix socket in a private folder.

    The methods block, so that asyncio code calls them in a thread; one at a time.
    """

    label: ClassVar[str]
    stop_signal: ClassVar[Signals]
    """Ends the server with its data on disk."""
    quit_signal: ClassVar[Signals]
    """Ends the server at once, when its data is not wanted any more."""

    def __init__(self) -> None:
        self._account: Account | None = None
        self._guardian: Guardian | None = None
        self._process: Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address, for the client library; the same after a restart."""

    @property
    def folder(self) -> Path:
        """The private folder."""
        return self._guard.folder

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def __enter__(self) -> Self:
        self._account = self._choose_account()
        self._guardian = Guardian.open(new_folder_path(self._account), self._account)
        try:
            self._prepare()
            self.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def start(self) -> None:
        """Start the server, unless it runs, and return when it answers.

        Raises:
            EmbeddedServerError: If it ends or does not answer in time; the message has the end of its log.
        """
        if self.pid is not None:
            return
        self._process = self._guard.launch(self._command(), self._log, self.quit_signal)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self._end(self.quit_signal)
            raise

    def stop(self) -> None:
        """Stop the server, if it runs; its data is there again after `start`."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Kill the server with -9, if it runs, as a crash would."""
        self._end(SIGKILL)

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """Return the command line of the server."""

    @abstractmethod
    def _ready(self) -> bool:
        """Tell whether the server answers."""

    def _choose_account(self) -> Account | None:
        """Return who the server runs as; None for this process's own account."""
        return None

    def _prepare(self) -> None:  # noqa: B027 - Valkey needs nothing
        """Fill the folder before the first start."""

    def _run(self, command: Sequence[str | Path], text_in: str = "") -> None:
        """Run a command that soon ends to its end; interrupted, it would leave shared memory behind."""
        with self._guard.launch(command, self._log, None, stdin=PIPE) as process:
            process.communicate(text_in.encode())
        self._guard.release()
        if process.returncode != 0:
            raise self._failure(f"{Path(command[0]).name} ended with status {process.returncode}")

    @property
    def _guard(self) -> Guardian:
        if self._guardian is None:
            raise EmbeddedServerError(f"{self.label} has no folder yet: use it inside `with {type(self).__name__}()`")
        return self._guardian

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _wait_until_ready(self, process: Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._ready():
            if process.poll() is not None:
                raise self._failure(f"it ended with status {process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"it did not answer within {_START_TIMEOUT_S:g} s")
            time.sleep(_POLL_INTERVAL_S)

    def _failure(self, reason: str) -> EmbeddedServerError:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        tail = "\n".join(lines[-_LOG_TAIL_LINES:])
        return EmbeddedServerError(f"{self.label} did not start, {reason}. The end of its log:\n{tail}")

    def _end(self, signal: Signals) -> None:
        if self._process is None:
            return
        _signal(self._process, signal)
        self._process = None
        self._guard.release()

    def _close(self) -> None:
        guardian, process = self._guard, self._process
        self._guardian = self._process = None
        try:
            if process is not None:
                _signal(process, self.quit_signal)
        finally:
            guardian.close()


def _signal(process: Popen[bytes], signal: Signals) -> None:
    """Send a signal to the group that a process leads, and wait for its end."""
    if process.poll() is None:
        os.killpg(process.pid, signal)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except TimeoutExpired:
        os.killpg(process.pid, SIGKILL)
        process.wait()
