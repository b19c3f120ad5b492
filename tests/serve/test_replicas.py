"""Two `drive serve` and two `drive worker` side by side, of which one is killed with -9 every two seconds.

Whatever clients were answered is so in the end, nothing is there twice, and nothing is left behind. Here in short;
DRIVE_TEST_REPLICAS_S=120 kills for two minutes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from support.clients import CHUNK_BYTES, PNG, Client, Owner
from support.process import drive, environment
from support.replicas import Fleet
from support.rows import Rows, connected, wrong_counts
from support.waiting import eventually

from drive.peers import Account, Peers
from drive.settings import Settings
from drive.uploads.interfaces import TaskStatus

LASTS_S = float(os.environ.get("DRIVE_TEST_REPLICAS_S", "12"))
EVERY_S = 2.0
SEED = 5
ACCOUNTS, CLIENTS_OF_EACH = 3, 2
PATIENCE_S = 60.0
OF_SCHEDULES = ["sweep", "expire"]
"""The kinds of jobs that are asked for again and again."""


@dataclass(frozen=True, slots=True)
class Load:
    """The clients, by account."""

    of: dict[str, list[Client]]

    @property
    def clients(self) -> list[Client]:
        return [client for of_account in self.of.values() for client in of_account]

    @property
    def accounts(self) -> dict[str, Owner]:
        return {account_id: of_account[0].account for account_id, of_account in self.of.items()}

    @property
    def done(self) -> Counter[str]:
        return sum((account.done for account in self.accounts.values()), Counter())


@asynccontextmanager
async def load_on(fleet: Fleet, peers: Peers) -> AsyncIterator[Load]:
    """Give clients that have done nothing yet."""
    by_account: dict[str, list[Client]] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for name in (f"account{number}" for number in range(ACCOUNTS)):
            account = peers.world.add(Account(name), f"token-of-{name}")
            peers.world.grant(account.id, "files.create")
            known = Owner(f"token-of-{name}")
            by_account[account.id] = [Client(fleet, session, known, number) for number in range(CLIENTS_OF_EACH)]
        yield Load(by_account)


async def while_one_is_killed(fleet: Fleet, load: Load) -> None:
    """Let the clients work; all replicas are up again at the end."""
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for client in load.clients:
            group.create_task(client.work(is_over))
        await fleet.kill_for(LASTS_S, every_s=EVERY_S)
        is_over.set()
    for of_account in load.of.values():
        await of_account[0].cancel()
        await of_account[0].upload_picture()


async def nothing_is_lost(load: Load) -> dict[str, list[Any]]:
    """See that each file that was confirmed is there with its bytes, and each that was deleted is not.

    Returns what is there, by account.
    """
    listed = {account_id: await one[0].all_files() for account_id, one in load.of.items()}
    for account_id, account in load.accounts.items():
        files = {file["id"]: file for file in listed[account_id]}
        assert len(files) == len(listed[account_id])
        assert account.files.keys() <= files.keys()
        assert not account.deleted & files.keys()
        for kept in account.files.values():
            file = files[kept.id]
            assert file["name"] in kept.names
            assert file["is_marked_recycle"] in kept.recycled
    await asyncio.gather(*(_check_half(client) for client in load.clients))
    return listed


async def _check_half(client: Client) -> None:
    for file in list(client.account.files.values())[client.number :: CLIENTS_OF_EACH]:
        await client.check(file)


async def nothing_is_doubled(load: Load, listed: dict[str, list[Any]], rows: Rows) -> None:
    """See that each upload has become one file, and each content one object; nothing but that is counted."""
    for account_id, account in load.accounts.items():
        query = "select file_name, count(*) from upload_tasks where account_id = $1 and status = $2 group by 1"
        became = {
            row["file_name"]: row["count"] for row in await rows.fetch(query, account_id, int(TaskStatus.COMPLETED))
        }
        assert {name: became.pop(name) for name in account.chunked} == dict.fromkeys(account.chunked, 1)
        assert became.keys() == account.direct.keys()
        assert all(1 <= count <= account.direct[name] for name, count in became.items())
        made = await _count(rows, "files where account_id = $1", account_id)
        assert made == len(account.chunked) + sum(became.values())

        files = listed[account_id]
        distinct = {file["hash"] for file in files}
        assert await _count(rows, "objects where account_id = $1", account_id) == len(distinct)
        shown = [file["size"] for file in files if not file["is_marked_recycle"]]
        usage = (await load.of[account_id][0].ask("GET", "/api/billing/usage")).json
        assert (usage["total_file_count"], usage["total_usage_bytes"]) == (len(shown), sum(shown))
    assert await wrong_counts(rows) == []


async def nothing_is_left_behind(settings: Settings, rows: Rows) -> None:
    """See that uploads hold no quota, jobs have all ended well, and the store has what the database says."""
    assert await _count(rows, "upload_tasks where status = 1") == 0
    assert await _count(rows, "upload_chunks") == 0
    assert await _count(rows, "jobs") == 0
    assert _names(settings, "staging") == _names(settings, "work") == set()
    objects = {row["id"]: row["variants"] for row in await rows.fetch("select id, variants from objects")}
    variants = {f"{object_id}.{name}" for object_id, made in objects.items() for name in made}
    assert _names(settings, "objects") == objects.keys() | variants


async def pictures_were_processed(rows: Rows) -> None:
    made = await rows.fetch("select variants from objects where mime_type = $1", PNG)
    assert len(made) >= ACCOUNTS
    assert all("webp" in row["variants"] for row in made)


async def another_worker_comes(settings: Settings, rows: Rows) -> None:
    """Let a day pass, and one more worker do all there is: also what only the next one finds of a killed one."""
    for left in (settings.storage_path / "objects").rglob("*.new"):
        os.utime(left, times=(0, 0))
    await rows.execute(
        """
        insert into jobs (kind, lane, payload)
        select 'process_object', 'media', jsonb_build_object('object_id', id, 'pool_id', pool_id)
        from (select * from objects where mime_type = $1 limit 1) as picture
        union all select 'check_objects', 'quick', '{}'
        """,
        PNG,
    )
    worked = await drive("worker", "--once", env=environment(settings))
    assert (worked.status, worked.stderr) == (0, "")


async def _workers_have_nothing_to_do(settings: Settings, rows: Rows) -> bool:
    jobs = await _count(rows, "jobs where kind <> all($1) or status = 'failed'", OF_SCHEDULES)
    return jobs == 0 and _names(settings, "staging") == set()


async def _count(rows: Rows, what: str, *args: object) -> int:
    return int(await rows.fetchval(f"select count(*) from {what}", *args))


def _names(settings: Settings, folder: str) -> set[str]:
    return {file.name for file in (settings.storage_path / folder).rglob("*") if file.is_file()}


@pytest.mark.timeout(LASTS_S + 300)
async def test_replicas_that_are_killed_again_and_again_lose_nothing_and_double_nothing(
    settings: Settings, peers: Peers
) -> None:
    settings = replace(
        settings,
        quota_base_mib=100_000,
        upload_chunk_bytes=CHUNK_BYTES,
        worker_poll_interval_s=0.1,
        worker_sweep_interval_s=1.0,
        worker_lease_s=1.0,
    )
    async with connected(settings.database_url) as rows:
        async with Fleet.running(settings, each=2, seed=SEED) as fleet, load_on(fleet, peers) as load:
            await while_one_is_killed(fleet, load)
            listed = await nothing_is_lost(load)
            await nothing_is_doubled(load, listed, rows)
            await eventually(lambda: _workers_have_nothing_to_do(settings, rows), PATIENCE_S)
            await fleet.stop()
        print(dict(fleet.kills), dict(load.done), Counter(line["event"] for line in fleet.lines("warning")))  # noqa: T201
        assert fleet.lines("error") == []
        await pictures_were_processed(rows)
        await another_worker_comes(settings, rows)
        await nothing_is_left_behind(settings, rows)
