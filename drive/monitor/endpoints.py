"""Which TCP connections lead to which gRPC endpoint."""

import asyncio
import math
import socket
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import fields
from ipaddress import IPv6Address, ip_address

from drive.lazy import Endpoint
from drive.monitor.linux import Address
from drive.settings import Settings, parse_listen

_RESOLVE_TIMEOUT_S = 1.0
_RESOLVED_FOR_S = 60.0
_REMEMBERED_FOR_S = 3600.0
_DEFAULT = "pass_endpoint"  # of clients that have none of their own; it is no client itself


def endpoints_of(settings: Settings) -> list[Endpoint]:
    """Return all endpoints that the settings name, each once."""
    return list(dict.fromkeys(Endpoint.parse(getattr(settings, name)) for name in _names(settings)))


def _names(settings: Settings) -> list[str]:
    return [one.name for one in fields(settings) if one.name.endswith("_endpoint")]


class Addresses:
    """The addresses behind endpoints, looked up again after a minute.

    An address stays known for an hour after its name has lost it: connections that were made to it go on.
    """

    def __init__(self) -> None:
        self._seen_s: dict[Endpoint, dict[Address, float]] = {}
        self._looked_up_s: dict[Endpoint, float] = {}

    async def of(self, endpoints: Collection[Endpoint]) -> dict[Endpoint, set[Address]]:
        """Return the addresses of those endpoints that have any: not of sockets in the file system."""
        await asyncio.gather(*(self._look_up(one) for one in endpoints if self._is_due(one)))
        horizon_s = time.monotonic() - _REMEMBERED_FOR_S
        known = {one: {a for a, at_s in self._seen_s.get(one, {}).items() if at_s > horizon_s} for one in endpoints}
        return {endpoint: addresses for endpoint, addresses in known.items() if addresses}

    def _is_due(self, endpoint: Endpoint) -> bool:
        looked_up_s = self._looked_up_s.get(endpoint)
        is_tcp = not endpoint.target.startswith("unix:")
        return is_tcp and (looked_up_s is None or time.monotonic() - looked_up_s > _RESOLVED_FOR_S)

    async def _look_up(self, endpoint: Endpoint) -> None:
        self._looked_up_s[endpoint] = time.monotonic()
        host, port = parse_listen(endpoint.target)
        try:
            async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError):  # TimeoutError and what is no name, too: no connections that could be told
            del self._looked_up_s[endpoint]
            return
        seen_s = self._seen_s.setdefault(endpoint, {})
        seen_s |= {(_plain(str(one[4][0])), port): time.monotonic() for one in found}


def connections(peers: Counter[Address], addresses: Mapping[Endpoint, Collection[Address]]) -> dict[Endpoint, int]:
    """Count the connections to each endpoint."""
    return {endpoint: sum(peers[one] for one in its) for endpoint, its in addresses.items()}


def caps(settings: Settings, addresses: Mapping[Endpoint, set[Address]]) -> dict[Endpoint, float]:
    """Return how many connections of a process may lead to each endpoint; infinity where there is no limit.

    Endpoints that share an address share a cap: by a connection nobody can tell which of them it is for.
    """
    each = settings.grpc_max_connections or math.inf
    clients = Counter(Endpoint.parse(getattr(settings, name)) for name in _names(settings) if name != _DEFAULT)
    channels = clients if settings.grpc_channel_per_client else Counter(clients.keys())
    own = {one: channels[one] * each if channels[one] else 0 for one in endpoints_of(settings)}
    nowhere: set[Address] = set()

    def is_shared(one: Endpoint, other: Endpoint) -> bool:
        return one == other or not addresses.get(one, nowhere).isdisjoint(addresses.get(other, nowhere))

    return {one: sum(cap for other, cap in own.items() if is_shared(one, other)) for one in own}


def _plain(text: str) -> str:
    address = ip_address(text.partition("%")[0])
    return str(address.ipv4_mapped or address) if isinstance(address, IPv6Address) else str(address)
