"""What the shared fixtures promise to every other test; run twice, so that each sees what the other would leave."""

import asyncpg
import pytest
import redis


@pytest.mark.own_database
@pytest.mark.parametrize("_time", ["first", "second"])
async def test_each_test_has_a_migrated_database_of_its_own(_time: str, database_url: str) -> None:
    """The migrations' tables are there, and no table of another test."""
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") > 0
        await connection.execute("CREATE TABLE left_behind ()")
    finally:
        await connection.close()


@pytest.mark.parametrize("_time", ["first", "second"])
def test_each_test_has_an_empty_redis(_time: str, redis_url: str) -> None:
    """No key of another test is there."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
