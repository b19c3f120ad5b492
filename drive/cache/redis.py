"""The Redis client."""

from typing import TYPE_CHECKING

from drive.lazy import load
from drive.names import client_name

if TYPE_CHECKING:
    from redis.asyncio import Redis

_BACKOFF_BASE_S = 0.01
_BACKOFF_CAP_S = 0.5
_RESP2 = 2


async def open_redis(
    *,
    role: str,
    url: str,
    max_connections: int,
    connect_timeout_s: float,
    operation_timeout_s: float,
    retries: int,
) -> "Redis":
    """Make a client that connects at the first command.

    How long a command may take is for the caller to bound, as `Cache` does.

    Args:
        role: what this process is there for: the server is told (see `drive.names`).
        url: redis://, rediss:// or unix://.
        max_connections: most connections at a time; further commands wait.
        connect_timeout_s: how long making one connection may take.
        operation_timeout_s: how long a command waits for a free connection.
        retries: how often a command is tried again after a lost connection.

    """
    await load("redis.asyncio")
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialWithJitterBackoff

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=operation_timeout_s,
        socket_connect_timeout=connect_timeout_s,
        # redis-py would put each command into asyncio.wait_for, which makes a task of it and, in Python 3.11, can
        # swallow the cancellation by which a caller bounds or abandons it.
        socket_timeout=None,
        retry=Retry(ExponentialWithJitterBackoff(cap=_BACKOFF_CAP_S, base=_BACKOFF_BASE_S), retries),
        client_name=client_name(role),
        # A cache needs nothing of RESP3, which redis-py would open with two more round trips: HELLO, and a request for
        # maintenance notifications.
        protocol=_RESP2,
    )
    return Redis.from_pool(pool)


async def close_redis(redis: "Redis") -> None:
    """Close the connections, also those in use."""
    await redis.aclose()
