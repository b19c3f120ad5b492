"""Downloads from a pool that stores in a bucket: clients are sent there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
import pytest_asyncio
from support.api import Answer, Api
from support.moto import S3
from support.rows import Rows
from yarl import URL

from drive.containers import Container
from drive.jobs.worker import Worker
from drive.settings import Settings

CONTENT = bytes(range(256)) * 10

Serve = Callable[[Container], Awaitable[Api]]


@pytest.fixture
def default_store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    monkeypatch.setattr("drive.storage.s3.S3Store.least_chunk_bytes", 1)  # so that tests need not send 5 MiB
    return s3


@pytest_asyncio.fixture
async def file(api: Api) -> Any:
    return await api.upload(CONTENT, content_type="image/png", file_name="ä.png")


async def reconfigured(rows: Rows, **config: object) -> None:
    await rows.execute("update pools set storage_config = storage_config || $1", config)


async def sent_to(api: Api, file: Any, query: str = "", **options: Any) -> URL:
    """Return where a client is sent for the bytes."""
    answer = await api.get(f"/api/files/{file['id']}{query}", **options)
    assert answer.status == 302, answer
    assert answer.headers["Cache-Control"] == "no-store"
    return URL(answer.headers["Location"], encoded=True)


async def read(url: URL, **options: Any) -> Answer:
    async with aiohttp.ClientSession() as session, session.get(url, **options) as response:
        return Answer(response, await response.read())


async def test_the_bucket_answers_with_the_bytes_their_type_and_their_name(api: Api, file: Any) -> None:
    url = await sent_to(api, file)
    response = await read(url)
    assert (response.status, response.body) == (200, CONTENT)
    assert response.headers["Content-Type"] == "image/png"
    disposition = parse_qs(url.raw_query_string)["response-content-disposition"][0]
    assert disposition.startswith("inline; ")
    assert "filename*=UTF-8''%C3%A4.png" in disposition


async def test_ranges_are_the_buckets_business(api: Api, file: Any) -> None:
    response = await read(await sent_to(api, file), headers={"Range": "bytes=5-9"})
    assert (response.status, response.body) == (206, CONTENT[5:10])


@pytest.mark.parametrize(
    ("query", "mime_type", "kind"),
    [
        ("?download=true", "image/png", "attachment"),
        ("?overrideMimeType=image/webp", "image/webp", "inline"),
        ("?overrideMimeType=text/html", "image/png", "inline"),
    ],
)
async def test_what_is_asked_for_is_signed_with_it(api: Api, file: Any, query: str, mime_type: str, kind: str) -> None:
    asked = parse_qs((await sent_to(api, file, query)).raw_query_string)
    assert asked["response-content-type"] == [mime_type]
    assert asked["response-content-disposition"][0].startswith(kind)


async def test_active_content_is_stored_as_what_does_nothing(api: Api, rows: Rows) -> None:
    """An open bucket sends objects as what they were stored as."""
    file = await api.upload(b"<script>", content_type="text/html", file_name="a.html")
    disposition = parse_qs((await sent_to(api, file)).raw_query_string)["response-content-disposition"][0]
    assert disposition.startswith("attachment")
    bucket_url = await rows.fetchval(
        "select format('http://%s/%s', storage_config ->> 'endpoint', storage_config ->> 'bucket') from pools"
    )
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}
    async with aiohttp.ClientSession() as session:
        policy = {"Version": "2012-10-17", "Statement": [everybody]}
        async with session.put(f"{bucket_url}?policy", json=policy) as response:
            assert response.ok
    answer = await read(URL(f"{bucket_url}/{file['storage_id']}"))
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_who_may_not_read_is_sent_nowhere(api: Api, rows: Rows, file: Any) -> None:
    await rows.execute("""update pools set policy_config = policy_config || '{"allow_anonymous": false}'""")
    assert (await api.signed_in_as(None).get(f"/api/files/{file['id']}")).status == 401
    assert (await sent_to(api, file)).query["X-Amz-Signature"]


async def test_no_secret_of_the_bucket_is_told(api: Api, file: Any) -> None:
    for path in (f"/api/files/{file['id']}/info", "/api/pools", "/api/files/me"):
        assert b"the-secret" not in (await api.get(path)).body
    assert "the-secret" not in str(await sent_to(api, file))


async def test_head_is_answered_here(api: Api, file: Any) -> None:
    """A URL that is signed for GET is good for nothing else."""
    answer = await api.request("HEAD", f"/api/files/{file['id']}")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))


async def test_a_pool_without_a_key_is_unavailable(
    api: Api, rows: Rows, file: Any, settings: Settings, serve_app: Serve
) -> None:
    api = await serve_app(Container(settings=settings))  # that has not seen the pool yet
    await rows.execute("update pools set storage_secrets = '{}'")
    answer = await api.get(f"/api/files/{file['id']}")
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("config", [{"kind": "gcs"}, {"region": None}])
async def test_a_pool_that_is_configured_wrongly_is_unavailable_and_keeps_no_other_from_being_swept(
    api: Api, rows: Rows, settings: Settings, worker: Worker, config: dict[str, object]
) -> None:
    task_id = (await api.create(CONTENT)).json["task_id"]
    (settings.storage_path / "staging").mkdir(parents=True)
    rubbish = settings.storage_path / "staging" / "rubbish"
    rubbish.touch()
    await reconfigured(rows, **config)
    async with Api.serving(Container(settings=settings)) as fresh:
        fresh.token = api.token
        assert (await fresh.create(CONTENT, hash="other")).status == 503
        assert (await fresh.cancel(task_id)).status == 200
    await worker.do_now("sweep")
    assert not rubbish.exists()


async def test_a_bucket_that_is_down_makes_uploads_unavailable_and_costs_nothing(
    api: Api, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive.storage.bucket._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("drive.storage.stores._REMEMBERED_S", 0.0)
    created = (await api.create(CONTENT)).json
    endpoint = await rows.fetchval("select storage_config ->> 'endpoint' from pools")
    await reconfigured(rows, endpoint="127.0.0.1:9")
    answer = await api.send_chunk(created["task_id"], 0, CONTENT)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert answer.headers["Retry-After"]
    assert (await api.upload_direct(CONTENT)).status == 503
    await reconfigured(rows, endpoint=endpoint)
    await api.send_chunks(created, CONTENT)
    assert (await api.complete(created["task_id"])).status == 200


async def test_two_replicas_take_the_same_chunks_at_once_and_the_file_is_right(
    settings: Settings, serve_app: Serve
) -> None:
    """A client sends again what is still on its way: no lock spans two replicas, but equal bytes do no harm."""
    replicas = [await serve_app(Container(settings=settings)) for _ in range(2)]
    created = (await replicas[0].create(CONTENT, chunk_size=1000)).json
    size, task_id = created["chunk_size"], created["task_id"]
    answers = await asyncio.gather(
        *(
            replica.send_chunk(task_id, index, CONTENT[index * size : (index + 1) * size])
            for index in range(created["chunks_count"])
            for replica in replicas
        )
    )
    assert {answer.status for answer in answers} == {200}
    file = (await replicas[0].complete(task_id)).json
    assert (await read(await sent_to(replicas[1], file))).body == CONTENT


async def test_pools_keep_files_no_longer_than_they_say(api: Api, rows: Rows) -> None:
    await reconfigured(rows, expiration="1:00:00")
    file = await api.upload(CONTENT)
    hours = await rows.fetchval(
        "select extract(epoch from expired_at - now()) / 3600 from files where id = $1", file["id"]
    )
    assert 0.9 < float(hours) <= 1.0
