"""`drive worker`, with events."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from events_support import NatsServer, add_events, connected_to, events_left, file_ids, has_stream, hold_back_deletion
from nats.js import JetStreamContext
from support.api import Api
from support.process import drive, environment
from support.rows import Rows
from support.waiting import eventually

from drive.cli.processes import running
from drive.containers import Container
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings

MOST_S = 6.0  # two seconds are promised; the rest is for a machine that does other things meanwhile

Serve = Callable[[Container], Awaitable[Api]]


async def test_a_worker_killed_between_sending_and_marking_leaves_one_event(
    nats_settings: Settings, jetstream: JetStreamContext, rows: Rows
) -> None:
    """Whoever comes next sends what it had sent again; the stream has it once, and what follows after it."""
    await add_events(rows, ["first", "second"])
    async with hold_back_deletion(rows), running("worker", environment(nats_settings)) as worker:
        await eventually(lambda: has(jetstream, ["first"]), 20.0)
        worker.process.kill()
        await worker.process.wait()
    assert await events_left(rows) == 2
    async with running("worker", environment(nats_settings)), running("worker", environment(nats_settings)):
        await eventually(lambda: is_told(rows), 20.0)
    assert await file_ids(jetstream) == ["first", "second"]


async def has(jetstream: JetStreamContext, names: list[str]) -> bool:
    return await file_ids(jetstream) == names


async def is_told(rows: Rows) -> bool:
    return await events_left(rows) == 0


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_whether_nats_is_there_or_not(
    nats_settings: Settings, stopped_server: NatsServer, number: signal.Signals, is_there: bool
) -> None:
    if is_there:
        await stopped_server.start()
    async with running("worker", environment(nats_settings)) as worker:
        await worker.logged("Consumer created" if is_there else "NATS unreachable")
        begun_s = time.monotonic()
        worker.process.send_signal(number)
        assert await worker.process.wait() == 0
        assert time.monotonic() - begun_s < MOST_S
        assert not [line for line in worker.lines if line["event"] in {"Closing failed", "Events failed"}]


async def test_once_tells_deletes_and_ends(
    nats_settings: Settings, serve_app: Serve, jetstream: JetStreamContext, rows: Rows
) -> None:
    """What others ask for is done in the same run: the account is gone when it ends."""
    api = await serve_app(Container(settings=nats_settings))
    file = await api.upload(b"content")
    first = await drive("worker", "--once", env=environment(nats_settings))
    assert (first.status, first.stderr) == (0, "")
    assert await file_ids(jetstream) == [file["id"]]

    await jetstream.publish("account_deleted", b'{"account_id": "%b"}' % PLAIN_ID.encode())
    second = await drive("worker", "--once", env=environment(nats_settings))
    assert (second.status, second.stderr) == (0, "")
    assert await rows.fetchval("select count(*) from files") == 0
    assert [one for one in nats_settings.storage_path.rglob("*") if one.is_file()] == []


async def test_a_worker_with_its_database_away_holds_the_message_and_does_it_later(
    nats_settings: Settings, jetstream: JetStreamContext, database_url: str
) -> None:
    """Jobs cannot be written while the table is locked, for longer than a statement may take."""
    locking = await asyncpg.connect(database_url)
    variables = {"DRIVE_DATABASE_QUERY_TIMEOUT_S": "0.3"}
    async with running("worker", environment(nats_settings, **variables)) as worker:
        await worker.logged("Consumer created")
        async with locking.transaction():
            await locking.execute("lock table jobs")
            await jetstream.publish("account_deleted", b'{"account_id": "%b"}' % PLAIN_ID.encode())

            def timed_out() -> int:
                queries = [line["query"] for line in worker.lines if line["event"] == "Database query timed out"]
                return sum("delete_account" in query for query in queries)

            await eventually(lambda: timed_out() > 1)
        await worker.logged("Account deleted")
        assert not [line for line in worker.lines if line["event"] in {"Message failed", "Message put aside"}]
    await locking.close()


async def test_the_same_server_serves_two_workers_and_no_message_is_done_twice(
    nats_settings: Settings, server: NatsServer, rows: Rows
) -> None:
    """They share the durable consumer; the deletions are done once each, by either."""
    accounts = [f"99999999-0000-4000-8000-{number:012}" for number in range(30)]
    async with (
        running("worker", environment(nats_settings)) as one,
        running("worker", environment(nats_settings)) as other,
    ):
        await asyncio.gather(one.logged("Working"), other.logged("Working"))
        async with connected_to(server) as jetstream:
            await eventually(lambda: has_stream(jetstream, "account_events"))
            for account in accounts:
                await jetstream.publish("account_deleted", b'{"account_id": "%b"}' % account.encode())

        def deleted() -> list[str]:
            lines = [*one.lines, *other.lines]
            return [line["account_id"] for line in lines if line["event"] == "Account deleted"]

        await eventually(lambda: len(deleted()) >= len(accounts), 30.0)
        assert sorted(deleted()) == accounts
    waiting = await rows.fetch("select payload->>'account_id' as id from jobs where kind = 'delete_account'")
    assert sorted(row["id"] for row in waiting) == accounts
