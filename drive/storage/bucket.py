"""Requests to one bucket of an S3-compatible service.

aiohttp-s3-client signs them; they share the session, and so the cap on connections, of all outgoing HTTP. obstore would
do most of this with less code, but it can neither continue a multipart upload that another request or replica began,
nor sign the headers that an answer shall have, nor keep a cap on connections.
"""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, NamedTuple

import structlog
from yarl import URL

from drive.storage.interfaces import StoredObject, StoreUnavailableError

if TYPE_CHECKING:
    import aiohttp
    from aiohttp_s3_client import S3Client
    from aiohttp_s3_client.credentials import StaticCredentials

    from drive.lazy import Lazy

log = structlog.get_logger()

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.1
_CONNECT_TIMEOUT_S = 5.0
_SILENCE_TIMEOUT_S = 30.0
_PIECE_BYTES = 256 * 1024
_PAGE = 1000
_REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_MOMENTARY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class Answer(NamedTuple):
    """An answer that has been read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Bucket:
    """A bucket: keys, and what is under them.

    Args:
        session: of outgoing HTTP; opened by the first request.
        url: http(s)://host:port/bucket.
        region: as the service calls it.
        access_key_id: who we are there.
        secret_access_key: and how we show it.

    """

    def __init__(
        self,
        session: "Lazy[aiohttp.ClientSession]",
        *,
        url: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
    ) -> None:
        self.url = url
        self._session = session
        self._region = region
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key

    def __repr__(self) -> str:
        """Show where it is, and not how to get in."""
        return f"Bucket({self.url!r})"

    def signed_url(self, key: str, query: Mapping[str, str], *, expires_s: int) -> str:
        """Return a URL under which anybody can read the object for a while; `query` names headers of the answer."""
        url = str(URL(f"{self.url}/{key}").with_query(query))
        signed: str = self._credentials().signer.presign_url(
            "GET", url, content_hash="UNSIGNED-PAYLOAD", expires=expires_s
        )
        return signed

    async def put(self, key: str, body: IO[bytes] | bytes, *, mime_type: str, only_if_new: bool = False) -> str | None:
        """Store an object, and return its ETag; None where it was to be new and is not."""
        headers = {"Content-Type": mime_type} | ({"If-None-Match": "*"} if only_if_new else {})
        answer = await self._request("PUT", key, headers=headers, body=body)
        if only_if_new and answer.status in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT}:
            return None
        return _etag(_expected(answer, f"storing {key}"))

    async def copy(self, source: str, key: str, *, mime_type: str) -> bool:
        """Copy an object within the bucket; False where it is not there."""
        name = URL(self.url).path.strip("/")
        headers = {
            "Content-Type": mime_type,
            "x-amz-copy-source": f"/{name}/{source}",
            "x-amz-metadata-directive": "REPLACE",
        }
        answer = await self._request("PUT", key, headers=headers)
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        # As with completing: the service may begin an answer of 200 before it has tried.
        if b"CopyObjectResult" not in _expected(answer, f"copying {source}").body:
            raise StoreUnavailableError(f"copying {source}: {_reason(answer)}")
        return True

    async def get(self, key: str) -> bytes | None:
        """Return a small object; None if it is not there."""
        answer = await self._request("GET", key)
        return None if answer.status == HTTPStatus.NOT_FOUND else _expected(answer, f"reading {key}").body

    async def size_bytes(self, key: str) -> int | None:
        """Return how long an object is; None if it is not there."""
        answer = await self._request("HEAD", key)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return int(_expected(answer, f"looking at {key}").headers["Content-Length"])

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Give an object's bytes.

        Raises:
            FileNotFoundError: it is not there.

        """
        import aiohttp

        client = await self._client()
        try:
            async with client.get(key, timeout=_timeout()) as response:
                if response.status == HTTPStatus.NOT_FOUND:
                    raise FileNotFoundError(key)
                if response.status != HTTPStatus.OK:
                    _expected(Answer(response.status, response.headers, await response.read()), f"reading {key}")
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreUnavailableError(f"reading {key}: {error!r}") from error

    async def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        answer = await self._request("DELETE", key)
        if answer.status != HTTPStatus.NOT_FOUND:
            _expected(answer, f"deleting {key}")

    async def listed(self, prefix: str = "") -> AsyncIterator[list[StoredObject]]:
        """Give what is stored under keys that begin with the prefix, in pages, in the order of the keys.

        A page is asked for by the key before it, and not by the token of the last answer: keys have no character that
        some services sign in another way than others.
        """
        from aiohttp_s3_client.xml import parse_list_objects

        query = {"list-type": "2", "max-keys": str(_PAGE)} | ({"prefix": prefix} if prefix else {})
        while True:
            answer = _expected(await self._request("GET", "", query=query), f"listing {prefix!r}")
            found, _, has_more = parse_list_objects(answer.body)
            yield [StoredObject(one.key, one.size, one.last_modified) for one in found]
            if not has_more:
                return
            query["start-after"] = found[-1].key

    async def begin_multipart(self, key: str, *, mime_type: str) -> str:
        """Begin an upload in parts, and return its id."""
        from aiohttp_s3_client.xml import parse_create_multipart_upload_id

        answer = await self._request("POST", key, query={"uploads": ""}, headers={"Content-Type": mime_type})
        return parse_create_multipart_upload_id(_expected(answer, f"beginning {key}").body)

    async def put_part(self, key: str, upload_id: str, number: int, body: IO[bytes]) -> str | None:
        """Store a part, from 1 on, and return its ETag; None if the upload has ended."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        answer = await self._request("PUT", key, query=query, body=body)
        return None if answer.status == HTTPStatus.NOT_FOUND else _etag(_expected(answer, f"storing part {number}"))

    async def complete_multipart(self, key: str, upload_id: str, etags: list[str]) -> bool:
        """Make the parts an object; False if the upload has ended, or some part is not the one of this ETag."""
        from aiohttp_s3_client.xml import create_complete_upload_request

        body = create_complete_upload_request(list(enumerate(etags, start=1)))
        answer = await self._request("POST", key, query={"uploadId": upload_id}, body=body)
        if answer.status == HTTPStatus.NOT_FOUND or (
            answer.status == HTTPStatus.BAD_REQUEST and b"<Code>InvalidPart" in answer.body
        ):
            return False
        # The service may begin an answer of 200 before it has tried.
        if b"CompleteMultipartUploadResult" not in _expected(answer, f"completing {key}").body:
            raise StoreUnavailableError(f"completing {key}: {_reason(answer)}")
        return True

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Forget an upload and its parts, if it has not ended."""
        answer = await self._request("DELETE", key, query={"uploadId": upload_id})
        if answer.status != HTTPStatus.NOT_FOUND:
            _expected(answer, f"aborting {key}")

    async def _client(self) -> "S3Client":
        from aiohttp_s3_client import S3Client

        return S3Client(await self._session(), self.url, credentials=self._credentials())

    def _credentials(self) -> "StaticCredentials":
        """Return who we are there: what the pool says, and nothing that the environment may hold.

        Raises:
            StoreUnavailableError: the pool has no key.

        """
        from aiohttp_s3_client.credentials import StaticCredentials

        if not self._access_key_id or not self._secret_access_key:
            raise StoreUnavailableError("the pool has no key: `drive pool edit` sets secret_id and secret_key")
        return StaticCredentials(
            access_key_id=self._access_key_id, secret_access_key=self._secret_access_key, region=self._region
        )

    async def _request(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: IO[bytes] | bytes = b"",
    ) -> Answer:
        """Send a request, several times where the service has a bad moment: each of ours may be repeated."""
        client = await self._client()
        attempt = 1
        while True:
            reason: object
            try:
                answer = await _sent(client, method, key, dict(query or {}), dict(headers or {}), body)
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and answer.status not in _MOMENTARY:
                    return answer
                reason = _reason(answer)
            except OSError as error:  # aiohttp's connection errors and TimeoutError are some
                reason = repr(error)
            if attempt == _ATTEMPTS:
                raise StoreUnavailableError(f"{method} {key}: {reason}")
            await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            attempt += 1


async def _sent(
    client: "S3Client", method: str, key: str, query: dict[str, str], headers: dict[str, str], body: IO[bytes] | bytes
) -> Answer:
    """Send a request once. The service is told the hash of a small body; a large one is not read twice for it."""
    import aiohttp

    data: bytes | AsyncIterator[bytes]
    if isinstance(body, bytes):
        data, length, sha256 = body, len(body), hashlib.sha256(body).hexdigest()
    else:
        data, length, sha256 = _pieces(body), body.seek(0, os.SEEK_END), None
    try:
        async with client.request(
            method,
            key,
            headers=headers,
            params=query or None,
            data=data,
            data_length=length,
            content_sha256=sha256,
            timeout=_timeout(),
        ) as response:
            return Answer(response.status, response.headers, await response.read())
    except aiohttp.ClientError as error:
        raise ConnectionError(repr(error)) from error


async def _pieces(body: IO[bytes]) -> AsyncIterator[bytes]:
    body.seek(0)
    while piece := await asyncio.to_thread(body.read, _PIECE_BYTES):
        yield piece


def _timeout() -> "aiohttp.ClientTimeout":
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=_SILENCE_TIMEOUT_S)


def _expected(answer: Answer, what: str) -> Answer:
    """Return an answer that says that all went well.

    Raises:
        StoreUnavailableError: any other; what a client is told of it says no more than that.

    """
    if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.PARTIAL_CONTENT}:
        if answer.status in _REFUSALS:
            log.error("Bucket refuses the pool's key", what=what, status=answer.status, reason=_reason(answer))
        raise StoreUnavailableError(f"{what}: {answer.status} {_reason(answer)}")
    return answer


def _reason(answer: Answer) -> str:
    """Return the error's code in an answer, such as `NoSuchBucket`; its text may name keys."""
    _, _, rest = answer.body.partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode(errors="replace")[:100] or f"HTTP {answer.status}"


def _etag(answer: Answer) -> str:
    return answer.headers["ETag"].strip('"')
