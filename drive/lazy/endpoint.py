"""Where a gRPC service listens, in one spelling."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from pathlib import PurePosixPath

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PORT_MAX = 65535

_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_.])?))(?::([0-9]{0,5}))?")
# gRPC percent-decodes a target and cuts it at `?` and `#`: what would change on the way is refused.
_SOCKET_PATH = re.compile(r"/[A-Za-z0-9._~/@:+=,-]*[A-Za-z0-9_~@:+=,-]")


class EndpointError(ValueError):
    """An endpoint that cannot be called, with what to write instead."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A gRPC target and whether TLS protects it. Two spellings of the same place are equal."""

    target: str
    """As gRPC's name syntax has it: `host:port` or `unix:/path`."""
    secure: bool

    def __str__(self) -> str:
        if self.target.startswith("unix:"):
            return self.target
        return f"{'https' if self.secure else 'http'}://{self.target}"

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Read `http://host:port`, `https://host:port`, `unix:/path` or `dns:///host:port`.

        The last is gRPC's own spelling of the first: both are the same endpoint.

        Raises:
            EndpointError: anything else; a path, a query or credentials in the URL included.

        """
        if not isinstance(url, str):
            raise EndpointError(f"{url!r} is no endpoint: it is no text. Is the setting missing?")
        scheme, separator, rest = url.strip().partition(":")
        scheme = scheme.lower()
        if separator and scheme == "unix":
            return cls(f"unix:{_socket_path(url, rest)}", secure=False)
        if separator and scheme == "dns":
            return cls(_host_and_port(url, rest.removeprefix("///"), default_port=0), secure=False)
        if separator and scheme in _DEFAULT_PORTS and rest.startswith("//"):
            authority = rest[2:].removesuffix("/")
            return cls(_host_and_port(url, authority, _DEFAULT_PORTS[scheme]), secure=scheme == "https")
        raise _error(url, "it has no scheme that gRPC can be called by")


def _socket_path(url: str, rest: str) -> str:
    path = rest[2:] if rest.startswith("///") else rest
    if path.startswith("//") or not _SOCKET_PATH.fullmatch(path):
        raise _error(url, "a socket's path must be absolute, of letters, digits and ._~/@:+=,-")
    return str(PurePosixPath(path))  # without `//` and `/./`


def _host_and_port(url: str, authority: str, default_port: int) -> str:
    match = _AUTHORITY.fullmatch(authority.lower())
    if match is None:
        raise _error(url, "it must name a host and a port, and nothing else")
    ipv6, host, digits = match.groups()
    port = int(digits) if digits else default_port
    if not 0 < port <= _PORT_MAX:
        raise _error(url, f"it needs a port from 1 to {_PORT_MAX}")
    try:
        return f"{host or f'[{IPv6Address(ipv6)}]'}:{port}"
    except AddressValueError as error:
        raise _error(url, "what stands in brackets is no IPv6 address") from error


def _error(url: str, why: str) -> EndpointError:
    # Credentials have no place in an endpoint, but somebody may have put them there.
    shown = url.rpartition("@")[2].partition("?")[0]
    return EndpointError(
        f"{shown!r} is no endpoint: {why}. Write http://host:port, https://host:port, unix:/path or dns:///host:port."
    )
