"""What the tests of the cache share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from drive.cache.cache import Cache
from drive.cache.redis import close_redis, open_redis
from drive.lazy import Lazy

OPTIONS: dict[str, Any] = {
    "role": "test",
    "max_connections": 10,
    "connect_timeout_s": 5.0,
    "operation_timeout_s": 3.0,
    "retries": 3,
}


@asynccontextmanager
async def opened(url: str, **changed: Any) -> AsyncIterator[Cache]:
    """Give a `Cache` with its client, and close it."""
    options = OPTIONS | changed
    redis = Lazy(lambda: open_redis(url=url, **options), close=close_redis)
    try:
        yield Cache(redis, ttl_s=300, operation_timeout_s=options["operation_timeout_s"])
    finally:
        await redis.aclose()


class Loader:
    """Counts how often a value is loaded."""

    def __init__(self, value: Any = "loaded") -> None:
        self.value = value
        self.count = 0

    async def __call__(self) -> Any:
        """Give the value."""
        self.count += 1
        return self.value


async def unexpected() -> NoReturn:
    raise AssertionError("this should have been in the cache")
