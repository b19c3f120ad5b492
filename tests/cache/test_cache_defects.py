"""What forgetting a value must not cost."""

from typing import Any

from cache_support import opened
from redis.asyncio import Redis

OTHERS = 1000


async def test_forgetting_a_value_looks_at_no_other_key(redis_url: str) -> None:
    async with opened(redis_url) as cache, Redis.from_url(redis_url) as redis:
        await redis.mset({f"drive:other:{n}": 1 for n in range(OTHERS)})
        await redis.sadd("drive:group", "drive:thing")
        await cache.set("thing", 1)
        await redis.config_resetstat()
        await cache.delete("thing")
        stats: dict[str, Any] = await redis.info("commandstats")
        assert {name.removeprefix("cmdstat_") for name in stats} - {"config|resetstat", "info"} == {"del"}
        assert stats["cmdstat_del"]["calls"] == 1
        assert await redis.dbsize() == OTHERS + 1
