"""`drive serve` is killed with -9 in the midst of uploads. Nothing is lost, doubled or left behind."""

import asyncio
import hashlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import asyncpg
import pytest
from support.api import Api
from support.process import Serve, drive, environment, serving

from drive.settings import Settings

KILLS = 20
SEED = 2
MIB = 1024 * 1024
CHUNK_BYTES = 256 * 1024
COMPLETED = 3

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client knows of an upload."""

    name: str
    content: bytes
    task_id: str
    chunks_count: int

    def chunk(self, index: int) -> bytes:
        return self.content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


async def begin(api: Api, name: str, **fields: Any) -> Upload:
    content = os.urandom(random.randint(2 * MIB, 3 * MIB))
    created = await api.create(content, file_name=name, chunk_size=CHUNK_BYTES, **fields)
    assert created.status == 200, created
    return Upload(name, content, created.json["task_id"], created.json["chunks_count"])


async def send(api: Api, upload: Upload, indexes: list[int] | None = None) -> None:
    """Send these chunks, or all, one after the other."""
    for index in range(upload.chunks_count) if indexes is None else indexes:
        answer = await api.send_chunk(upload.task_id, index, upload.chunk(index))
        assert answer.status == 200, answer


async def complete(api: Api, upload: Upload) -> Any:
    answer = await api.complete(upload.task_id)
    assert answer.status == 200, answer
    return answer.json


async def resume(api: Api, upload: Upload) -> str:
    """Finish an upload as a client does that has lost the connection; return the file's id."""
    progress = (await api.get(f"/api/files/upload/resume/{upload.task_id}")).json
    if progress["status"] != COMPLETED:
        await send(api, upload, sorted(set(range(upload.chunks_count)) - set(progress["uploaded_chunks"])))
    file = await complete(api, upload)
    await check(api, file, upload)
    return str(file["id"])


async def check(api: Api, file: Any, upload: Upload) -> None:
    assert file["size"] == len(upload.content)
    assert file["hash"] == hashlib.sha256(upload.content).hexdigest()
    assert (await api.get(f"/api/files/{file['id']}")).body == upload.content


async def files(api: Api) -> dict[str, Any]:
    """Return all files of the account by name; no name may be there twice."""
    listed: list[Any] = []
    while page := (await api.get("/api/files/me", params={"offset": str(len(listed)), "take": "100"})).json:
        listed += page
    by_name = {file["name"]: file for file in listed}
    assert len(by_name) == len(listed)
    return by_name


async def cut_off(*requests: Awaitable[Any]) -> int:
    """Await requests to a server that is being killed; return how many got no answer."""
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, aiohttp.ClientError):
            raise outcome
    return sum(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)


async def all_chunks(api: Api, uploads: list[Upload]) -> int:
    return await cut_off(*(send(api, upload) for upload in uploads))


async def all_completes(api: Api, uploads: list[Upload]) -> int:
    return await cut_off(*(complete(api, upload) for upload in uploads))


async def sweep(settings: Settings, database: Database) -> None:
    """Let what is unfinished expire, and the worker do all there is to do."""
    await database.execute("update upload_tasks set expires_at = now() - interval '1 second' where status = 1")
    swept = await drive("worker", "--once", env=environment(settings))
    assert (swept.status, swept.stderr) == (0, "")


async def assert_nothing_left_over(settings: Settings, database: Database) -> None:
    """Each object on the disk belongs to a row and the other way around; nothing is staged, no job waits."""
    rows = {row["id"] for row in await database.fetch("select id from objects")}
    assert names(settings.storage_path / "objects") == rows
    assert names(settings.storage_path / "staging") == set()
    assert await database.fetchval("select count(*) from jobs") == 0
    assert await database.fetchval("select count(*) from upload_chunks") == 0


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(settings.database_url)
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(slots=True)
class Round:
    """What was under way when the server was killed."""

    to_resume: list[Upload]
    to_forget: list[Upload]
    direct: bytes
    cut_off: int = 0


async def killed_at_random(serve: Serve, number: int, longest_s: dict[str, float]) -> Round:
    """Begin uploads, and kill the server at a random moment while it takes their chunks or completes them."""
    api = serve.api
    uploads = [await begin(api, f"{number}-{index}.bin") for index in range(3)]
    killed = Round(uploads[:2], uploads[2:], os.urandom(MIB))
    if number % 2:
        kind, action = "chunks", all_chunks(api, uploads)
    else:
        await all_chunks(api, uploads)
        kind, action = "complete", all_completes(api, uploads)
    direct = cut_off(api.upload_direct(killed.direct, f"{number}-direct.bin"))
    under_way = asyncio.gather(action, direct)
    await asyncio.sleep(random.uniform(0, longest_s[kind]))
    await serve.kill()
    killed.cut_off = sum(await under_way)
    return killed


async def durations_s(api: Api) -> dict[str, float]:
    """Measure how long the server takes if it is left alone."""
    uploads = [await begin(api, f"undisturbed-{index}.bin") for index in range(3)]
    durations = {}
    for kind, action in (("chunks", all_chunks), ("complete", all_completes)):
        begun_s = time.monotonic()
        assert await action(api, uploads) == 0
        durations[kind] = time.monotonic() - begun_s
    return durations


async def test_uploads_killed_at_twenty_random_moments_are_resumed_and_leave_nothing_behind(settings: Settings) -> None:
    """Each is one file with the right bytes in the end, or, where its client never came back, all of it is swept."""
    random.seed(SEED)
    rounds: list[Round] = []
    longest_s: dict[str, float] = {}
    for number in range(KILLS):
        async with serving(settings) as serve:
            for upload in rounds[-1].to_resume if rounds else []:
                await resume(serve.api, upload)
            longest_s = longest_s or await durations_s(serve.api)
            rounds.append(await killed_at_random(serve, number, longest_s))
    assert sum(killed.cut_off for killed in rounds) >= KILLS / 2, "the moments were badly chosen"

    async with serving(settings) as serve, connected(settings) as database:
        for upload in rounds[-1].to_resume:
            await resume(serve.api, upload)
        await sweep(settings, database)
        there = await files(serve.api)
        for number, killed in enumerate(rounds):
            assert all(upload.name in there for upload in killed.to_resume)
            for upload in killed.to_resume + killed.to_forget:
                if upload.name in there:
                    await check(serve.api, there[upload.name], upload)
            if direct := there.get(f"{number}-direct.bin"):
                assert (await serve.api.get(f"/api/files/{direct['id']}")).body == killed.direct
        await assert_nothing_left_over(settings, database)

        for file in list(there.values())[::2]:
            assert (await serve.api.delete(f"/api/files/{file['id']}")).status == 200
        await sweep(settings, database)
        await assert_nothing_left_over(settings, database)
        assert len(await files(serve.api)) == len(there) // 2


Step: TypeAlias = Callable[[Api, Upload], Awaitable[Any]]


async def kill_before_it_commits(
    step: Step, serve: Serve, upload: Upload, settings: Settings, *, statement_survives: bool
) -> None:
    """Kill the server while the statement that ends a step waits, which then goes on without it, or ends with it."""
    async with connected(settings) as locking, connected(settings) as watching:
        async with locking.transaction():
            await locking.execute("select from upload_tasks where id = $1 for update", upload.task_id)
            under_way = asyncio.create_task(cut_off(step(serve.api, upload)))
            while not (waiting := await watching.fetch(_WAITING)):
                assert not under_way.done()
            await serve.kill()
            assert await under_way == 1
            if not statement_survives:
                for row in waiting:
                    await watching.execute("select pg_terminate_backend($1, 10000)", row["pid"])
        while await watching.fetch(_WORKING):
            pass


_OTHERS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
_WAITING = f"select pid {_OTHERS} and wait_event_type = 'Lock'"
_WORKING = f"select pid {_OTHERS} and state = 'active'"


async def send_last(api: Api, upload: Upload) -> None:
    await send(api, upload, [upload.chunks_count - 1])


@pytest.mark.parametrize("statement_survives", [True, False])
@pytest.mark.parametrize("step", [send_last, complete])
async def test_an_upload_killed_between_the_disk_and_the_database_becomes_one_file(
    settings: Settings, step: Step, statement_survives: bool
) -> None:
    """What the disk has and the database does not is done again; what the database did by itself afterwards, is not."""
    async with connected(settings) as database:
        async with serving(settings) as serve:
            upload = await begin(serve.api, "file.bin")
            await send(serve.api, upload, list(range(upload.chunks_count - (step is send_last))))
            await kill_before_it_commits(step, serve, upload, settings, statement_survives=statement_survives)
        async with serving(settings) as serve:
            survived = statement_survives and step is complete
            assert (await files(serve.api)).keys() == ({"file.bin"} if survived else set())
            await resume(serve.api, upload)
            assert (await files(serve.api)).keys() == {"file.bin"}
            await sweep(settings, database)
            await assert_nothing_left_over(settings, database)


@pytest.mark.parametrize("statement_survives", [True, False])
async def test_an_upload_killed_while_it_is_refused_leaves_no_object(
    settings: Settings, statement_survives: bool
) -> None:
    """Content that is not what was declared is swept, though the server died before it could delete it."""
    async with connected(settings) as database:
        async with serving(settings) as serve:
            upload = await begin(serve.api, "file.bin", hash="0" * 64)
            await send(serve.api, upload)
            await kill_before_it_commits(complete, serve, upload, settings, statement_survives=statement_survives)
        assert len(names(settings.storage_path / "objects")) == 1
        await sweep(settings, database)
        await assert_nothing_left_over(settings, database)


async def test_a_chunk_that_was_cut_off_in_its_middle_is_sent_again(settings: Settings) -> None:
    """Half a chunk on the disk counts for nothing."""
    half_sent = asyncio.Event()

    async def body(data: bytes) -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        half_sent.set()
        await asyncio.Event().wait()

    async with connected(settings) as database:
        async with serving(settings) as serve:
            upload = await begin(serve.api, "file.bin")
            await send(serve.api, upload, [1])
            chunk = serve.api.post(f"/api/files/upload/chunk/{upload.task_id}/0", data=body(upload.chunk(0)))
            under_way = asyncio.create_task(cut_off(chunk))
            await half_sent.wait()
            await serve.kill()
            assert await under_way == 1
        async with serving(settings) as serve:
            progress = await serve.api.get(f"/api/files/upload/resume/{upload.task_id}")
            assert progress.json["uploaded_chunks"] == [1]
            await resume(serve.api, upload)
            await sweep(settings, database)
            await assert_nothing_left_over(settings, database)
