"""What keeps files too, each a process of its own that Drive is compared with."""

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.support.npm import NotInstalledError, installed
from bench.support.services import Backends, Started, environment_of, free_port
from drive.cli.processes import Service, running
from drive.peers.seed import PLAIN_ID

_LOOK_EVERY_S: Final = 0.02
# As it is by default, but in one process, without a log, and with connections that are kept.
_NGINX: Final = """
daemon off;
master_process off;
pid %(own)s/pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path %(own)s/body;
    proxy_temp_path %(own)s/proxy;
    fastcgi_temp_path %(own)s/fastcgi;
    uwsgi_temp_path %(own)s/uwsgi;
    scgi_temp_path %(own)s/scgi;
    server {
        listen 127.0.0.1:%(port)d;
        root %(folder)s;
    }
}
"""


@asynccontextmanager
async def same(within: Backends, folder: Path) -> AsyncIterator[Started]:
    """Run the bare application that does what Drive does to disk and database; it keeps files in the folder."""
    command = (sys.executable, "-m", "bench.http.same", str(folder), within.environment["DRIVE_DATABASE_URL"])
    async with running(PLAIN_ID, environment_of({}), command=command) as service:
        yield Started(service, (await service.logged("Listening"))["url"])


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[Started]:
    """Run nginx, which sends what is in the folder by sendfile.

    Raises:
        NotInstalledError: there is none.

    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # users have no /usr/sbin in theirs
    if program is None:
        raise NotInstalledError("nginx is not installed; on Debian: apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as own:
        port, settings = free_port(), Path(own) / "nginx.conf"
        settings.write_text(_NGINX % {"own": own, "port": port, "folder": folder}, "utf-8")
        command = (program, "-p", own, "-e", "stderr", "-c")
        async with running(str(settings), environment_of({}), command=command) as service:
            yield await _answering(service, port)


@asynccontextmanager
async def copyparty(folder: Path) -> AsyncIterator[Started]:
    """Run copyparty, which keeps what is sent in the folder, and hashes it with SHA-256.

    Raises:
        NotInstalledError: there is none.

    """
    if importlib.util.find_spec("copyparty") is None:
        raise NotInstalledError("copyparty is not installed; scripts/bench installs it in .venv-bench")
    with tempfile.TemporaryDirectory() as own:
        port, environment = free_port(), environment_of({"XDG_CONFIG_HOME": own})
        command = (sys.executable, "-m", "copyparty", "-q", "-i", "127.0.0.1", "-p", str(port), "--put-ck", "sha256")
        async with running(f"{folder}::w", environment, command=(*command, "-v")) as service:
            yield await _answering(service, port)


@asynccontextmanager
async def tus_server(folder: Path) -> AsyncIterator[Started]:
    """Run @tus/server with @tus/file-store, which keeps what is sent in the folder.

    Raises:
        NotInstalledError: there is no npm, or it could not install them.

    """
    program = await asyncio.to_thread(installed, Path(__file__).with_name("tus_server"))
    async with running(str(folder), environment_of({}), command=("node", str(program / "server.mjs"))) as service:
        yield Started(service, (await service.logged("Listening"))["url"])


async def _answering(service: Service, port: int) -> Started:
    """Wait until a server listens that does not say when it does.

    Raises:
        RuntimeError: it has ended.

    """
    while service.process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(_LOOK_EVERY_S)
        else:
            writer.close()
            await writer.wait_closed()
            return Started(service, f"http://127.0.0.1:{port}")
    raise RuntimeError(f"{service.name} did not start; it said {service.lines[-5:]}, and what stands above.")
