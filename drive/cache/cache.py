"""Typed values by key, which may be gone at any time."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog

from drive.cache.flights import Flights
from drive.errors import unavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from drive.lazy import Lazy

log = structlog.get_logger()

T = TypeVar("T")

PREFIX = "drive:"
"""Of all keys, so that other services can use the same database."""

LEAVE_ALONE_S = 5.0
"""How long Redis is not asked after it failed."""

# Deletions that an outage prevented are made up for when it ends; more than these would take too much memory.
_OWED_KEYS_MAX = 100_000
_PROBE_KEY = f"{PREFIX}probe"
_PROBE_TTL_S = 1


class Cache:
    """Values in Redis for `ttl_s`, as JSON. Without Redis every read is a miss and every write does nothing.

    An outage fails no request. The operations under way are misses after at most `operation_timeout_s`, all later ones
    at once; Redis is looked for in the background, and used again when it takes values. The log has one line when an
    outage begins and one when it ends.

    Keys are of callers' own fixed namespaces and validated ids: `file:` and an id of `drive.ids`.

    Args:
        redis: opened at the first use; None where no Redis is configured.
        ttl_s: how long a value lives where the caller does not say.
        operation_timeout_s: how long an operation may take in all, connecting included.

    """

    def __init__(self, redis: "Lazy[Redis] | None", ttl_s: int, operation_timeout_s: float) -> None:
        self.hits = 0
        """How many reads found a value."""
        self.misses = 0
        """How many found none, also for want of Redis."""
        self._redis = redis
        self._ttl_s = ttl_s
        self._operation_timeout_s = operation_timeout_s
        self._flights = Flights()
        self._left_alone_until_s: float | None = None
        self._probe: asyncio.Task[None] | None = None
        self._owed: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether anything was read or written yet."""
        return self._redis is not None and self._redis.peek() is not None

    async def get(self, key: str, type_: type[T]) -> T | None:
        """Return the value, None where there is none of this type."""
        value: T = await self._read(key, type_)
        return None if value is _MISS else value

    async def set(self, key: str, value: Any, ttl_s: int | None = None) -> None:
        """Store a value that msgspec can encode."""
        if self._redis is not None:
            data = msgspec.json.encode(value)
            await self._ask(lambda redis: redis.set(PREFIX + key, data, ex=ttl_s or self._ttl_s))

    async def delete(self, *keys: str) -> None:
        """Forget values that have changed, also where the caller is cancelled or Redis cannot be reached now.

        Loads under way in this process do not bring them back. One in another process can, with what it read before
        the change; such a value lives for its `ttl_s`.
        """
        for key in keys:
            self._flights.forget(key)
        if keys and self._redis is not None:
            await asyncio.shield(self._delete([PREFIX + key for key in keys]))

    async def get_or_load(
        self, key: str, type_: type[T], load: Callable[[], Awaitable[T]], ttl_s: int | None = None
    ) -> T:
        """Return the value, loaded and stored where there is none.

        However many of this process wait for a key, it is loaded once; they share the value, so it should be frozen.
        Cancelling one harms no other. A failed load is not stored and reaches all who wait for it.
        """
        value: T = await self._read(key, type_)
        if value is not _MISS:
            return value
        return await self._flights.join(key, load, lambda loaded: self.set(key, loaded, ttl_s))

    async def ping(self) -> None:
        """Store something, also during an outage, which this ends if it works; do nothing without Redis.

        Raises:
            DriveError: UNAVAILABLE.

        """
        if self._redis is not None and not await self._look(await self._redis()):
            raise unavailable("The cache")

    async def _read(self, key: str, type_: Any) -> Any:
        """Return the value, or `_MISS`, and count which."""
        data = await self._ask(lambda redis: redis.get(PREFIX + key))
        value = _MISS if data is _MISS or data is None else _decoded(key, data, type_)
        if value is _MISS:
            self.misses += 1
        else:
            self.hits += 1
        return value

    async def _delete(self, names: list[str]) -> None:
        if await self._ask(lambda redis: redis.delete(*names)) is _MISS and len(self._owed) < _OWED_KEYS_MAX:
            self._owed.update(names)

    async def _ask(self, command: "Callable[[Redis], Awaitable[Any]]") -> Any:
        """Return Redis' answer, or `_MISS` where there is none or Redis is left alone."""
        if self._redis is None:
            return _MISS
        redis = await self._redis()  # imports at the first use, and does not connect
        if self._is_left_alone(redis):
            return _MISS
        return await self._answer(redis, command)

    async def _answer(self, redis: "Redis", command: "Callable[[Redis], Awaitable[Any]]") -> Any:
        try:
            async with asyncio.timeout(self._operation_timeout_s):
                return await command(redis)
        except Exception as error:  # noqa: BLE001 - what redis-py makes of a server that is no Redis can be anything
            self._begin_outage(error)
            return _MISS

    def _is_left_alone(self, redis: "Redis") -> bool:
        if self._left_alone_until_s is None:
            return False
        if time.monotonic() >= self._left_alone_until_s and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(self._look_again(redis), name="look for Redis")
        return True

    async def _look_again(self, redis: "Redis") -> None:
        await self._look(redis)
        if self._redis is not None and self._redis.peek() is not redis:
            await redis.aclose()  # it was closed meanwhile, and redis-py connects again for whoever asks

    async def _look(self, redis: "Redis") -> bool:
        """Try what the cache does, storing and deleting: a full or read-only Redis answers a PING."""
        owed = list(self._owed)
        answer = await self._answer(redis, lambda redis: redis.set(_PROBE_KEY, b"", ex=_PROBE_TTL_S))
        if answer is not _MISS and owed:
            answer = await self._answer(redis, lambda redis: redis.delete(*owed))
        if answer is _MISS:
            return False
        self._owed.difference_update(owed)
        self._end_outage()
        return True

    def _begin_outage(self, error: Exception) -> None:
        if self._left_alone_until_s is None:
            log.warning("Redis unreachable", error=type(error).__name__)
        self._left_alone_until_s = time.monotonic() + LEAVE_ALONE_S

    def _end_outage(self) -> None:
        if self._left_alone_until_s is not None:
            self._left_alone_until_s = None
            log.info("Redis reachable again")


_MISS = object()


def _decoded(key: str, data: bytes, type_: Any) -> Any:
    try:
        return _decoder(type_).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        log.debug("Cache entry of another form", key=key)
        return _MISS


@functools.lru_cache(maxsize=256)
def _decoder(type_: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(type_)
