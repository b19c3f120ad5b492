"""
Bytes per second, latency and memory of downloads and uploads, beside nginx, a bare aiohttp application and others.

Servers and clients share this machine, and talk over its loopback, so that on two cores a client's work is missing to the server. The clients of large files cost next to nothing: downloads are dropped by the kernel (`MSG_TRUNC`), and uploads leave the file by `sendfile`. Those of small files are [wrk](https://github.com/wg/wrk); 64 files of 64 KiB are asked for in turn. wrk and nginx are not from PyPI: `apt-get install wrk nginx-light`. What is not installed is left out.

**Downloads** are of files that the system has in its cache. *nginx* sends them by `sendfile`, as one process without a log, else with its own defaults. *Bare* is `FileResponse` of aiohttp, which uses `sendfile` too. Neither asks who is asking: Drive is sent a token and private files, so that each download is authenticated and its permission checked in PostgreSQL. That is a part of a large file's download that cannot be seen, and most of a small one's. The figure of one client is the median of a dozen downloads a round, as where the system runs server and client moves each of them by a lot.

**Uploads** begin with the first request and end with the last answer, at which Drive has the file's SHA-256, and its bytes are on the disk. That is what *bare* does as well, an aiohttp handler that streams a body to a file, hashes it with SHA-256 and calls `fsync`, each in its turn; but it keeps no account, no quota and no record. Before each upload the machine writes to the disk what is still to be written, and the file gets other bytes, as Drive takes nothing twice. After each it is looked up where the server keeps it, and removed; once a run its hash is compared.

- *Drive, chunks of 5 MiB* is its own way with its default size: a request for each chunk, which is on the disk and recorded when it is answered, so that an upload goes on after it, whatever happens. *Chunks of 64 MiB* are the largest that it takes by default. **The goal is held against these**, as what a client does who wants to be fast; both send one request after the other.
- *Drive, tus in one PATCH* sends all in one request after the one that creates the upload. Drive records it every 5 MiB all the same.
- *copyparty* is sent a plain PUT, which it hashes with SHA-256 (`--put-ck sha256`). It is not told to wait for the disk, nor can it be: its bytes are in the system's memory when it answers. Its own client, up2k, hashes in the browser and sends chunks, which is not measured.
- *@tus/server* has @tus/file-store. It neither hashes nor waits for the disk.

**Direct uploads** are forms of one file, of which Drive takes up to 20 MiB by default; *bare* is sent the same bytes by PUT. Those of 16 MiB are sent by one client, twenty a round, those of 64 KiB by wrk.

**Memory** is the most that the server was seen to have in the same runs.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import tempfile
from pathlib import Path

from bench.goals import goal
from bench.http.downloads import downloads
from bench.http.uploads import uploads
from bench.measure import Effort
from bench.support.services import backends
from bench.tables import Table


def tables(effort: Effort) -> list[Table]:
    """Measure downloads, then uploads: each has its own Drive, so that neither has the other's memory."""
    return asyncio.run(_tables(effort))


async def _tables(effort: Effort) -> list[Table]:
    async with backends() as within:
        with tempfile.TemporaryDirectory() as folder:
            found = await downloads(within, effort, Path(folder), goal("download"))
        with tempfile.TemporaryDirectory() as folder:
            return found + await uploads(within, effort, Path(folder), goal("upload"))
