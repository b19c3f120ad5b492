"""`drive worker`."""

import asyncio
import signal
import time

import asyncpg
import pytest
from support.api import Api
from support.process import DRIVE, drive, environment

from drive.cli.processes import running
from drive.settings import Settings

MOST_S = 6.0  # two seconds are promised; the rest is for a machine that does other things meanwhile


async def test_once_does_what_is_due_and_ends(api: Api, settings: Settings) -> None:
    """A deleted file's bytes go, and so does what an expired upload had staged; nothing is left to do."""
    file = await api.upload(b"content")
    await api.delete(f"/api/files/{file['id']}")
    abandoned = (await api.create(b"never finished", chunk_size=10)).json
    await api.send_chunk(abandoned["task_id"], 0, b"never fini"[: abandoned["chunk_size"]])
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("update upload_tasks set expires_at = now() - interval '1 second' where status = 1")

    finished = await drive("worker", "--once", env=environment(settings))
    assert (finished.status, finished.stderr) == (0, "")
    assert [one for one in settings.storage_path.rglob("*") if one.is_file()] == []
    assert await connection.fetchval("select count(*) from jobs where status = 'pending'") == 0
    await connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_while_it_waits_for_jobs(settings: Settings, number: signal.Signals) -> None:
    async with running("worker", environment(settings)) as worker:
        await worker.logged("Working")
        begun_s = time.monotonic()
        worker.process.send_signal(number)
        assert await worker.process.wait() == 0
        assert time.monotonic() - begun_s < MOST_S


async def test_a_signal_ends_it_while_it_works(settings: Settings) -> None:
    """Also with --once, which otherwise ends by itself."""
    locking, watching = [await asyncpg.connect(settings.database_url) for _ in range(2)]
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with locking.transaction():
        await locking.execute("lock table upload_tasks")
        process = await asyncio.create_subprocess_exec(*DRIVE, "worker", "--once", env=environment(settings))
        while await watching.fetchval(waiting) == 0:
            assert process.returncode is None
        begun_s = time.monotonic()
        process.terminate()
        assert await process.wait() == 0
        assert time.monotonic() - begun_s < MOST_S
    await locking.close()
    await watching.close()
