"""What every store promises, shown with those that are not on this machine's disk, and with the local one beside."""

import asyncio
import errno
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from storage_support import Staged, body_of, content_of
from support import moto
from support.moto import S3

import drive.storage.bucket as bucket_module
from drive.http.client import close_session, open_session
from drive.storage.bucket import Bucket
from drive.storage.interfaces import BodyTooLongError, Store, StoreBusyError, StoreFullError, StoreUnavailableError
from drive.storage.local import LocalStore
from drive.storage.memory import MemoryStore
from drive.storage.redirects import Redirects
from drive.storage.s3 import S3Store

MIB = 1024 * 1024
CHUNK = 5 * MIB
CONTENT = random.Random(3).randbytes(2 * CHUNK + 1234)
UPLOAD = Staged("object", len(CONTENT), CHUNK, "image/png")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with moto.running() as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Give the session that the service has."""
    session = await open_session(connections_per_host=5, timeout_s=30)
    yield session
    await close_session(session)


@pytest.fixture
async def bucket(s3: S3, session: aiohttp.ClientSession) -> Bucket:
    return bucket_at(f"http://{s3.endpoint}/{await s3.new_bucket()}", session)


def bucket_at(url: str, session: aiohttp.ClientSession, secret: str = "the-secret") -> Bucket:
    async def opened() -> aiohttp.ClientSession:
        return session

    return Bucket(opened, url=url, region="us-east-1", access_key_id="key", secret_access_key=secret)  # type: ignore[arg-type]


@pytest.fixture(params=["s3", "memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "s3":
            return S3Store(request.getfixturevalue("bucket"), Redirects(), tmp_path / "work")
        case "memory":
            return MemoryStore()
        case _:
            return LocalStore(tmp_path / "storage")


async def send(store: Store, upload: Staged, index: int, data: bytes, *, at: int = 0) -> str:
    """Write within a chunk, and return the part's tag."""
    async with store.part(upload, offset=index * CHUNK + at, most_bytes=len(data)) as part:
        assert await part.write(body_of(*(data[n : n + MIB] for n in range(0, len(data), MIB)))) == len(data)
        return part.tag


async def send_all(store: Store, upload: Staged, content: bytes) -> list[str]:
    return [await send(store, upload, n // CHUNK, content[n : n + CHUNK]) for n in range(0, len(content), CHUNK)]


async def bytes_of(store: Store, name: str = "object") -> bytes:
    return b"".join([piece async for piece in store.read(name)])


async def names(store: Store) -> set[str]:
    return {one.name async for page in store.stored() for one in page}


async def test_chunks_in_any_order_become_the_object(store: Store) -> None:
    tags = ["", "", ""]
    for index in (2, 0, 1):
        tags[index] = await send(store, UPLOAD, index, CONTENT[index * CHUNK : (index + 1) * CHUNK])
    assert await store.staged() == ["object"]
    with pytest.raises(FileNotFoundError):
        await bytes_of(store)

    assert await store.promote(UPLOAD, tags=tags, known=None) == content_of(CONTENT)
    assert await bytes_of(store) == CONTENT
    assert await store.staged() == []
    assert await names(store) == {"object"}


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK])
async def test_an_upload_of_one_chunk_or_none_becomes_the_object(store: Store, size_bytes: int) -> None:
    upload = Staged("object", size_bytes, CHUNK)
    tags = await send_all(store, upload, CONTENT[:size_bytes])
    assert await store.promote(upload, tags=tags, known=None) == content_of(CONTENT[:size_bytes])
    assert await bytes_of(store) == CONTENT[:size_bytes]
    assert await store.staged() == []


async def test_an_upload_may_turn_out_to_be_shorter_than_its_chunk(store: Store) -> None:
    tag = await send(store, Staged("object", CHUNK, CHUNK), 0, CONTENT[:77])
    await store.promote(Staged("object", 77, CHUNK), tags=[tag], known=content_of(CONTENT[:77]))
    assert await bytes_of(store) == CONTENT[:77]


async def test_a_chunk_may_come_in_pieces(store: Store) -> None:
    """As tus sends them; each is durable when it is written, and the last may be tiny."""
    tags = ["", "", ""]
    at = 0
    for piece_bytes in (1, MIB, 3 * MIB, CHUNK - 4 * MIB - 1):
        tags[0] = await send(store, UPLOAD, 0, CONTENT[at : at + piece_bytes], at=at)
        at += piece_bytes
    tags[1] = await send(store, UPLOAD, 1, CONTENT[CHUNK : 2 * CHUNK])
    await send(store, UPLOAD, 2, CONTENT[2 * CHUNK : -1])
    tags[2] = await send(store, UPLOAD, 2, CONTENT[-1:], at=1233)
    assert await store.promote(UPLOAD, tags=tags, known=None) == content_of(CONTENT)
    assert await bytes_of(store) == CONTENT
    assert await store.staged() == []


async def test_a_piece_whose_record_was_lost_is_sent_again(store: Store) -> None:
    upload = Staged("object", CHUNK, CHUNK)
    await send(store, upload, 0, CONTENT[:100])
    await send(store, upload, 0, CONTENT[100:200], at=100)  # and then the process was killed
    await send(store, upload, 0, CONTENT[100:300], at=100)
    tag = await send(store, upload, 0, CONTENT[300:CHUNK], at=300)
    assert await store.promote(upload, tags=[tag], known=None) == content_of(CONTENT[:CHUNK])


async def test_promoting_again_finds_what_was_promoted(store: Store) -> None:
    tags = await send_all(store, UPLOAD, CONTENT)
    for _ in range(3):
        assert await store.promote(UPLOAD, tags=tags, known=None) == content_of(CONTENT)


async def test_what_is_not_there_cannot_be_promoted(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        await store.promote(UPLOAD, tags=["a", "b", "c"], known=None)
    with pytest.raises(FileNotFoundError):
        await store.promote(Staged("object", 5, CHUNK), tags=["a"], known=None)


async def test_what_is_discarded_or_deleted_is_gone_and_may_be_absent(store: Store) -> None:
    for _ in range(2):
        await store.discard("object")
        await store.delete("object")
    await send_all(store, UPLOAD, CONTENT)
    await store.discard("object")
    assert await store.staged() == []
    with pytest.raises(FileNotFoundError):
        await store.promote(UPLOAD, tags=["a", "b", "c"], known=None)
    await store.write("object", body_of(b"x"), mime_type="text/plain")
    await store.delete("object")
    assert await names(store) == set()


async def test_a_body_that_is_too_long_is_refused(store: Store) -> None:
    async with store.part(UPLOAD, offset=0, most_bytes=4) as part:
        with pytest.raises(BodyTooLongError):
            await part.write(body_of(b"01", b"23", b"4"))


async def test_a_part_is_for_one_at_a_time(store: Store) -> None:
    async with store.part(UPLOAD, offset=0, most_bytes=CHUNK):
        with pytest.raises(StoreBusyError):
            async with store.part(UPLOAD, offset=0, most_bytes=CHUNK):
                pass
        await send(store, UPLOAD, 1, CONTENT[CHUNK : 2 * CHUNK])
    await send(store, UPLOAD, 0, CONTENT[:CHUNK])


async def test_the_bytes_are_hashed_on_the_way(store: Store) -> None:
    hasher = hashlib.sha256()
    async with store.part(UPLOAD, offset=0, most_bytes=10) as part:
        await part.write(body_of(b"01234", b"56789"), hasher)
    assert hasher.digest() == hashlib.sha256(b"0123456789").digest()


async def test_variants_are_objects_beside(store: Store) -> None:
    await store.write("object", body_of(b"original"), mime_type="image/png")
    for data in (b"first", b"second, longer"):
        assert await store.write("object.webp", body_of(data[:3], data[3:]), mime_type="image/webp") == len(data)
        assert await bytes_of(store, "object.webp") == data
    await store.delete("object")
    found = [one async for page in store.stored() for one in page]
    assert [(one.name, one.size_bytes) for one in found] == [("object.webp", 14)]


async def test_staged_uploads_are_listed_by_object(store: Store) -> None:
    for number in range(3):
        await send(store, Staged(f"object{number}", len(CONTENT), CHUNK), 1, CONTENT[:10])
    assert sorted(await store.staged()) == ["object0", "object1", "object2"]
    assert await names(store) == set()


class TestBucket:
    """What only concerns buckets."""

    @pytest.fixture
    def store(self, bucket: Bucket, tmp_path: Path) -> S3Store:
        return S3Store(bucket, Redirects(), tmp_path / "work")

    async def test_two_replicas_share_one_upload(self, bucket: Bucket, tmp_path: Path) -> None:
        replicas = [S3Store(bucket, Redirects(), tmp_path / f"work{n}") for n in range(3)]
        tags = await asyncio.gather(
            *(send(replicas[n], UPLOAD, n, CONTENT[n * CHUNK : (n + 1) * CHUNK]) for n in range(3))
        )
        await replicas[0].promote(UPLOAD, tags=list(tags), known=None)
        assert await bytes_of(replicas[1]) == CONTENT

    async def test_a_chunk_that_was_overwritten_never_becomes_a_file(self, store: S3Store) -> None:
        """As by another replica, which knows of no lock here: the tag is another's then."""
        tags = await send_all(store, UPLOAD, CONTENT)
        await send(store, UPLOAD, 1, bytes(CHUNK))
        with pytest.raises(FileNotFoundError):
            await store.promote(UPLOAD, tags=tags, known=None)
        single = Staged("single", 10, CHUNK)
        tags = await send_all(store, single, b"0123456789")
        await send(store, single, 0, b"9876543210")
        assert await store.promote(single, tags=tags, known=None) == content_of(b"0123456789")

    async def test_nothing_of_a_chunk_stays_on_this_machine(self, store: S3Store, tmp_path: Path) -> None:
        await send_all(store, UPLOAD, CONTENT)
        assert list((tmp_path / "work").iterdir()) == []

    async def test_pieces_of_a_chunk_do_not_pile_up(self, store: S3Store, bucket: Bucket) -> None:
        for at in range(0, 1000, 100):
            await send(store, UPLOAD, 0, CONTENT[at : at + 100], at=at)
        staged = [one.name async for page in bucket.listed("staging.") for one in page]
        assert staged == ["staging.object.0.1000", "staging.object.0.900"]

    async def test_a_late_request_takes_nothing_from_one_that_went_further(
        self, store: S3Store, bucket: Bucket, tmp_path: Path
    ) -> None:
        """As on another replica, where no lock keeps it away."""
        await send(store, UPLOAD, 0, CONTENT[:100])
        await send(store, UPLOAD, 0, CONTENT[100:300], at=100)
        await send(S3Store(bucket, Redirects(), tmp_path / "other"), UPLOAD, 0, CONTENT[100:150], at=100)
        await send(store, UPLOAD, 0, CONTENT[300:CHUNK], at=300)

    async def test_objects_keep_their_type(self, store: S3Store, bucket: Bucket) -> None:
        single = Staged("single", 3, CHUNK, "image/gif")
        await store.promote(UPLOAD, tags=await send_all(store, UPLOAD, CONTENT), known=None)
        await store.promote(single, tags=await send_all(store, single, b"gif"), known=None)
        assert (await bucket._request("HEAD", "object")).headers["Content-Type"] == "image/png"
        assert (await bucket._request("HEAD", "single")).headers["Content-Type"] == "image/gif"

    async def test_a_signed_url_says_how_the_answer_is_to_be_sent(
        self, store: S3Store, session: aiohttp.ClientSession
    ) -> None:
        await store.write("object", body_of(b"content"), mime_type="image/png")
        url = store.url(
            "object", mime_type="text/plain", disposition='attachment; filename="a b+ü.txt"', is_public=False
        )
        query = parse_qs(urlsplit(url).query)
        assert query["X-Amz-Expires"] == ["3600"]
        assert query["response-content-disposition"] == ['attachment; filename="a b+ü.txt"']
        assert "the-secret" not in url
        async with session.get(url, headers={"Range": "bytes=1-3"}) as response:
            assert (response.status, await response.read()) == (206, b"ont")
            assert response.headers["Content-Type"] == "text/plain"

    async def test_a_service_that_is_down_or_refuses_is_unavailable(
        self, session: aiohttp.ClientSession, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("drive.storage.bucket._FIRST_PAUSE_S", 0.001)
        for url in ("http://127.0.0.1:9/bucket", f"http://{s3.endpoint}/no-such-bucket"):
            store = S3Store(bucket_at(url, session), Redirects(), tmp_path / "work")
            with pytest.raises(StoreUnavailableError) as raised:
                await send(store, UPLOAD, 0, CONTENT[:CHUNK])
            assert "the-secret" not in str(raised.value) + repr(store._bucket)

    async def test_a_pool_without_a_key_uses_none_of_the_environments(
        self, session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
        bucket = bucket_at("http://127.0.0.1:9/bucket", session, secret="")
        with pytest.raises(StoreUnavailableError, match="has no key"):
            await S3Store(bucket, Redirects(), tmp_path / "work").delete("object")

    async def test_a_bad_moment_of_the_service_costs_nothing(
        self, store: S3Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("drive.storage.bucket._FIRST_PAUSE_S", 0.001)
        sent, bad = bucket_module._sent, [0]

        async def sometimes(*args: object) -> bucket_module.Answer:
            bad[0] += 1
            if bad[0] % 3 == 1:
                raise ConnectionResetError
            if bad[0] % 3 == 2:
                return bucket_module.Answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return await sent(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(bucket_module, "_sent", sometimes)
        await store.promote(UPLOAD, tags=await send_all(store, UPLOAD, CONTENT), known=content_of(CONTENT))
        monkeypatch.setattr(bucket_module, "_sent", sent)
        assert await bytes_of(store) == CONTENT

    async def test_a_copy_that_fails_after_its_answer_has_begun_costs_nothing(
        self, store: S3Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The service answers 200 then, with an error in the body."""
        single = Staged("single", 10, CHUNK)
        tags = await send_all(store, single, b"0123456789")
        sent = bucket_module._sent

        async def failing(client: Any, method: str, key: str, query: Any, headers: dict[str, str], body: Any) -> Any:
            if "x-amz-copy-source" in headers:
                return bucket_module.Answer(200, {}, b"<Error><Code>InternalError</Code></Error>")
            return await sent(client, method, key, query, headers, body)

        monkeypatch.setattr(bucket_module, "_sent", failing)
        with pytest.raises(StoreUnavailableError, match="InternalError"):
            await store.promote(single, tags=tags, known=None)
        monkeypatch.setattr(bucket_module, "_sent", sent)
        assert await store.promote(single, tags=tags, known=None) == content_of(b"0123456789")

    async def test_a_full_disk_is_told_as_such(self, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("drive.storage.s3._keep", full)
        with pytest.raises(StoreFullError):
            await send(store, UPLOAD, 0, CONTENT[:10])

    async def test_more_than_a_page_is_listed(self, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("drive.storage.bucket._PAGE", 3)
        for number in range(10):
            await store.write(f"object{number}", body_of(b"x"), mime_type="text/plain")
        assert len(await names(store)) == 10


class TestRedirects:
    """Which way a client is sent."""

    @pytest.fixture
    def bucket(self, session: aiohttp.ClientSession) -> Bucket:
        return bucket_at("http://s3.test:9000/files", session)

    @pytest.mark.parametrize(
        ("redirects", "mime_type", "expected"),
        [
            (Redirects(), "text/plain", "http://s3.test:9000/files/abc.webp"),
            (Redirects(image_proxy="https://img.test/x/"), "image/webp", "https://img.test/x/abc.webp"),
            (Redirects(image_proxy="https://img.test/x"), "text/plain", "http://s3.test:9000/files/abc.webp"),
            (
                Redirects(image_proxy="https://img.test", access_proxy="https://cdn.test", enable_signed=True),
                "text/plain",
                "https://cdn.test/abc.webp",
            ),
        ],
    )
    def test_what_everybody_may_read(self, bucket: Bucket, redirects: Redirects, mime_type: str, expected: str) -> None:
        assert redirects.url(bucket, "abc.webp", mime_type=mime_type, disposition="inline", is_public=True) == expected

    @pytest.mark.parametrize(
        ("access_endpoint", "begin"),
        [
            (None, "http://s3.test:9000/files/abc?"),
            ("cdn.test/f", "http://cdn.test/f/abc?"),
            ("https://cdn.test/", "https://cdn.test/abc?"),
        ],
    )
    def test_signed(self, bucket: Bucket, access_endpoint: str | None, begin: str) -> None:
        redirects = Redirects(enable_signed=True, access_endpoint=access_endpoint)
        url = redirects.url(bucket, "abc", mime_type="text/plain", disposition="inline", is_public=True)
        assert url.startswith(begin)
        assert "X-Amz-Signature=" in url

    def test_what_not_everybody_may_read_is_always_signed(self, bucket: Bucket) -> None:
        redirects = Redirects(image_proxy="https://img.test", access_proxy="https://cdn.test")
        url = redirects.url(bucket, "abc", mime_type="image/png", disposition="inline", is_public=False)
        assert url.startswith("http://s3.test:9000/files/abc?")
        assert "X-Amz-Signature=" in url
