"""The API, as a client of tus 1.0."""

import hashlib
from base64 import b64encode
from typing import Any
from urllib.parse import urljoin

from drive.containers import Container
from drive.uploads.tus import TusUploads
from support.api import Answer, Api

ROOT = "/api/files/tus"
HEADERS = {"Tus-Resumable": "1.0.0"}
TYPE = "application/offset+octet-stream"


def metadata(**values: str | bytes) -> str:
    """Return a header `Upload-Metadata`."""
    pairs = ((key, value.encode() if isinstance(value, str) else value) for key, value in values.items())
    return ",".join(f"{key} {b64encode(value).decode()}" for key, value in pairs)


def checksum(data: bytes, algorithm: str = "sha1") -> dict[str, str]:
    """Return a header `Upload-Checksum`."""
    return {"Upload-Checksum": f"{algorithm} {b64encode(hashlib.new(algorithm, data).digest()).decode()}"}


class Tus:
    """Requests of tus."""

    def __init__(self, api: Api, container: Container | None = None) -> None:
        self.api = api
        self._container = container

    async def request(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> Answer:
        return await self.api.request(method, path, headers=HEADERS | (headers or {}), **options)

    async def create(self, size: int, *, data: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Begin an upload."""
        with_upload = {} if data is None else {"Content-Type": TYPE}
        return await self.request("POST", ROOT, {"Upload-Length": str(size)} | with_upload | (headers or {}), data=data)

    async def begin(self, size: int, **values: str) -> str:
        """Begin an upload, and return its path."""
        answer = await self.create(size, headers={"Upload-Metadata": metadata(**values)} if values else None)
        assert answer.status == 201, answer
        return path_of(answer)

    async def patch(self, path: str, offset: int, data: Any, headers: dict[str, str] | None = None) -> Answer:
        """Send what follows."""
        more = {"Upload-Offset": str(offset), "Content-Type": TYPE}
        return await self.request("PATCH", path, more | (headers or {}), data=data)

    async def head(self, path: str) -> Answer:
        return await self.request("HEAD", path)

    async def offset(self, path: str) -> int:
        """Ask where an upload is."""
        answer = await self.head(path)
        assert answer.status == 200, answer
        return int(answer.headers["Upload-Offset"])

    @property
    def uploads(self) -> TusUploads:
        """The server's, where its container was given."""
        assert self._container is not None
        return self._container.tus_uploads()

    def is_receiving(self, path: str) -> bool:
        """Tell whether a request writes to an upload."""
        return id_of(path) in self.uploads._arriving

    async def delete(self, path: str) -> Answer:
        return await self.request("DELETE", path)

    async def content(self, answer: Answer) -> bytes:
        """Return the bytes of the file that an answer names."""
        reader = Api(self.api.session, self.api.url, self.api.token)
        reader.follows = True
        file = await reader.get(f"/api/files/{answer.headers['Upload-File-Id']}")
        assert file.status == 200, file
        return file.body


def path_of(answer: Answer) -> str:
    """Return where a new upload is."""
    return urljoin(ROOT, answer.headers["Location"])


def id_of(path: str) -> str:
    return path.rpartition("/")[2]
