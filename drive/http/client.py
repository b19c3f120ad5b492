"""The session for outgoing HTTP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp


async def open_session(*, connections_per_host: int, timeout_s: float) -> "aiohttp.ClientSession":
    """Return a session that holds at most so many connections per host, any number for 0; it connects when used."""
    import aiohttp

    most = 100 if connections_per_host else 0  # to all hosts together
    connector = aiohttp.TCPConnector(limit=most, limit_per_host=connections_per_host)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=timeout_s))


async def close_session(session: "aiohttp.ClientSession") -> None:
    """Close the session's connections."""
    await session.close()
