"""How it should be, by the settings."""

from collections.abc import Mapping
from dataclasses import fields

from drive.audit.model import Rules
from drive.lazy.endpoint import Endpoint
from drive.settings import Settings

_SUFFIX = "_endpoint"


def rules_of(settings: Settings, expected: Mapping[str, int]) -> Rules:
    """Return what the settings say of channels.

    Raises:
        ValueError: something is expected of a client that there is no setting for.

    """
    endpoints: dict[str, list[str]] = {}
    for one in fields(settings):
        if one.name.endswith(_SUFFIX):
            endpoint = str(Endpoint.parse(getattr(settings, one.name)))
            endpoints.setdefault(endpoint, []).append(one.name.removesuffix(_SUFFIX))
    names = [name for group in endpoints.values() for name in group]
    if unknown := sorted(set(expected) - set(names)):
        raise ValueError(f"there is no client {', '.join(unknown)}: {', '.join(names)} are")
    return Rules(endpoints, settings.grpc_max_connections, expected)
