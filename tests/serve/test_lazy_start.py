"""What is not used costs nothing: no module, no connection, no channel."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest_asyncio
from serve_support import CREATING, channels, peer_connections, tcp_connections, threads, watching
from support.process import Serve, serving, until

from drive.peers import Peers
from drive.settings import Settings

HEAVY = {"grpc", "google.protobuf", "redis", "asyncpg", "obstore", "nats"}

# What `drive serve` has loaded when it listens, but the standard library and itself. Before you add a line, think of
# importing it inside the factory or the function that needs it, with `drive.lazy.load` in front.
LOADED_AT_START = {
    "aiohttp": "answers HTTP",
    "aiohappyeyeballs": "aiohttp's: connects to the quicker of several addresses",
    "aiosignal": "aiohttp's: on_startup and the like",
    "attr": "aiohttp's: attrs",
    "frozenlist": "aiohttp's: lists that no longer change",
    "idna": "aiohttp's, by way of yarl: names that are not ASCII",
    "multidict": "aiohttp's: headers",
    "propcache": "aiohttp's, by way of yarl: cached properties",
    "typing_extensions": "aiosignal's, before Python 3.13",
    "yarl": "aiohttp's: URLs",
    "dependency_injector": "the ground under drive.lazy",
    "structlog": "log lines",
    "msgspec": "JSON with types; where somebody asked who was not signed in",
}
# structlog and dependency-injector import some of these wherever they find them, which costs every process 5 to 20 MiB.
NEVER_INSTALLED = {"rich", "pyyaml", "pydantic", "pydantic-settings", "fastapi", "starlette", "werkzeug"}

# What the interpreter or Cython's runtime brings, under names that change with their versions.
_RUNTIME = re.compile(r"_?cython_\w+|_distutils_hack|__main__")

_TELLING = """
import json, os, signal, sys

def tell(*_):
    line = {"event": "Modules", "modules": sorted(sys.modules)}
    os.write(1, json.dumps(line).encode() + b"\\n")

signal.signal(signal.SIGUSR1, tell)
from drive.cli import main
main()
"""


# Wherever Python looks for a module, the import of one that was not loaded begins: in which thread?
_TELLING_THREADS = f"""
import json, os, signal, sys, threading

class Watcher:
    importers = {{}}

    def find_spec(self, name, path=None, target=None):
        if any(name == heavy or name.startswith(heavy + ".") for heavy in {sorted(HEAVY)!r}):
            self.importers[name] = threading.current_thread().name

def tell(*_):
    os.write(1, json.dumps({{"event": "Importers", "importers": Watcher.importers}}).encode() + b"\\n")

sys.meta_path.insert(0, Watcher())
signal.signal(signal.SIGUSR1, tell)
from drive.cli import main
main()
"""


@pytest_asyncio.fixture
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """Give a `drive serve` that has answered nothing yet."""
    async with serving(settings) as running:
        yield running


@pytest_asyncio.fixture
async def telling_serve(settings: Settings) -> AsyncIterator[Serve]:
    """Give a `drive serve` that also tells its modules when it gets SIGUSR1."""
    async with serving(settings, command=(sys.executable, "-c", _TELLING)) as running:
        yield running


async def modules_of(serve: Serve) -> set[str]:
    asked = len(serve.lines("Modules"))
    serve.service.process.send_signal(signal.SIGUSR1)
    await until(lambda: len(serve.lines("Modules")) > asked, "it tells its modules")
    return set(serve.lines("Modules")[-1]["modules"])


async def probe(serve: Serve) -> None:
    """Send what load balancers, monitors and lost clients send, many times."""
    nobody = serve.api.signed_in_as(None)
    wanted = {"/alive": 200, "/health": 200, "/": 404, "/favicon.ico": 404, "/api/files/me": 401, "/api/pools": 401}
    for path, status in wanted.items():
        answers = await asyncio.gather(*(nobody.get(path) for _ in range(50)))
        assert {answer.status for answer in answers} == {status}, path
    health = await nobody.get("/health")
    assert set(health.json["parts"].values()) == {"not opened"}


async def test_probes_import_nothing_heavy_and_the_first_real_request_does(telling_serve: Serve) -> None:
    """Neither gRPC nor a driver is imported by a probed service; the same look finds them once they are used."""
    await probe(telling_serve)
    assert HEAVY & await modules_of(telling_serve) == set()

    assert (await telling_serve.api.upload(b"content"))["size"] == 7
    assert {"grpc", "google.protobuf", "redis", "asyncpg"} <= await modules_of(telling_serve)


async def test_a_probed_service_holds_no_code_of_what_it_may_have_to_do(telling_serve: Serve) -> None:
    """Handlers, services and clients are wired, and imported by the first request for one of them."""
    nobody = telling_serve.api.signed_in_as(None)
    assert [(await nobody.get(path)).status for path in ("/alive", "/health", "/")] == [200, 200, 404]
    modules = await modules_of(telling_serve)
    domains = {"files", "uploads", "folders", "bundles", "pools", "billing", "references", "clients", "storage"}
    assert [name for name in modules if name.startswith(tuple(f"drive.{one}" for one in domains))] == []
    assert "msgspec" not in modules

    assert (await telling_serve.api.get("/api/files/me")).status == 200
    assert {"drive.files.service", "msgspec"} <= await modules_of(telling_serve)


async def test_the_event_loop_never_waits_for_a_heavy_import(settings: Settings) -> None:
    """Neither in the requests that first need a driver or gRPC, nor in those that find it broken."""
    async with serving(settings, command=(sys.executable, "-c", _TELLING_THREADS)) as serve:
        wrong = await serve.api.get("/api/files/me", headers={"Authorization": "Bearer of-nobody"})
        assert wrong.status == 401
        moved = await serve.api.post(f"/api/index/move/{UUID(int=1)}", json={"new_path": "/a"})
        assert moved.status == 404
        file = await serve.api.upload(b"content")
        assert (await serve.api.get(f"/api/files/{file['id']}")).status == 200
        serve.service.process.send_signal(signal.SIGUSR1)
        await until(lambda: serve.lines("Importers") != [], "it tells who imported what")
        (line,) = serve.lines("Importers")
        assert {"grpc", "google.protobuf", "redis", "asyncpg"} <= line["importers"].keys()
        assert {name for name, thread in line["importers"].items() if thread == "MainThread"} == set()


async def test_only_listed_packages_are_loaded_at_start(telling_serve: Serve) -> None:
    """No new import sneaks into the start, and the list has nothing that is not loaded."""
    await probe(telling_serve)
    modules = await modules_of(telling_serve)
    top_level = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"drive"}
    packages = {name for name in top_level if not _RUNTIME.fullmatch(name)}
    assert packages - LOADED_AT_START.keys() == set(), "think of a lazy import"
    assert LOADED_AT_START.keys() - packages <= {"typing_extensions"}, "strike them off the list"
    developers_only = {"drive.proto", "drive.peers", "drive.embedded", "drive.testing", "drive.cli.demo"}
    assert modules & developers_only == set()


async def test_probes_connect_to_nothing_and_the_first_real_upload_to_all(
    serve: Serve, settings: Settings, peers: Peers
) -> None:
    """Seen from both ends: the process has no connection but its clients', and no server has one from it."""
    own_port = int(serve.url.rpartition(":")[2])
    async with watching(settings) as watcher:

        async def connections() -> dict[str, Any]:
            return {
                "from the process": sum(local != own_port for local, _ in tcp_connections(serve.pid)),
                **peer_connections(peers),
                "PostgreSQL": await watcher.database_connections(),
                "Redis": watcher.redis_connections(),
            }

        await probe(serve)
        none = {"from the process": 0, "pass": 0, "ring": 0, "PostgreSQL": [], "Redis": []}
        assert await connections() == none
        assert serve.lines(CREATING) == []

        await serve.api.upload(b"content")
        await until(lambda: len(peers.world.packets) == 3, "ring was told of the upload")
        seen = await connections()
        assert (seen["from the process"], seen["pass"], seen["ring"]) == (2, 1, 1)
        name = f"drive-serve@{os.uname().nodename}:{serve.pid}"
        assert set(seen["PostgreSQL"]) == set(seen["Redis"]) == {name}
        assert channels(serve) == sorted([(peers.pass_url, "AuthService"), (peers.ring_url, "RingService")])


async def test_a_start_creates_no_thread_and_no_folder(serve: Serve, settings: Settings) -> None:
    """What a thread pool or a store needs comes with the first upload, too."""
    await probe(serve)
    assert threads(serve.pid) == 1
    assert not settings.storage_path.exists()


def test_nothing_that_is_imported_wherever_it_is_found_gets_installed() -> None:
    """None of the packages that structlog and dependency-injector import by themselves is in the runtime set."""
    lines = (Path(__file__).parents[2] / "requirements/runtime.txt").read_text().splitlines()
    installed = {re.split(r"[=\[ ;]", line)[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert {"aiohttp", "structlog", "dependency-injector"} <= installed
    assert installed & NEVER_INSTALLED == set()
