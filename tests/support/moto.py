"""An S3-compatible server, from the environment of the test's tools."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import aiohttp

SERVER = Path(__file__).parents[2] / ".venv-tools/bin/moto_server"

_START_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.02


class S3:
    """The server's address, and buckets on it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        """host:port."""

    async def new_bucket(self) -> str:
        """Make a bucket that is empty, and return its name."""
        name = f"drive-{uuid4().hex[:12]}"
        async with aiohttp.ClientSession() as session, session.put(f"http://{self.endpoint}/{name}") as response:
            assert response.status == 200, await response.text()
        return name


@contextmanager
def running() -> Iterator[S3]:
    """Run a server for a block. It keeps all in memory, and takes parts of any size."""
    command = [str(SERVER), "-H", "127.0.0.1", "-p", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DRIVE_", "PYTHON"))}
    environment["S3_UPLOAD_PART_MIN_SIZE"] = "1"
    environment["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(16 * 1024 * 1024)
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stderr=said, env=environment) as process:
        try:
            yield S3(_address(process, said))
        finally:
            process.kill()


def _address(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> str:
    """Return where it listens, which it says when it does."""
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while True:
        found = re.search(rb"Running on http://(\S+)", os.pread(said.fileno(), 10_000, 0))
        if found:
            return found[1].decode()
        assert process.poll() is None, f"{SERVER} ended at once"
        assert time.monotonic() < deadline_s, f"{SERVER} says not where it listens"
        time.sleep(_POLL_INTERVAL_S)
