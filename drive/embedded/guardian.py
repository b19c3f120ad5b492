"""The process that cleans up after this one, however this one ends."""

import os
from collections.abc import Sequence
from pathlib import Path
from signal import Signals
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from typing import IO, Self
from weakref import WeakSet

from drive.embedded.folder import Account, EmbeddedServerError

_CLOSE_TIMEOUT_S = 10.0

# The guardian makes the folder itself, so that there never is one without the other. Its input ends when nobody holds
# the pipe any more: neither this process nor a launched one that has not yet said its number. The last line that it
# read is the process group to end and the signal to do it, 0 to let it end by itself. The group's leader may stay a
# zombie where the system's first process does not reap.
_SCRIPT = """
trap '' HUP INT PIPE TERM
mkdir -m 700 -- "$1" || exit
echo ready
launched=
while read -r line; do launched=$line; done
if [ -n "$launched" ]; then
    group=${launched% *}
    kill -s "${launched#* }" -- "-$group"
    tries=40
    while [ "$tries" -gt 0 ] && kill -s 0 -- "-$group" && ! grep -q '^State:.Z' "/proc/$group/status"; do
        sleep 0.05
        tries=$((tries - 1))
    done
    kill -s KILL -- "-$group"
fi 2>/dev/null
rm -rf -- "$1"
"""

# The shell's output is the guardian's pipe: it says its number, then becomes the server, whose output is the log.
_LAUNCH = 'echo "$$ $1" && shift && exec "$@" >>"$0" 2>&1'

# None of our own variables: PGPORT and its like are settings to PostgreSQL.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_pipes = WeakSet[IO[bytes]]()


def _close_pipes() -> None:
    for pipe in _pipes:
        pipe.close()


# A forked child that outlives this process would keep the guardian waiting.
os.register_at_fork(after_in_child=_close_pipes)


def _streams(process: Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise TypeError("The guardian is a process with pipes for its input and its output")
    return process.stdin, process.stdout


class Guardian:
    """Hold a private folder; once this process closes it or dies, end what was launched and remove the folder."""

    def __init__(self, folder: Path, account: Account | None, process: Popen[bytes]) -> None:
        self.folder = folder
        self._account = account
        self._process = process
        self._pipe, self._output = _streams(process)
        _pipes.add(self._pipe)

    @classmethod
    def open(cls, folder: Path, account: Account | None) -> Self:
        """Make the folder, which must not exist, for the account (None for this process's own).

        Raises:
            EmbeddedServerError: If the folder cannot be made.
        """
        command = ["/bin/sh", "-c", _SCRIPT, "guardian", str(folder)]
        # A session of its own keeps Ctrl-C in a terminal away from it.
        process = Popen(command, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=STDOUT, cwd="/", start_new_session=True)  # noqa: S603 - fixed command
        guardian = cls(folder, account, process)
        try:
            guardian._await_folder()
        except BaseException:
            guardian._finish()
            raise
        return guardian

    def _await_folder(self) -> None:
        answer = self._output.readline()
        if answer != b"ready\n":
            raise EmbeddedServerError(f"Cannot make a folder for the server: {answer.decode(errors='replace').strip()}")
        if self._account is not None:
            os.chown(self.folder, self._account.uid, self._account.gid)

    def launch(
        self, command: Sequence[str | Path], log: Path, quit_signal: Signals | None, stdin: int = DEVNULL
    ) -> Popen[bytes]:
        """Start a process in a session of its own, which the guardian knows before it does anything.

        Args:
            command: The program and its arguments.
            log: The file that its output is added to.
            quit_signal: Ends it at once, should this process die; None where it soon ends by itself.
            stdin: Its input, as for Popen.
        """
        signal = quit_signal.name.removeprefix("SIG") if quit_signal else "0"
        return Popen(  # noqa: S603 - our own commands
            ["/bin/sh", "-c", _LAUNCH, str(log), signal, *map(str, command)],
            stdin=stdin,
            stdout=self._pipe,
            cwd=self.folder,
            env=_ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            **(self._account.popen_options() if self._account else {}),
        )

    def release(self) -> None:
        """Forget the launched process, which has ended: its number may become another's."""
        self._pipe.write(b"\n")

    def close(self) -> None:
        """End what was launched, if it still runs, and wait until the folder is gone.

        Raises:
            EmbeddedServerError: If the folder could not be removed.
        """
        status, output = self._finish()
        if status != 0:
            raise EmbeddedServerError(f"{self.folder} is left behind, remove it: {output or f'status {status}'}")

    def _finish(self) -> tuple[int, str]:
        self._pipe.close()
        try:
            status = self._process.wait(_CLOSE_TIMEOUT_S)
        except TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        with self._output:
            return status, self._output.read().decode(errors="replace").strip()
