"""Passcodes: kept as slow hashes, and checked no more often than needed."""

import asyncio
import hashlib
import os
import unicodedata
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from drive.bundles.attempts import Attempts, client_at
from drive.cache.flights import Flights

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

# What OWASP's password storage cheat sheet asks for at the least, in its variant with the least memory: 8 MiB a hash.
_COST, _BLOCK_SIZE, _PARALLELISM = 2**13, 8, 10
_SALT_BYTES = 16
_HASH_BYTES = 32
_MOST_MEMORY_BYTES = 64 * 1024 * 1024
_THREADS = 2
_MOST_KNOWN = 10_000


class Passcodes:
    """Hashes passcodes, and compares them with hashes, in threads of its own: at most two at a time.

    A passcode that was right is not hashed again for each range of a video: the process remembers that it was, by a
    digest that is worth nothing outside of it. The digest is of the stored hash too, so that it ends with the passcode.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._flights = Flights()
        self._secret = os.urandom(32)
        self._known: OrderedDict[str, None] = OrderedDict()

    async def hashed(self, passcode: str) -> str:
        """Return what may be stored of a passcode: the function, its parameters, a salt and the hash."""
        return await self._in_thread(lambda: _hashed(passcode))

    async def is_right(self, passcode: str, stored: str, *, bundle_id: UUID, address: str | None) -> bool:
        """Tell whether this is the passcode whose hash is stored.

        Raises:
            DriveError: TOO_MANY_REQUESTS, where this address has tried too many wrong ones with the bundle.

        """
        text = f"{stored} {passcode}".encode()
        digest = hashlib.blake2b(text, key=self._secret, digest_size=_HASH_BYTES).hexdigest()
        if digest in self._known:
            self._known.move_to_end(digest)
            return True
        client = client_at(address)

        async def attempt() -> bool:
            window = self._attempts.begin(bundle_id, client)
            is_right = await self._in_thread(lambda: _is_right(passcode, stored))
            if is_right:
                window.forgive()
            return is_right

        return await self._flights.join(f"{client} {digest}", attempt, lambda is_right: self._learn(digest, is_right))

    async def _learn(self, digest: str, is_right: bool) -> None:  # noqa: FBT001 - what was found out
        if is_right:
            self._known[digest] = None
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @cached_property
    def _threads(self) -> "ThreadPoolExecutor":
        """Not those of the event loop, where opening files would wait behind hashes."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(_THREADS, thread_name_prefix="passcodes")


def _hashed(passcode: str) -> str:
    salt = os.urandom(_SALT_BYTES)
    digest = _scrypt(passcode, salt, _COST, _BLOCK_SIZE, _PARALLELISM)
    return f"scrypt${_COST}${_BLOCK_SIZE}${_PARALLELISM}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def _is_right(passcode: str, stored: str) -> bool:
    import hmac

    _, cost, block_size, parallelism, salt, digest = stored.split("$")
    given = _scrypt(passcode, b64decode(salt), int(cost), int(block_size), int(parallelism))
    return hmac.compare_digest(given, b64decode(digest))


def _scrypt(passcode: str, salt: bytes, cost: int, block_size: int, parallelism: int) -> bytes:
    """Hash a passcode; one that was typed on another keyboard, composed otherwise, is the same."""
    return hashlib.scrypt(
        unicodedata.normalize("NFC", passcode).encode(),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallelism,
        maxmem=_MOST_MEMORY_BYTES,
        dklen=_HASH_BYTES,
    )
