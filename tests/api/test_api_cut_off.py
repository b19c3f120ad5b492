"""Clients that go in the middle of what they send."""

import random
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
from structlog.testing import capture_logs
from support.api import Api
from support.raw import RawRequest, multipart
from support.rows import Rows, reserved_bytes
from support.storage import objects, staged
from support.waiting import eventually

from drive.containers import Container
from drive.settings import Settings

CHUNK = random.Random(4).randbytes(2_500_000)
CONTENT = CHUNK + b"end"

# aiohttp waits 10 s for what is left of a body that was refused, be its connection gone.
pytestmark = pytest.mark.leaks("task")


@pytest.mark.local_store
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sent_bytes", [1000, 2_000_000])
@pytest.mark.parametrize("as_form", [False, True], ids=["plain", "form"])
async def test_a_chunk_that_breaks_off_does_not_count_and_the_upload_resumes(
    api: Api, settings: Settings, *, as_form: bool, sent_bytes: int, reset: bool
) -> None:
    task_id = (await api.create(CONTENT, chunk_size=len(CHUNK))).json["task_id"]
    target = f"/api/files/upload/chunk/{task_id}/0"
    body = multipart("chunk", CHUNK) if as_form else CHUNK
    with capture_logs() as lines:
        begin = RawRequest.begin_form(api, target, body) if as_form else plain(api, target, body)
        async with begin as request:
            await request.send(body[:sent_bytes])
            await eventually(lambda: staged(settings))
            request.cut_off(reset=reset)
            await eventually(lambda: can_be_sent(api, task_id))
    assert not [line for line in lines if line["log_level"] in {"error", "warning"}]

    assert (await api.resume(task_id)).json["uploaded_chunks"] == [0]
    await api.send_chunk(task_id, 1, b"end")
    file = (await api.complete(task_id)).json
    assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT


def plain(api: Api, target: str, body: bytes) -> AbstractAsyncContextManager[RawRequest]:
    return RawRequest.begin(api, "POST", target, Content_Length=str(len(body)))


async def can_be_sent(api: Api, task_id: str) -> bool:
    """Send the first chunk: a conflict until the server has seen that the other sender is gone."""
    answer = await api.send_chunk(task_id, 0, CHUNK)
    assert answer.status in {200, 409}, answer
    assert answer.body == b"" or answer.status == 409
    return answer.status == 200


@pytest.mark.local_store
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_direct_upload_that_breaks_off_gives_its_quota_back(
    api: Api, rows: Rows, settings: Settings, *, reset: bool
) -> None:
    body = multipart("file", CHUNK)
    async with RawRequest.begin_form(api, "/api/files/upload/direct", body) as request:
        await request.send(body[:1_500_000])
        await eventually(lambda: staged(settings))
        assert await reserved_bytes(rows) == len(body)
        request.cut_off(reset=reset)
        await eventually(lambda: is_over(rows))
    await eventually(lambda: not staged(settings))
    assert await rows.fetchval("select status from upload_tasks") == 4
    assert (await api.get("/api/files/me")).json == []
    assert objects(settings) == set()


async def is_over(rows: Rows) -> bool:
    return await reserved_bytes(rows) == 0


@pytest.mark.local_store
async def test_a_direct_upload_that_the_server_ends_gives_its_quota_back(rows: Rows, settings: Settings) -> None:
    """As when it is stopped while somebody sends: no client can resume a direct upload."""
    body = multipart("file", CHUNK)
    async with AsyncExitStack() as clients:
        async with Api.serving(Container(settings=settings)) as api:
            request = await clients.enter_async_context(RawRequest.begin_form(api, "/api/files/upload/direct", body))
            await request.send(body[:1_500_000])
            await eventually(lambda: staged(settings))
        assert await is_over(rows)
        assert not staged(settings)


@pytest.mark.local_store
async def test_a_reader_who_leaves_is_no_error(api: Api) -> None:
    file = await api.upload(random.Random(5).randbytes(20_000_000))
    with capture_logs() as lines:
        for _ in range(10):
            async with RawRequest.begin(api, "GET", f"/api/files/{file['id']}") as request:
                assert b" 200 " in await request.answer()
                request.cut_off(reset=True)
        assert (await api.get(f"/api/files/{file['id']}", headers={"Range": "bytes=-1"})).status == 206
    assert not [line for line in lines if line["log_level"] in {"error", "warning"}]
