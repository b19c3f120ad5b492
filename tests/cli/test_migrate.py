"""`drive migrate`."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import msgspec
import pytest_asyncio
from support.process import Finished, drive, environment


@pytest_asyncio.fixture
async def empty_database_url(postgres_server_url: str) -> AsyncIterator[str]:
    """Give a database with nothing in it."""
    name = f"drive_test_{uuid4().hex}"
    connection = await asyncpg.connect(postgres_server_url)
    await connection.execute(f'create database "{name}"')
    yield urlsplit(postgres_server_url)._replace(path=f"/{name}").geturl()
    await connection.execute(f'drop database "{name}" with (force)')
    await connection.close()


async def migrate(url: str) -> Finished:
    return await drive("migrate", env=environment(DRIVE_DATABASE_URL=url))


def applied(finished: Finished) -> list[str]:
    assert (finished.status, finished.stderr) == (0, "")
    lines = [msgspec.json.decode(line) for line in finished.stdout.splitlines()]
    assert lines[-1]["event"] == "Schema is up to date"
    return list(lines[-1]["applied"])


async def test_the_first_run_applies_all_migrations_and_the_second_none(empty_database_url: str) -> None:
    assert "0001_initial" in applied(await migrate(empty_database_url))
    assert applied(await migrate(empty_database_url)) == []


async def test_runs_at_the_same_time_apply_each_migration_once(empty_database_url: str) -> None:
    """All replicas of a deployment may begin with it."""
    finished = await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))
    assert sorted(map(bool, map(applied, finished))) == [False, False, True]
