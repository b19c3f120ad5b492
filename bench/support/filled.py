"""A running Drive with files in it, and what signs in to it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.support.services import Backends, Started
from bench.support.transfer import Answer, Client

_FORM: Final = b'--bench\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--bench--\r\n'
FORM_TYPE: Final = {"Content-Type": "multipart/form-data; boundary=bench"}
"""Of what `form` returns."""


def form(name: str, content: bytes) -> bytes:
    """Return the body of a direct upload."""
    return _FORM % (name.encode(), content)


def signed_in(within: Backends) -> dict[str, str]:
    """Return the header that signs the account `plain` in."""
    return {"Authorization": f"Bearer {within.token}"}


def upload(client: Client, name: str, content: bytes, query: str = "") -> str:
    """Upload a small file, and return its id."""
    answer = client.ask("POST", f"/api/files/upload/direct{query}", form(name, content), FORM_TYPE)
    return str(parsed(answer)["id"])


def upload_chunks(client: Client, file: Path, size_bytes: int, sha256: str, chunk_bytes: int) -> str:
    """Upload a file in chunks, one after the other, and return its id."""
    wanted = {"hash": sha256, "file_name": file.name, "file_size": size_bytes, "content_type": "application/x-bench"}
    body = json.dumps(wanted | {"chunk_size": chunk_bytes}).encode()
    task = parsed(client.ask("POST", "/api/files/upload/create", body))
    step = task["chunk_size"]
    for index in range(task["chunks_count"]):
        part = (file, index * step, min(step, size_bytes - index * step))
        checked(client.ask("POST", f"/api/files/upload/chunk/{task['task_id']}/{index}", part))
    return str(parsed(client.ask("POST", f"/api/files/upload/complete/{task['task_id']}"))["id"])


def upload_tus(client: Client, endpoint: str, file: Path, size_bytes: int) -> str:
    """Upload a file by tus in one request after its creation, and return its location."""
    version = {"Tus-Resumable": "1.0.0"}
    created = checked(client.ask("POST", endpoint, headers=version | {"Upload-Length": str(size_bytes)}))
    location = created.headers["location"]
    if not location.startswith(("/", "http")):
        location = endpoint.rpartition("/")[0] + "/" + location
    patch = version | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    checked(client.ask("PATCH", location, (file, 0, size_bytes), patch))
    return location


def parsed(answer: Answer) -> Any:
    """Return the JSON of an answer that is no error."""
    return json.loads(checked(answer).body)


def checked(answer: Answer) -> Answer:
    """Return an answer that is no error.

    Raises:
        RuntimeError: it is one.

    """
    if answer.status >= 300:  # noqa: PLR2004 - what is no success, in HTTP
        raise RuntimeError(f"The answer was {answer.status}: {answer.body[:500]!r}")
    return answer


async def small_files(within: Backends, drive: Started, contents: Sequence[bytes], query: str = "") -> list[str]:
    """Upload small files, and return their ids."""

    def all_of_them() -> list[str]:
        client = Client(drive.url, signed_in(within))
        try:
            return [upload(client, f"{number}.bin", content, query) for number, content in enumerate(contents)]
        finally:
            client.close()

    return await asyncio.to_thread(all_of_them)
