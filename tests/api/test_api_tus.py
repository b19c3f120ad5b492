"""tus 1.0, rule by rule."""

import asyncio
import hashlib
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from support.api import Answer, Api
from support.process import serving
from support.queries import counting
from support.raw import RawRequest
from support.rows import Rows, add_pool, expire, reserved_bytes, task_status, used_bytes
from support.storage import objects, staged
from support.tus import HEADERS, ROOT, TYPE, Tus, checksum, id_of, metadata, path_of
from support.waiting import eventually

from drive.clients.accounts import Account
from drive.containers import Container
from drive.errors import Code, DriveError, unavailable
from drive.jobs.worker import Worker
from drive.lazy import lifespan
from drive.peers import Peers
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings
from drive.uploads.tus import TusUploads

CONTENT = b"0123456789"
CHUNK_BYTES = 4

Serve = Callable[[Container], Awaitable[Api]]


@pytest_asyncio.fixture
async def tus(settings: Settings, serve_app: Serve, monkeypatch: pytest.MonkeyPatch) -> Tus:
    """Give a client of a server with tiny chunks, so that ten bytes go through three of them."""
    monkeypatch.setattr("drive.storage.s3.S3Store.least_chunk_bytes", 1)  # the tests' server takes any
    container = Container(settings=replace(settings, upload_chunk_bytes=CHUNK_BYTES))
    return Tus(await serve_app(container), container)


@pytest.mark.local_store
class TestWhatIsSpoken:
    """`OPTIONS`, and what every answer has."""

    @pytest.mark.parametrize("path", [ROOT, f"{ROOT}/", f"{ROOT}/some-upload"])
    @pytest.mark.parametrize("headers", [{}, {"Tus-Resumable": "0.1"}], ids=["no version", "another version"])
    async def test_options_tell_it_to_anybody(
        self, api: Api, settings: Settings, path: str, headers: dict[str, str]
    ) -> None:
        answer = await api.signed_in_as(None).request("OPTIONS", path, headers=headers)
        assert (answer.status, answer.body) == (204, b"")
        assert {name: value for name, value in answer.headers.items() if name.startswith("Tus-")} == {
            "Tus-Resumable": "1.0.0",
            "Tus-Version": "1.0.0",
            "Tus-Extension": "creation,creation-with-upload,termination,checksum,expiration",
            "Tus-Max-Size": str(min(settings.upload_max_bytes, 10_000 * settings.upload_chunk_max_bytes)),
            "Tus-Checksum-Algorithm": "sha1,sha256,md5",
        }

    @pytest.mark.parametrize("sent", [None, "", "0.2.2", "1.0", "1.0.0 ", "2.0.0"])
    @pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
    async def test_other_versions_are_refused_and_nothing_happens(
        self, tus: Tus, rows: Rows, method: str, sent: str | None
    ) -> None:
        path = await tus.begin(10)
        headers = {"Upload-Length": "10", "Upload-Offset": "0", "Content-Type": TYPE}
        answer = await tus.api.request(
            method,
            ROOT if method == "POST" else path,
            headers=headers if sent is None else headers | {"Tus-Resumable": sent},
            data=None if method in {"HEAD", "DELETE"} else CONTENT,
        )
        if sent == "1.0.0 ":  # white space around a value is none of it
            assert answer.status < 300
            return
        assert answer.status == 412, answer
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert await tus.offset(path) == 0
        assert await rows.fetchval("select count(*) from upload_tasks") == 1

    async def test_every_answer_has_the_version(self, tus: Tus) -> None:
        path = await tus.begin(10)
        answers = [
            await tus.create(10),
            await tus.head(path),
            await tus.head(f"{ROOT}/absent"),
            await tus.patch(path, 0, CONTENT[:1]),
            await tus.patch(path, 5, CONTENT[:1]),
            await tus.api.request("PATCH", path, data=b"x"),
            await tus.api.request("PUT", path),
            await tus.api.signed_in_as(None).request("POST", ROOT, headers=HEADERS),
            await tus.delete(path),
        ]
        assert [it.status for it in answers] == [201, 200, 404, 204, 409, 412, 405, 401, 204]
        assert {it.headers["Tus-Resumable"] for it in answers} == {"1.0.0"}
        assert "Tus-Resumable" not in (await tus.api.get("/api/files/me")).headers


CREATIONS: dict[str, tuple[dict[str, str], int, str]] = {
    "no length": ({}, 400, "Upload-Length"),
    "a length that is none": ({"Upload-Length": "ten"}, 400, "Upload-Length"),
    "a negative length": ({"Upload-Length": "-1"}, 400, "Upload-Length"),
    "a length with a sign": ({"Upload-Length": "+1"}, 400, "Upload-Length"),
    "a length in other digits": ({"Upload-Length": "\u0661"}, 400, "Upload-Length"),
    "a huge length": ({"Upload-Length": "9" * 40}, 400, "Upload-Length"),
    "a length that is deferred": ({"Upload-Defer-Length": "1"}, 400, "Upload-Defer-Length"),
    "a part of several": ({"Upload-Length": "1", "Upload-Concat": "partial"}, 400, "Upload-Concat"),
    "several parts": ({"Upload-Concat": "final;/a /b"}, 400, "Upload-Concat"),
    "more than there is room for": ({"Upload-Length": str(2**50)}, 413, ""),
    "a body of another type": ({"Upload-Length": "1", "Content-Type": "text/plain", "body": "x"}, 415, ""),
    "a longer body than announced": ({"Upload-Length": "1", "Content-Type": TYPE, "body": "xx"}, 413, ""),
    "an unknown pool": ({"Upload-Metadata": metadata(pool_id="00000000-0000-0000-0000-00000000abcd")}, 404, ""),
    "a pool that is none": ({"Upload-Metadata": metadata(pool_id="pool")}, 400, "pool_id"),
    "an unknown bundle": ({"Upload-Metadata": metadata(bundle_id="00000000-0000-0000-0000-00000000abcd")}, 404, ""),
    "a bundle that is none": ({"Upload-Metadata": metadata(bundleId="1")}, 400, "bundle_id"),
    "a path that goes up": ({"Upload-Metadata": metadata(path="/a/../b")}, 400, "path"),
    "a path with NUL": ({"Upload-Metadata": metadata(path="/\0")}, 400, "path"),
    "a hash with NUL": ({"Upload-Metadata": metadata(hash="\0")}, 400, "hash"),
    "an endless hash": ({"Upload-Metadata": metadata(hash="a" * 257)}, 400, "hash"),
    "a name with NUL": ({"Upload-Metadata": metadata(filename="a\0b")}, 400, "file_name"),
    "a name with a line break": ({"Upload-Metadata": metadata(name="a\nb")}, 400, "file_name"),
    "an endless name": ({"Upload-Metadata": metadata(name="a" * 1025)}, 400, "file_name"),
    "a name that is no text": ({"Upload-Metadata": metadata(filename=b"\xff\xfe")}, 400, "Upload-Metadata"),
    "a name with half a character": ({"Upload-Metadata": metadata(filename=b"\xed\xa0\x80")}, 400, "Upload-Metadata"),
    "a type that is none": ({"Upload-Metadata": metadata(filetype="picture")}, 400, "content_type"),
    "a type with a header": ({"Upload-Metadata": metadata(type="a/b\r\nX-Evil: 1")}, 400, "content_type"),
    "an expiry in the past": ({"Upload-Metadata": metadata(expired_at="2001-01-01T00:00:00Z")}, 400, "expired_at"),
    "an expiry of no zone": ({"Upload-Metadata": metadata(expired_at="2101-01-01T00:00:00")}, 400, "expired_at"),
    "an expiry that is none": ({"Upload-Metadata": metadata(expired_at="never")}, 400, "expired_at"),
    "a strange visibility": ({"Upload-Metadata": metadata(visibility="mine")}, 400, "visibility"),
    "metadata that is no base64": ({"Upload-Metadata": "name a.txt"}, 400, "Upload-Metadata"),
    "metadata without a key": ({"Upload-Metadata": ",a YQ=="}, 400, "Upload-Metadata"),
    "metadata with nothing after a comma": ({"Upload-Metadata": "a YQ==,"}, 400, "Upload-Metadata"),
    "metadata with a key twice": ({"Upload-Metadata": "a YQ==,a YQ=="}, 400, "Upload-Metadata"),
    "metadata beyond ASCII": ({"Upload-Metadata": "ключ YQ=="}, 400, "Upload-Metadata"),
    "a checksum of another kind": ({"Upload-Checksum": "crc32 AAAAAA=="}, 400, "Upload-Checksum"),
    "a checksum that is short": ({"Upload-Checksum": "sha1 AAAA"}, 400, "Upload-Checksum"),
    "a checksum that is no base64": ({"Upload-Checksum": "md5 #"}, 400, "Upload-Checksum"),
    "a checksum of something else": (
        {"Upload-Length": "1", "Content-Type": TYPE, "body": "x"} | checksum(b"y"),
        460,
        "",
    ),
}


class TestCreation:
    """`POST`."""

    @pytest.mark.local_store
    @pytest.mark.parametrize("name", CREATIONS)
    async def test_what_is_wrong_is_refused_and_reserves_nothing(
        self, api: Api, rows: Rows, settings: Settings, name: str
    ) -> None:
        headers, status, field = CREATIONS[name]
        headers = dict(headers)
        if {"Upload-Metadata", "Upload-Checksum"} & headers.keys():
            headers.setdefault("Upload-Length", "1")
        body = headers.pop("body", None)
        answer = await Tus(api).request("POST", ROOT, headers, data=body)
        assert answer.status == status, answer
        assert list(answer.json.get("errors", {})) == ([field] if field else [])
        assert "Location" not in answer.headers
        assert await reserved_bytes(rows) == 0
        assert staged(settings) == set()

    async def test_an_upload_is_at_a_new_place_and_expires(self, tus: Tus, rows: Rows, settings: Settings) -> None:
        before = datetime.now(UTC)
        answer = await tus.create(10)
        assert (answer.status, answer.body) == (201, b"")
        assert answer.headers["Upload-Offset"] == "0"
        expires_at = parsedate_to_datetime(answer.headers["Upload-Expires"])
        lifetime_s = settings.upload_lifetime_s
        assert timedelta(seconds=lifetime_s - 2) <= expires_at - before <= timedelta(seconds=lifetime_s + 60)
        assert await tus.offset(path_of(answer)) == 0
        assert await reserved_bytes(rows) == 10

    @pytest.mark.parametrize("root", [ROOT, f"{ROOT}/"])
    async def test_the_place_is_relative_to_the_endpoint(self, tus: Tus, root: str) -> None:
        """A gateway may serve the endpoint under another path, with and without a slash at its end."""
        answer = await tus.request("POST", root, {"Upload-Length": "1"})
        location = answer.headers["Location"]
        assert location.startswith("tus/") is (root == ROOT)
        assert location.count("/") == (root == ROOT)
        assert await tus.offset(f"{ROOT}/{location.rpartition('/')[2]}") == 0

    async def test_metadata_comes_back_as_it_was_sent(self, tus: Tus) -> None:
        sent = metadata(filename="a.txt", anything=b"\x00") + ",is_confidential"
        path = path_of(await tus.create(1, headers={"Upload-Metadata": sent}))
        assert (await tus.head(path)).headers["Upload-Metadata"] == sent
        assert "Upload-Metadata" not in (await tus.head(await tus.begin(1))).headers

    @pytest.mark.parametrize(
        ("values", "name", "mime_type"),
        [
            ({"filename": "a.txt", "filetype": "text/plain"}, "a.txt", "text/plain"),
            ({"name": "a.txt", "type": "text/plain"}, "a.txt", "text/plain"),
            ({"name": "b", "filename": "ü.txt", "content_type": "image/png"}, "ü.txt", "image/png"),
            ({"filename": "", "name": "b", "filetype": ""}, "b", "application/octet-stream"),
            ({}, "Unnamed", "application/octet-stream"),
        ],
    )
    async def test_the_file_is_called_what_the_metadata_says(
        self, tus: Tus, values: dict[str, str], name: str, mime_type: str
    ) -> None:
        answer = await tus.create(1, data=b"x", headers={"Upload-Metadata": metadata(**values)})
        file = (await tus.api.get(f"/api/files/{answer.headers['Upload-File-Id']}/info")).json
        assert (file["name"], file["mime_type"]) == (name, mime_type)

    async def test_all_that_create_takes_is_taken(self, tus: Tus, rows: Rows) -> None:
        pool_id = await add_pool(rows)
        bundle = (await tus.api.post("/api/bundles", json={"name": "bundle"})).json
        values = {
            "poolId": pool_id,
            "bundle_id": bundle["id"],
            "path": "/a/b",
            "hash": hashlib.sha256(CONTENT).hexdigest(),
            "expired_at": "2101-01-01T00:00:00+01:00",
            "visibility": "private",
        }
        answer = await tus.create(10, data=CONTENT, headers={"Upload-Metadata": metadata(**values)})
        file = (await tus.api.get(f"/api/files/{answer.headers['Upload-File-Id']}/info")).json
        assert (file["pool_id"], file["bundle_id"], file["visibility"]) == (pool_id, bundle["id"], "private")
        assert file["expired_at"] == "2100-12-31T23:00:00Z"
        browsed = (await tus.api.get("/api/index/browse?path=/a/b")).json
        assert [it["file_id"] for it in browsed["files"]] == [file["id"]]

    async def test_quota_and_the_pools_policy_hold(self, tus: Tus, rows: Rows) -> None:
        pool_id = await add_pool(rows, max_file_size=5)
        refused = await tus.create(6, headers={"Upload-Metadata": metadata(pool_id=pool_id)})
        assert refused.status in {403, 413}, refused
        too_much = await tus.create(10**11)
        assert (too_much.status, too_much.code) == (403, "QUOTA_EXCEEDED")

    @pytest.mark.parametrize("sent", [0, 1, 4, 7, 10])
    async def test_the_first_bytes_may_come_along(self, tus: Tus, sent: int) -> None:
        answer = await tus.create(10, data=CONTENT[:sent], headers=checksum(CONTENT[:sent], "sha256"))
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, str(sent))
        assert ("Upload-File-Id" in answer.headers) is (sent == 10)
        if sent < 10:
            answer = await tus.patch(path_of(answer), sent, CONTENT[sent:])
        assert await tus.content(answer) == CONTENT

    async def test_an_empty_file_is_complete_at_once(self, tus: Tus) -> None:
        answer = await tus.create(0)
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, "0")
        assert "Upload-Expires" not in answer.headers
        assert await tus.content(answer) == b""
        assert (await tus.head(path_of(answer))).headers["Upload-File-Id"] == answer.headers["Upload-File-Id"]

    async def test_a_wrong_hash_ends_it(self, tus: Tus, rows: Rows, settings: Settings) -> None:
        path = await tus.begin(10, hash="ab" * 32)
        answer = await tus.patch(path, 0, CONTENT)
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
        assert (await tus.head(path)).status == 410
        assert await reserved_bytes(rows) == await used_bytes(rows) == 0
        assert staged(settings) == objects(settings) == set()


PATCHES: dict[str, tuple[Mapping[str, str | None], bytes, int, str]] = {
    "another type": ({"Content-Type": "application/octet-stream"}, b"x", 415, "UNSUPPORTED_MEDIA_TYPE"),
    "no type": ({"Content-Type": None}, b"x", 415, "UNSUPPORTED_MEDIA_TYPE"),
    "no offset": ({"Upload-Offset": None}, b"x", 400, "VALIDATION_ERROR"),
    "an offset that is none": ({"Upload-Offset": "end"}, b"x", 400, "VALIDATION_ERROR"),
    "a negative offset": ({"Upload-Offset": "-1"}, b"x", 400, "VALIDATION_ERROR"),
    "an offset before": ({"Upload-Offset": "2"}, b"x", 409, "CONFLICT"),
    "an offset beyond": ({"Upload-Offset": "4"}, b"x", 409, "CONFLICT"),
    "more than is missing": ({}, CONTENT[:8], 413, "TOO_LARGE"),
    "a wrong checksum": (checksum(b"y"), b"x", 460, "CHECKSUM_MISMATCH"),
    "a wrong checksum through several chunks": (checksum(b"y", "md5"), CONTENT[3:], 460, "CHECKSUM_MISMATCH"),
    "a wrong checksum of nothing": (checksum(b"y"), b"", 460, "CHECKSUM_MISMATCH"),
    "an unknown checksum": ({"Upload-Checksum": "sha512 YQ=="}, b"x", 400, "VALIDATION_ERROR"),
    "another upload": ({"path": f"{ROOT}/absent"}, b"x", 404, "NOT_FOUND"),
    "an id that is none": ({"path": f"{ROOT}/a%00b"}, b"x", 404, "NOT_FOUND"),
}


async def not_now(*_: object) -> None:
    """Fail as a server does whose database has just gone."""
    raise unavailable("The database")


async def busy(*_: object) -> None:
    """Fail as `complete` does while another request is at it."""
    raise DriveError(Code.CONFLICT, "Another request is at it.", retry_after_s=1)


def begun(tus: Tus, path: str, offset: int, count: int, **headers: str) -> AbstractAsyncContextManager[RawRequest]:
    """Begin a PATCH, and send none of its bytes yet."""
    more = {"Upload-Offset": str(offset), "Content-Type": TYPE, "Content-Length": str(count)}
    return RawRequest.begin(tus.api, "PATCH", path, **HEADERS, **more, **headers)


async def is_at(tus: Tus, path: str, offset: int) -> bool:
    return await tus.offset(path) == offset


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """Give a body of unknown length."""
    for part in parts:
        yield part


class TestSending:
    """`PATCH` and `HEAD`."""

    @pytest.mark.parametrize("name", PATCHES)
    async def test_what_is_wrong_is_refused_and_counts_for_nothing(self, tus: Tus, name: str) -> None:
        changed, body, status, code = PATCHES[name]
        begun = await tus.begin(10)
        assert (await tus.patch(begun, 0, CONTENT[:3])).status == 204
        headers: dict[str, Any] = {"Upload-Offset": "3", "Content-Type": TYPE, **changed}
        path = headers.pop("path", begun)
        sent = {key: value for key, value in headers.items() if value is not None}
        skipped = ["Content-Type"] if "Content-Type" not in sent else []
        answer = await tus.request("PATCH", path, sent, data=body, skip_auto_headers=skipped)
        assert (answer.status, answer.code) == (status, code), answer
        assert await tus.offset(begun) == 3
        assert await tus.content(await tus.patch(begun, 3, CONTENT[3:])) == CONTENT

    @pytest.mark.parametrize(
        ("sizes", "algorithm"),
        [
            ([10], ""),
            ([10], "sha1"),
            ([4, 4, 2], ""),
            ([4, 4, 2], "sha256"),
            ([1] * 10, ""),
            ([3, 3, 3, 1], "md5"),
            ([5, 5], ""),
            ([9, 1], "sha1"),
            ([0, 10, 0], ""),
            ([0, 10, 0], "md5"),
        ],
        ids=str,
    )
    async def test_bytes_come_in_order_as_many_at_a_time_as_one_likes(
        self, tus: Tus, sizes: list[int], algorithm: str
    ) -> None:
        path, offset, answer = await tus.begin(10), 0, None
        for size in sizes:
            data = CONTENT[offset : offset + size]
            answer = await tus.patch(path, offset, data, checksum(data, algorithm) if algorithm else None)
            assert (answer.status, answer.body) == (204, b"")
            offset += size
            assert answer.headers["Upload-Offset"] == str(offset)
            assert ("Upload-Expires" in answer.headers) is (offset < 10)
            assert await tus.offset(path) == offset
        assert answer is not None
        assert await tus.content(answer) == CONTENT

    async def test_head_tells_where_an_upload_is(self, tus: Tus) -> None:
        path = await tus.begin(10)
        created = await tus.head(path)
        await tus.patch(path, 0, CONTENT[:7])
        answer = await tus.head(path)
        assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("7", "10")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Upload-File-Id" not in answer.headers
        assert parsedate_to_datetime(answer.headers["Upload-Expires"]) >= parsedate_to_datetime(
            created.headers["Upload-Expires"]
        )

    async def test_whoever_missed_the_last_answer_learns_it_again(self, tus: Tus, rows: Rows) -> None:
        path = await tus.begin(10)
        file_id = (await tus.patch(path, 0, CONTENT)).headers["Upload-File-Id"]
        head = await tus.head(path)
        assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("10", "10")
        nothing = await tus.patch(path, 10, b"")
        assert nothing.status == 204
        assert {it.headers["Upload-File-Id"] for it in (head, nothing)} == {file_id}
        assert (await tus.patch(path, 0, CONTENT)).status == 409
        assert (await tus.patch(path, 10, b"x")).status == 413
        assert await rows.fetchval("select count(*) from files") == 1

    @pytest.mark.parametrize("ask", [Tus.head, lambda tus, path: tus.patch(path, 10, b"")], ids=["head", "patch"])
    async def test_an_upload_whose_file_could_not_be_made_gets_it_when_its_client_asks(
        self, tus: Tus, rows: Rows, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Tus, str], Awaitable[Answer]]
    ) -> None:
        """A client that finds an upload at its end sends no more."""
        path = await tus.begin(10)
        with monkeypatch.context() as patched:
            patched.setattr("drive.uploads.service.Uploads.complete", not_now)
            assert (await tus.patch(path, 0, CONTENT)).status == 503
            assert (await ask(tus, path)).status == 503
        assert await task_status(rows, id_of(path)) == 1
        assert await tus.content(await ask(tus, path)) == CONTENT

    async def test_an_upload_that_another_request_completes_is_locked(
        self, tus: Tus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Clients wait then; where `HEAD` says that there is a conflict, some begin anew."""
        path = await tus.begin(10)
        with monkeypatch.context() as patched:
            patched.setattr("drive.uploads.service.Uploads.complete", busy)
            answers = [await tus.patch(path, 0, CONTENT), await tus.head(path), await tus.patch(path, 10, b"")]
        assert [(it.status, it.headers["Retry-After"]) for it in answers] == [(423, "1")] * 3
        assert await tus.content(await tus.head(path)) == CONTENT

    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    async def test_what_came_of_a_body_that_breaks_off_counts(self, tus: Tus, *, reset: bool) -> None:
        path = await tus.begin(10)
        async with begun(tus, path, 0, 10) as request:
            await request.send(CONTENT[:7])
            await eventually(lambda: is_at(tus, path, 4))
            request.cut_off(reset=reset)
            await eventually(lambda: is_at(tus, path, 7))
        assert await tus.content(await tus.patch(path, 7, CONTENT[7:])) == CONTENT

    async def test_of_a_body_with_a_checksum_that_breaks_off_nothing_counts(self, tus: Tus, settings: Settings) -> None:
        path = await tus.begin(10)
        async with begun(tus, path, 0, 10, **checksum(CONTENT)) as request:
            await request.send(CONTENT[:7])
            await eventually(lambda: tus.is_receiving(path))
            request.cut_off(reset=True)
            await eventually(lambda: not tus.is_receiving(path))
        assert await tus.offset(path) == 0
        assert await tus.content(await tus.patch(path, 0, CONTENT)) == CONTENT

    @pytest.mark.local_store
    async def test_what_came_counts_where_the_server_ends(self, settings: Settings, serve_app: Serve) -> None:
        async with serving(replace(settings, upload_chunk_bytes=CHUNK_BYTES)) as server:
            tus = Tus(server.api)
            path = await tus.begin(10)
            async with begun(tus, path, 0, 10) as request:
                await request.send(CONTENT[:7])
                await eventually(lambda: is_at(tus, path, 4))
                await server.stop()
        again = Tus(await serve_app(Container(settings=settings)))
        assert await again.offset(path) == 7
        assert await again.content(await again.patch(path, 7, CONTENT[7:])) == CONTENT

    @pytest.mark.parametrize("sent", [[CONTENT, b"x"], [CONTENT[:5], CONTENT[5:] + b"x"], [CONTENT * 2]], ids=str)
    async def test_nothing_beyond_the_end_counts_however_it_comes(
        self, tus: Tus, rows: Rows, sent: list[bytes]
    ) -> None:
        path = await tus.begin(10)
        answer = await tus.patch(path, 0, pieces(*sent))
        assert (answer.status, answer.code) == (413, "TOO_LARGE")
        offset = await tus.offset(path)
        assert offset < 10
        assert await task_status(rows, id_of(path)) == 1
        assert await tus.content(await tus.patch(path, offset, pieces(CONTENT[offset:]))) == CONTENT

    async def test_the_running_hash_spares_reading_the_file_again(
        self, tus: Tus, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("drive.storage.local._sha256", None)
        monkeypatch.setattr("drive.storage.s3.S3Store._content", None)
        path = await tus.begin(10)
        for offset, size in [(0, 1), (1, 6), (7, 3)]:
            answer = await tus.patch(path, offset, CONTENT[offset : offset + size])
        info = await tus.api.get(f"/api/files/{answer.headers['Upload-File-Id']}/info")
        assert info.json["hash"] == hashlib.sha256(CONTENT).hexdigest()

    async def test_of_two_requests_for_the_same_bytes_one_counts(self, tus: Tus) -> None:
        path = await tus.begin(10)
        async with begun(tus, path, 0, 10) as first:
            await first.send(CONTENT[:3])
            await eventually(lambda: tus.is_receiving(path))
            second = await tus.patch(path, 0, b"another---")
            assert (second.status, second.code) == (423, "LOCKED")
            assert second.headers["Retry-After"] == "1"
            await first.send(CONTENT[3:])
            assert b" 204 " in await first.answer()
        assert await tus.content(await tus.head(path)) == CONTENT

    @pytest.mark.parametrize("first", [b"", b"BB"], ids=["before it writes", "while it writes"])
    async def test_of_two_clients_with_other_bytes_one_wins(
        self, tus: Tus, settings: Settings, rows: Rows, first: bytes
    ) -> None:
        """On two replicas: one is told where the upload is, and the other one moves it meanwhile."""
        other = Container(settings=settings)
        path = await tus.begin(10)
        won: list[bytes] = []

        async def sent(uploads: TusUploads, body: AsyncIterator[bytes], name: bytes) -> None:
            with suppress(DriveError):
                await uploads.append(
                    Account(UUID(PLAIN_ID), "plain", is_superuser=False),
                    id_of(path),
                    0,
                    body=body,
                    announced_bytes=0,
                    checksum=None,
                )
                won.append(name)

        async def interrupted() -> AsyncIterator[bytes]:
            if first:
                yield first
            await sent(tus.uploads, pieces(b"AAAA"), b"AAAA")
            yield b"BBBB"[len(first) :]

        async with lifespan(other):
            await sent(other.tus_uploads(), interrupted(), b"BBBB")
        assert len(won) == 1
        assert await tus.offset(path) == 4
        answer = await tus.patch(path, 4, CONTENT[4:])
        if answer.status == 204:
            assert await tus.content(answer) == won[0] + CONTENT[4:]
        else:  # a bucket knows that a part is another's, and not which it was
            assert "Upload-File-Id" not in answer.headers
            assert await task_status(rows, id_of(path)) == 4

    async def test_many_at_once_make_one_file(self, tus: Tus, rows: Rows) -> None:
        path = await tus.begin(10)
        answers = await asyncio.gather(*(tus.patch(path, 0, CONTENT) for _ in range(10)))
        assert {it.status for it in answers} <= {204, 409, 423}
        assert [it.headers["Upload-Offset"] for it in answers if it.status == 204] in (["10"], [])
        await eventually(lambda: is_at(tus, path, 10))
        assert await tus.content(await tus.head(path)) == CONTENT
        assert await rows.fetchval("select count(*) from files") == 1

    async def test_a_request_that_has_stalled_gives_way(self, tus: Tus, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a connection that died silently nobody hears; its client comes back with another."""
        monkeypatch.setattr("drive.uploads.arriving._STALLED_S", 0.0)
        path = await tus.begin(10)
        async with begun(tus, path, 0, 10) as first:
            await first.send(CONTENT[:7])
            await eventually(lambda: is_at(tus, path, 4))
            await eventually(lambda: tus.is_receiving(path))
            assert (await tus.patch(path, 4, b"others")).status == 423
            assert b" 423 " in await first.answer()
            await first.send(CONTENT[7:])  # for the server to be done with the request
        assert await tus.offset(path) == 7
        assert await tus.content(await tus.patch(path, 7, CONTENT[7:])) == CONTENT

    async def test_deleting_ends_a_request_that_is_at_it(self, tus: Tus, settings: Settings) -> None:
        path = await tus.begin(10)
        async with begun(tus, path, 0, 10) as first:
            await first.send(CONTENT[:7])
            await eventually(lambda: tus.is_receiving(path))
            assert (await tus.delete(path)).status == 204
            await first.send(CONTENT[7:])
            await first.answer()
        assert (await tus.head(path)).status == 410
        assert staged(settings) == objects(settings) == set()

    async def test_any_replica_goes_on(self, tus: Tus, settings: Settings, serve_app: Serve) -> None:
        other = Tus(await serve_app(Container(settings=settings)))  # with chunks of another size, for its own
        path = await tus.begin(10)
        answer = None
        for offset in range(10):
            answer = await (tus, other)[offset % 2].patch(path, offset, CONTENT[offset : offset + 1])
            assert answer.status == 204, answer
        assert answer is not None
        assert await other.content(answer) == CONTENT
        info = (await other.api.get(f"/api/files/{answer.headers['Upload-File-Id']}/info")).json
        assert info["hash"] == hashlib.sha256(CONTENT).hexdigest()

    @pytest.mark.parametrize("method", ["PATCH", "patch", "HEAD", "DELETE"])
    async def test_a_header_may_say_the_method(self, tus: Tus, method: str) -> None:
        path = await tus.begin(10)
        headers = {"X-HTTP-Method-Override": method}
        if method.upper() == "PATCH":
            headers |= {"Upload-Offset": "0", "Content-Type": TYPE}
        answer = await tus.request("POST", path, headers, data=b"0" if method.upper() == "PATCH" else None)
        assert answer.status == {"PATCH": 204, "HEAD": 200, "DELETE": 204}[method.upper()], answer
        assert (await tus.head(path)).headers.get("Upload-Offset") == {"PATCH": "1", "HEAD": "0"}.get(method.upper())

    @pytest.mark.parametrize("override", [None, "GET", "OPTIONS", "X"])
    async def test_other_methods_are_not_allowed(self, tus: Tus, override: str | None) -> None:
        path = await tus.begin(10)
        headers = {} if override is None else {"X-HTTP-Method-Override": override}
        answer = await tus.request("POST", path, headers)
        assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
        assert set(answer.headers["Allow"].split(",")) == {"DELETE", "HEAD", "PATCH"}


class TestEnds:
    """`DELETE`, and uploads that are over."""

    async def test_a_deleted_upload_is_gone(self, tus: Tus, rows: Rows, settings: Settings) -> None:
        path = await tus.begin(10)
        await tus.patch(path, 0, CONTENT[:7])
        answer = await tus.delete(path)
        assert (answer.status, answer.body) == (204, b"")
        assert await reserved_bytes(rows) == 0
        assert staged(settings) == set()
        assert await self.statuses(tus, path, 7) == [410, 410, 410]

    async def test_an_expired_upload_is_gone(self, tus: Tus, rows: Rows, worker: Worker) -> None:
        path = await tus.begin(10)
        await tus.patch(path, 0, CONTENT[:7])
        await expire(rows, id_of(path))
        await worker.run_once()
        assert await self.statuses(tus, path, 7) == [410, 410, 410]
        assert "Upload-Offset" not in (await tus.head(path)).headers

    async def test_a_complete_one_is_not_deleted_with_its_file(self, tus: Tus) -> None:
        created = await tus.create(10, data=CONTENT)
        answer = await tus.delete(path_of(created))
        assert (answer.status, answer.code) == (409, "CONFLICT")
        assert await tus.content(created) == CONTENT

    async def test_another_accounts_upload_is_as_forbidden_as_in_chunks(self, tus: Tus) -> None:
        path = await tus.begin(10, filename="secret.txt")
        other = Tus(tus.api.signed_in_as("subscriber"))
        assert await self.statuses(other, path, 0) == [403, 403, 403]
        assert "Upload-Metadata" not in (await other.head(path)).headers
        assert await tus.offset(path) == 0

    async def test_nobody_gets_nothing(self, tus: Tus) -> None:
        path = await tus.begin(10)
        nobody = Tus(tus.api.signed_in_as(None))
        assert (await nobody.create(10)).status == 401
        assert await self.statuses(nobody, path, 0) == [401, 401, 401]

    async def test_an_upload_that_never_was_is_not_found(self, tus: Tus) -> None:
        for upload_id in ("AAAAAAAAAAAAAAAAAAAAAA", "x" * 33, "..%2f", "%00", "pool:1"):
            assert await self.statuses(tus, f"{ROOT}/{upload_id}", 0) == [404, 404, 404]

    @staticmethod
    async def statuses(tus: Tus, path: str, offset: int) -> list[int]:
        answers = [await tus.head(path), await tus.patch(path, offset, b"x"), await tus.delete(path)]
        return [answer.status for answer in answers]


class TestBesideChunks:
    """The same uploads, seen by the routes for chunks."""

    async def test_they_are_shown_and_cancelled(self, tus: Tus, rows: Rows) -> None:
        path = await tus.begin(10, filename="a.txt")
        await tus.patch(path, 0, CONTENT[:9])
        progress = (await tus.api.resume(id_of(path))).json
        assert (progress["file_name"], progress["uploaded_chunks"], progress["chunks_count"]) == ("a.txt", [0, 1], 3)
        details = (await tus.api.get(f"/api/files/upload/tasks/{id_of(path)}/details")).json
        assert details["upload_speed"] is not None
        listed = (await tus.api.get("/api/files/upload/tasks")).json
        assert [it["task_id"] for it in listed] == [id_of(path)]
        stats = (await tus.api.get("/api/files/upload/stats")).json
        assert stats["total_uploaded_bytes"] == 9
        assert (await tus.api.cancel(id_of(path))).status == 200
        assert (await tus.head(path)).status == 410
        assert await reserved_bytes(rows) == 0

    async def test_they_take_no_chunks(self, tus: Tus) -> None:
        path = await tus.begin(10)
        answer = await tus.api.send_chunk(id_of(path), 0, CONTENT[:4])
        assert (answer.status, answer.code) == (409, "CONFLICT")
        assert (await tus.api.complete(id_of(path))).status == 409
        assert await tus.offset(path) == 0
        done = await tus.patch(path, 0, CONTENT)
        file = (await tus.api.complete(id_of(path))).json
        assert file["id"] == done.headers["Upload-File-Id"]

    async def test_what_comes_in_chunks_is_none_of_tus(self, tus: Tus) -> None:
        task_id = (await tus.api.create(CONTENT)).json["task_id"]
        assert await TestEnds.statuses(tus, f"{ROOT}/{task_id}", 0) == [404, 404, 404]
        assert (await tus.api.progress(task_id)).json["status"] == 1

    async def test_they_are_told_of_as_others_are(self, settings: Settings, serve_app: Serve, peers: Peers) -> None:
        changed = replace(settings, upload_chunk_bytes=4, progress_min_bytes=1, progress_interval_s=0.0)
        tus = Tus(await serve_app(Container(settings=changed)))
        path = await tus.begin(10)
        for offset in (0, 5):
            await tus.patch(path, offset, CONTENT[offset : offset + 5])
        await eventually(lambda: "task.completed" in {it.type for it in peers.world.packets})
        told = [(it.type, msgspec.json.decode(it.data)) for it in peers.world.packets]
        progress = ["upload.progress"] * 4
        assert [kind for kind, _ in told] == ["task.created", *progress, "upload.completed", "task.completed"]
        assert [data["chunks_uploaded"] for kind, data in told if kind == "upload.progress"] == [1, 2, 2, 3]

    @pytest.mark.local_store
    async def test_content_that_is_there_is_stored_once(self, tus: Tus, settings: Settings, worker: Worker) -> None:
        ids = [(await tus.create(10, data=CONTENT)).headers["Upload-File-Id"] for _ in range(2)]
        await worker.run_once()
        assert len(set(ids)) == 2
        assert len(objects(settings)) == 1


# A transaction's begin and commit count as statements.
STATEMENTS: dict[str, int] = {
    "options": 0,
    "post": 7,  # pool, extra quota; begin, lock, what is used, insert, commit
    "head": 1,
    "patch": 3,  # where it is; once it is locked, is it still there; it has moved
    "patch of three chunks": 7,
    "patch of three chunks with a checksum": 3,
    "patch of nothing": 1,
    "wrong offset": 1,
    "last patch": 6,  # as a patch; what there is, make the file, show it
    "delete": 2,
    "a strange id": 0,
}


@pytest.mark.local_store
async def test_requests_ask_the_database_this_often(
    settings: Settings, serve_app: Serve, subtests: pytest.Subtests
) -> None:
    container = Container(settings=replace(settings, upload_chunk_bytes=CHUNK_BYTES))
    database = counting(container)
    tus = Tus(await serve_app(container))
    await tus.create(10, data=CONTENT)
    seen: dict[str, int] = {}

    async def counted(name: str, request: Awaitable[Answer], status: int) -> Answer:
        with database.counted() as statements:
            answer = await request
        assert answer.status == status, answer
        seen[name] = len(statements)
        return answer

    await counted("options", tus.request("OPTIONS", ROOT), 204)
    path = path_of(await counted("post", tus.create(30), 201))
    await counted("head", tus.head(path), 200)
    await counted("patch", tus.patch(path, 0, b"0"), 204)
    await counted("patch of three chunks", tus.patch(path, 1, CONTENT), 204)
    await counted("patch of three chunks with a checksum", tus.patch(path, 11, CONTENT, checksum(CONTENT)), 204)
    await counted("patch of nothing", tus.patch(path, 21, b""), 204)
    await counted("wrong offset", tus.patch(path, 20, b"x"), 409)
    await counted("last patch", tus.patch(await tus.begin(1), 0, b"x"), 204)
    await counted("delete", tus.delete(path), 204)
    await counted("a strange id", tus.head(f"{ROOT}/a%20b"), 404)
    assert seen.keys() == STATEMENTS.keys()
    for name, most in STATEMENTS.items():
        with subtests.test(name):
            assert seen[name] == most


async def test_a_large_upload_arrives_whole(api: Api) -> None:
    tus, content = Tus(api), random.Random(7).randbytes(12_345_678)
    path = await tus.begin(len(content))
    middle = 7_000_001
    await tus.patch(path, 0, io.BytesIO(content[:middle]))
    assert await tus.offset(path) == middle
    assert await tus.content(await tus.patch(path, middle, io.BytesIO(content[middle:]))) == content
