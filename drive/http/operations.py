"""What OpenAPI says of the routes that are about the service itself."""

from typing import Literal

import msgspec

from drive.http.describe import Answer, Operation, Parameter, header


class Alive(msgspec.Struct):
    """The process answers."""

    status: Literal["alive"]


class Health(msgspec.Struct):
    """How the service is, and each part of it."""

    status: Literal["healthy", "degraded", "unhealthy"]
    parts: dict[str, Literal["not opened", "reachable", "unreachable"]]


CACHED_HEADERS = {"ETag": "Changes with the content"}
CONDITION: tuple[Parameter, ...] = (header("If-None-Match", "An `ETag`: 304 if it is still the same"),)

OPERATIONS = {
    "GET /alive": Operation("getAlive", Alive, takes_token=False),
    "GET /health": Operation(
        "getHealth",
        answers={
            200: Answer("Healthy or degraded", Health),
            503: Answer("The database does not answer", Health, headers={"Retry-After": "After how many seconds"}),
        },
        takes_token=False,
    ),
    "GET /openapi.json": Operation(
        "getOpenApi",
        headers=CONDITION,
        answers={
            200: Answer("The document", dict, headers=CACHED_HEADERS),
            304: Answer("Still the same", headers=CACHED_HEADERS),
        },
        takes_token=False,
    ),
    "GET /docs": Operation(
        "getDocs",
        headers=CONDITION,
        answers={
            200: Answer("The page", media_types=["text/html"], headers=CACHED_HEADERS),
            304: Answer("Still the same", headers=CACHED_HEADERS),
        },
        takes_token=False,
    ),
}
